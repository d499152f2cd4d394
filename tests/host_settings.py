"""A host that put its own models in the place of the shipped ones."""

from tests.settings import *  # noqa: F403

INSTALLED_APPS = [*INSTALLED_APPS, "tests.host"]  # noqa: F405
MARKETPLACE_AI_JOB_MODEL = "host.Job"
MARKETPLACE_AI_CATEGORY_MODEL = "host.Section"
MARKETPLACE_AI_ADAPTER = "tests.host.adapter.HostAdapter"
