"""For worker processes that tests start: settings of the app by environment, faults on demand."""

import json
import os

from marketplace_ai.conf import known_settings
from tests.settings import *  # noqa: F403

INSTALLED_APPS += ["tests.faults_app"]  # noqa: F405

globals().update(
    {
        name: json.loads(os.environ[name])
        for name, setting in known_settings().items()
        if isinstance(setting.default, int | float | None) and name in os.environ
    }
)
