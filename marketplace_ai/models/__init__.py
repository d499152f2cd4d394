"""The app's tables. A project may replace Category and JobPosting; the others are fixed."""

from .audit import AuditedPosting, AutomationStop
from .category import Category
from .classifier_version import ClassifierVersion
from .decision import Decision, Match, Outcome
from .embeddings import ExemplarEmbedding, PostingEmbedding
from .encoder import Encoder, EncoderState
from .exemplar import Exemplar, ExemplarGeneration, ExemplarSource, ExemplarState
from .heartbeat import WorkerHeartbeat
from .job_posting import JobPosting
from .promotion import Promotion, PromotionKind
from .queue import ChangeKind, PostingChange, Priority, QueuedPosting
from .refit import Refit, RefitOutcome, RefitTrigger
from .review_rank import ReviewRank
from .shadow import ShadowDecision
from .swapped import get_category_model, get_job_model
from .table_scan import ScanPurpose, TableScan

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
    "JobPosting",
    "Match",
    "Outcome",
    "PostingChange",
    "PostingEmbedding",
    "Priority",
    "Promotion",
    "PromotionKind",
    "QueuedPosting",
    "Refit",
    "RefitOutcome",
    "RefitTrigger",
    "ReviewRank",
    "ScanPurpose",
    "ShadowDecision",
    "TableScan",
    "WorkerHeartbeat",
    "get_category_model",
    "get_job_model",
]
