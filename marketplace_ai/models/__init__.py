"""Tables of the app. Category and JobPosting are swappable; all the others are its own."""

from .audit import AuditedPosting, AutomationStop
from .category import Category
from .classifier_version import ClassifierVersion
from .decision import Decision, Match, Outcome
from .embeddings import ExemplarEmbedding, JobEmbedding
from .encoder import Encoder, EncoderState
from .exemplar import Exemplar, ExemplarGeneration, ExemplarSource, ExemplarState
from .job_posting import JobPosting
from .promotion import Promotion, PromotionKind
from .queue import ChangeKind, JobChange, PendingJob, Priority
from .shadow import ShadowDecision
from .swapped import get_category_model, get_job_model
from .table_scan import Walk, WalkPurpose

__all__ = [
    "AuditedPosting",
    "AutomationStop",
    "Category",
    "ChangeKind",
    "ClassifierVersion",
    "Decision",
    "Encoder",
    "EncoderState",
    "Exemplar",
    "ExemplarEmbedding",
    "ExemplarGeneration",
    "ExemplarSource",
    "ExemplarState",
    "JobChange",
    "JobEmbedding",
    "JobPosting",
    "Match",
    "Outcome",
    "PendingJob",
    "Priority",
    "Promotion",
    "PromotionKind",
    "ShadowDecision",
    "Walk",
    "WalkPurpose",
    "get_category_model",
    "get_job_model",
]
