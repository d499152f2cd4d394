"""Column types that Django lacks."""

from __future__ import annotations

from typing import Any

from django.db import models


class RealField(models.FloatField):  # type: ignore[type-arg]  # not generic when it runs
    """A four-byte float: half of what a decision's arrays would cost otherwise."""

    def db_type(self, connection: Any) -> str:
        return "real"
