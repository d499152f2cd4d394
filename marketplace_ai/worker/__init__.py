"""The queue worker: its loop, and how a Celery worker runs it."""

#: Exit code of a worker process that ended itself because a batch hung.
EXIT_HUNG = 70
