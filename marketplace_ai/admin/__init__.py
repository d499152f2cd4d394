"""The screens of moderators and operators, one module each, on the stock Django admin.

A host with its own models adds ``JobAdminMixin`` and ``CategoryAdminMixin`` to their admins.
"""

from . import audits, automation, categories, decisions, exemplars, postings, queue, refits
from .category_admin import CategoryAdminMixin
from .encoders import encoder_admin
from .job_admin import JobAdminMixin

__all__ = [
    "CategoryAdminMixin",
    "JobAdminMixin",
    "audits",
    "automation",
    "categories",
    "decisions",
    "encoder_admin",
    "exemplars",
    "postings",
    "queue",
    "refits",
]
