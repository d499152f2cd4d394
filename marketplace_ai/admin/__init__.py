"""The screens of moderators and operators, one module each, on the stock Django admin.

A host with its own job model adds ``JobAdminMixin`` to that model's admin.
"""

from . import audits, automation, categories, decisions, encoders, exemplars, postings, queue
from .job_admin import JobAdminMixin

__all__ = [
    "JobAdminMixin",
    "audits",
    "automation",
    "categories",
    "decisions",
    "encoders",
    "exemplars",
    "postings",
    "queue",
]
