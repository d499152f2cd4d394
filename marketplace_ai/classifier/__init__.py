"""Exemplars vote, labelled postings calibrate, and a promise decides what needs no person."""

from marketplace_ai.guarantee.threshold_search import CategoryPromise, Promise, Rule

from .artifact import ArtifactError
from .classifier import Classifier
from .labeled import Labelled
from .prediction import Match, Verdict

__all__ = [
    "ArtifactError",
    "CategoryPromise",
    "Classifier",
    "Labelled",
    "Match",
    "Promise",
    "Rule",
    "Verdict",
]
