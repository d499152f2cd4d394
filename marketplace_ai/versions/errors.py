"""What cannot be put in force, as the person who asked is told."""

from __future__ import annotations


class VersionError(ValueError):
    """A version or an encoder that cannot be put in force, with the reason."""


class Overtaken(VersionError):  # noqa: N818 (it is no fault of this version's)
    """Another one was put in force meanwhile, and nothing was changed."""
