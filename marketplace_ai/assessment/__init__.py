"""An assessment of categorized postings before anything is installed: what could be automatic on
them, and what is wrong with them. Arrays and labeled rows in, numbers out."""
