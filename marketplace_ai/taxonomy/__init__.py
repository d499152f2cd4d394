"""Categories that are renamed, deleted and made anew, and what follows them."""
