"""New job postings tag themselves: exemplars vote, a promise decides, people correct."""

__version__ = "0.1.0"
