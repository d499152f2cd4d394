"""Why a classifier version or an encoder cannot become active; messages are for people."""

from __future__ import annotations


class VersionError(ValueError):
    """A version or an encoder that cannot become active, with the reason."""


class ActivationConflictError(VersionError):
    """Somebody activated another one in the meantime; nothing was changed."""
