"""Exemplars vote, labelled postings calibrate, and a promise decides what needs no person."""

from .artifact import ArtifactError
from .classifier import Classifier
from .labelled import Labelled
from .promise import CategoryPromise, Promise, Rule
from .verdict import Match, Verdict

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
