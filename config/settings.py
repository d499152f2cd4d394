"""The demo project's settings; everything that differs between places comes from the environment.

It may also stand in a file ``.env`` beside manage.py: ``DATABASE_URL``, ``REDIS_URL``,
``DJANGO_SECRET_KEY``, ``DJANGO_DEBUG``, ``DJANGO_ALLOWED_HOSTS``, ``DJANGO_CSRF_TRUSTED_ORIGINS``,
and of the app ``MARKETPLACE_AI_ENCODER``, ``_CACHE_DIR``, ``_BACKEND``, ``_CLAIM_SIZE``,
``_ENCODE_TIMEOUT``.
"""

import os
from importlib.util import find_spec
from pathlib import Path

import dj_database_url
from dotenv import load_dotenv

BASE_DIR = Path(__file__).resolve().parent.parent
load_dotenv(BASE_DIR / ".env")

# The demo listens on loopback only; a deployment sets its own key.
SECRET_KEY = os.environ.get("DJANGO_SECRET_KEY", "demo-only-not-a-secret")
DEBUG = os.environ.get("DJANGO_DEBUG") == "1"
ALLOWED_HOSTS = os.environ.get("DJANGO_ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]").split(",")
CSRF_TRUSTED_ORIGINS = list(
    filter(None, os.environ.get("DJANGO_CSRF_TRUSTED_ORIGINS", "").split(","))
)

INSTALLED_APPS = [
    "config.admin_site.DemoAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "marketplace_ai",
]
# The demo's own commands, in a checkout; an image has no such package.
if find_spec("demo"):
    INSTALLED_APPS.append("demo")

MIDDLEWARE = [
    # Before all that could refuse or redirect a request without the right host name.
    "config.health_view.middleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

# manage.py puts the embedded services' addresses into the environment. Without them only
# what needs no database works (evaluate_classifier, makemigrations, check).
DATABASES = {
    "default": dj_database_url.parse(
        os.environ.get("DATABASE_URL", "postgres://127.0.0.1:1/not-configured"),
        conn_max_age=60,
        conn_health_checks=True,
    )
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("nb", "Norsk bokmål")]
TIME_ZONE = "Europe/Oslo"
USE_I18N = True
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
# Serves the admin's files from their apps, so that the demo needs no collectstatic.
WHITENOISE_USE_FINDERS = True

REDIS_URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:1/0")
CELERY_BROKER_URL = REDIS_URL
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# With a finite number the worker dies in a long outage of Redis.
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
# What ``celery --app config beat`` sends: fit again when that is due.
CELERY_BEAT_SCHEDULE = {
    "refit": {"task": "marketplace_ai.refit", "schedule": 3600.0, "options": {"expires": 3600}},
}

MARKETPLACE_AI_ENCODER = os.environ.get("MARKETPLACE_AI_ENCODER", "bundled")
MARKETPLACE_AI_CACHE_DIR = os.environ.get("MARKETPLACE_AI_CACHE_DIR", "~/.cache/marketplace_ai")
# What suits a CPU and a GPU differs.
MARKETPLACE_AI_BACKEND = os.environ.get("MARKETPLACE_AI_BACKEND", "auto")
MARKETPLACE_AI_CLAIM_SIZE = int(os.environ.get("MARKETPLACE_AI_CLAIM_SIZE", "512"))
MARKETPLACE_AI_ENCODE_TIMEOUT = float(os.environ.get("MARKETPLACE_AI_ENCODE_TIMEOUT", "120"))

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {"marketplace_ai": {"level": os.environ.get("MARKETPLACE_AI_LOG", "INFO")}},
}
