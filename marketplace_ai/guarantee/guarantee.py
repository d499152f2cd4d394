"""The guarantee of a classifier: a target, the thresholds proven to keep it, and the evidence."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from .target import Target


@dataclass(frozen=True, slots=True)
class Rule:
    """One way to decide without a person, and what it showed on the labeled rows.

    ``eligible_rows`` are those that the rule may decide. ``rows`` and ``errors`` (near-duplicates
    count once) are those at the threshold, and ``error_bound`` is the upper bound that follows.
    ``threshold`` is None if nothing could be proven; then they count the first threshold that was
    tested. ``coverage`` is the share of all labeled rows that the rule decides, without those of
    categories that are not automated. ``rows_needed`` are the labeled rows still missing if no
    further error is seen; 0 with a threshold.
    """

    threshold: float | None
    eligible_rows: int
    rows: int
    errors: int
    coverage: float
    error_bound: float
    rows_needed: int


@dataclass(frozen=True, slots=True)
class CategoryGuarantee:
    """What is proven for one category: ``rows`` have its label, ``automatic`` rows were given it.

    ``has_own_guarantee``: its own automatic rows prove the target without those of others.
    ``automated``: it is decided without a person. The overall guarantee covers categories that
    had ``MIN_EXEMPLARS_FOR_GUARANTEE`` exemplars at the fit and are not refuted by their own rows;
    one with fewer is automated only with a guarantee of its own. ``exemplars`` is None in versions
    that were fitted before exemplars were counted.
    """

    label: str
    rows: int
    automatic: int
    errors: int
    has_own_guarantee: bool
    automated: bool
    rows_needed: int
    exemplars: int | None = None


@dataclass(frozen=True, slots=True)
class SecondCategoryRule:
    """The strength above which a second category is given, and what that showed.

    ``threshold`` (to be exceeded) is None if too few ``rows`` (near-duplicates count once) prove
    anything. ``errors`` are rows given a second category other than their label, and
    ``error_bound`` is the upper bound that follows.
    """

    threshold: float | None
    rows: int
    errors: int
    error_bound: float


@dataclass(frozen=True, slots=True)
class Guarantee:
    """Rules for a leaf, for "none", for a parent and for a second category, and the figures of
    every category.

    ``calibrated_on`` is "postings", or "exemplars" if there were no labeled postings and
    cross-validation on the exemplars stood in. ``unknown_labels`` counts labeled postings of a
    category without exemplars; each is an error if tagged. ``first_choice`` is the share of rows
    with a category whose best category is right (None: no such row).
    """

    target: Target
    calibrated_on: str
    rows: int
    groups: int
    unknown_labels: int
    first_choice: float | None
    automatic: Rule
    none: Rule
    parent: Rule
    second_category: SecondCategoryRule
    categories: tuple[CategoryGuarantee, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; the target as ``target_precision`` and ``confidence_level``."""
        values = asdict(self)
        del values["target"]
        return {
            "target_precision": self.target.precision,
            "confidence_level": self.target.confidence_level,
            **values,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Guarantee:
        """Read what ``as_dict`` returned. Raises KeyError or TypeError for anything else."""
        values = dict(values)
        target = Target(values.pop("target_precision"), values.pop("confidence_level"))
        rules = {name: Rule(**values[name]) for name in ("automatic", "none", "parent")}
        second_category = SecondCategoryRule(**values["second_category"])
        categories = tuple(CategoryGuarantee(**row) for row in values["categories"])
        return cls(
            **{
                **values,
                **rules,
                "target": target,
                "second_category": second_category,
                "categories": categories,
            }
        )
