"""The one error of this package."""


class ServiceError(Exception):
    """An embedded server cannot be had; the message says why and what to do instead."""
