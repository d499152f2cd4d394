"""The demo project's settings with a dummy encoder: the model is rarely the point of a test."""

from config.settings import *  # noqa: F403

MARKETPLACE_AI_ENCODER = "dummy"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# A lock that a failed test left behind fails the next one instead of hanging it.
DATABASES["default"].setdefault("OPTIONS", {})["options"] = "-c lock_timeout=20s"  # noqa: F405
