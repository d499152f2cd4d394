"""The classifier: exemplars vote, labeled postings calibrate, a guarantee decides."""

from marketplace_ai.guarantee.guarantee import CategoryGuarantee, Guarantee, Rule

from .artifact import ArtifactError
from .classifier import Classifier
from .labeled import LabeledTexts
from .prediction import Match, Prediction

__all__ = [
    "ArtifactError",
    "CategoryGuarantee",
    "Classifier",
    "Guarantee",
    "LabeledTexts",
    "Match",
    "Prediction",
    "Rule",
]
