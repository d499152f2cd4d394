"""A Norwegian home-services marketplace whose postings tag themselves, for everyone to try."""
