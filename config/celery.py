"""The demo project's Celery app: a host's own needs the same one line at the end."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("config")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

from marketplace_ai.worker.bootstep import install  # noqa: E402

install(app)
