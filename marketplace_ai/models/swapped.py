"""The models a project uses for postings and categories, as its settings name them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured

from marketplace_ai.conf import PREFIX, conf

if TYPE_CHECKING:
    from django.db.models import Model


def get_job_model() -> type[Model]:
    """The model that holds postings (``MARKETPLACE_AI_JOB_MODEL``).

    Raises ImproperlyConfigured if the setting is malformed or its app is not installed.
    """
    return _resolve("JOB_MODEL", conf.job_model)


def get_category_model() -> type[Model]:
    """The model that holds categories (``MARKETPLACE_AI_CATEGORY_MODEL``).

    Raises ImproperlyConfigured if the setting is malformed or its app is not installed.
    """
    return _resolve("CATEGORY_MODEL", conf.category_model)


def _resolve(name: str, label: str) -> type[Model]:
    try:
        return apps.get_model(label, require_ready=False)
    except ValueError:
        raise ImproperlyConfigured(
            f"{PREFIX}{name} is {label!r}; it must have the form 'app_label.Model'."
        ) from None
    except LookupError:
        raise ImproperlyConfigured(
            f"{PREFIX}{name} is {label!r}, but no such model is installed: "
            "add its app to INSTALLED_APPS or correct the name."
        ) from None
