"""Column types that Django does not have."""

from __future__ import annotations

from typing import Any

from django.db import models


class RealField(models.FloatField):  # type: ignore[type-arg]  # not generic when it runs
    """A four-byte float, half the size of Django's: a decision stores arrays of them."""

    def db_type(self, connection: Any) -> str:
        return "real"
