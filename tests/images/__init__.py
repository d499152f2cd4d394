"""docker/: what cannot be built here is read, checked, and its commands are run."""
