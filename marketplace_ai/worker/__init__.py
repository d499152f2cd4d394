"""What runs for long: the loop that works the queue off, and its place in a Celery worker."""

#: Exit code of a drainer that ended itself because a batch hung.
EXIT_HUNG = 70
