"""The screens of moderators and operators, one module each, on the stock Django admin.

A host with its own job model adds ``JobAdminMixin`` to that model's admin.
"""

from . import audits, automation, categories, decisions, exemplars, postings, queue
from .encoders import encoder_admin
from .job_admin import JobAdminMixin

__all__ = [
    "JobAdminMixin",
    "audits",
    "automation",
    "categories",
    "decisions",
    "encoder_admin",
    "exemplars",
    "postings",
    "queue",
]
