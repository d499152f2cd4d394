from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings
from django.db.models.signals import post_migrate, post_save
from django.utils.translation import gettext_lazy as _

from .conf import Conf


class MarketplaceAIConfig(AppConfig):
    name = "marketplace_ai"
    verbose_name = _("Marketplace AI")
    default_auto_field = "django.db.models.BigAutoField"

    def import_models(self) -> None:
        # Django reads the name of a swappable model from the settings, and a project's
        # makemigrations fails without it, so the two defaults are set there.
        for setting in (Conf.category_model, Conf.job_model):
            if not hasattr(settings, setting.setting):
                setattr(settings, setting.setting, setting.default)
        super().import_models()

    def ready(self) -> None:
        from . import checks  # noqa: F401  (registers the system checks)
        from .queue import wake_up
        from .schema import repair
        from .taxonomy import follow_keys

        post_migrate.connect(repair.after_migrate, dispatch_uid="marketplace_ai.schema")
        # One receiver for all models, because the job model may not be loaded yet.
        post_save.connect(wake_up.after_save, dispatch_uid="marketplace_ai.wake_up")
        post_save.connect(follow_keys.after_save, dispatch_uid="marketplace_ai.taxonomy")
