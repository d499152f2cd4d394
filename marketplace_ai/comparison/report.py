"""Comparison reports: two classifiers evaluated on the same labeled rows, typed, to and from JSON.

Two kinds of report are stored and shown. ``ComparisonReport`` compares the classifier of a
candidate encoder with that of the active encoder; ``VersionReport`` compares a refit with the
active version of the same encoder. In both, "new" is what was just fitted and "old" is what is
active.

Plain Python: web processes read stored reports without loading a numeric library. Every sentence
about a report is in ``marketplace_ai.promotion.wording``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from marketplace_ai.classifier.prediction import Outcome


class FailedCheck(StrEnum):
    """Why a report speaks against a promotion or an activation."""

    WEAKER_TARGET = "weaker_target"
    ACCURACY_DROP = "accuracy_drop"
    NO_THRESHOLD = "no_threshold"
    GUARANTEE_REFUTED = "guarantee_refuted"
    COVERAGE_DROP = "coverage_drop"
    TRAIN_TEST_OVERLAP = "train_test_overlap"
    UNLIKE_ACCURACY_DROP = "unlike_accuracy_drop"
    UNLIKE_COVERAGE_DROP = "unlike_coverage_drop"
    UNLIKE_ERRORS = "unlike_errors"


class NotCompared(StrEnum):
    """Why a refit could not be compared with another version."""

    FIRST_VERSION = "first_version"
    UNREADABLE = "unreadable"
    TRAIN_TEST_OVERLAP = "train_test_overlap"


class GuaranteeScope(StrEnum):
    """How far a category is covered by a guarantee, from the weakest to the strongest."""

    NONE = "none"
    OVERALL = "overall"
    OWN = "own"

    def is_weaker_than(self, other: GuaranteeScope) -> bool:
        order = list(GuaranteeScope)
        return order.index(self) < order.index(other)


class TextKind(StrEnum):
    """The kinds of text that are reported where the labeled file has no column ``kind``."""

    TITLE_ONLY = "title_only"
    WITH_DESCRIPTION = "with_description"
    SHORT = "short"
    LONG = "long"


class ReportError(ValueError):
    """A stored report that lacks a value, or has one that no report has."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows with a correct first choice, rows given a category automatically, and those of the
    automatic rows whose category is wrong."""

    correct: int
    automatic: int
    errors: int


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """How many rows have a property by each of two classifiers, and whether they differ.

    ``new`` and ``old`` count rows. ``gained`` and ``lost`` count families that
    have it more often by the new or by the old classifier; ``p_value`` is the probability of at
    least ``lost`` losses if both were equally good. ``difference`` is new minus old as a share of
    the rows, with its 95% interval from ``low`` to ``high``.
    """

    new: int
    old: int
    gained: int
    lost: int
    p_value: float
    difference: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class HeldOutCheck:
    """Rows decided automatically by thresholds that were found without them, and their errors.

    Correct rows of one family count once. ``refuted``: more errors than the guarantee allows.
    """

    rows: int
    errors: int
    refuted: bool


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """One classifier of a comparison: its threshold (None: none is proven) and how many rows it
    decides in which way. ``errors`` are wrong among the ``automatic`` ones."""

    threshold: float | None
    automatic: int
    errors: int
    automatic_parent: int
    none: int
    held_out: HeldOutCheck

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ModelSummary:
        return cls(**{**values, "held_out": HeldOutCheck(**values["held_out"])})


@dataclass(frozen=True, slots=True)
class Slice:
    """The rows of one kind of text, and how many only one of the two classifiers gets right."""

    name: str
    rows: int
    new: Counts
    old: Counts
    gained: int
    lost: int
    p_value: float

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Slice:
        return cls(**{**values, "new": Counts(**values["new"]), "old": Counts(**values["old"])})


@dataclass(frozen=True, slots=True)
class CategorySlice:
    """One category: rows labeled with it (``rows``; ``correct`` counts among them), and rows given
    it automatically (``automatic``; ``errors`` counts among them).

    ``key`` and ``name`` are what people know it by, "" until ``named`` has filled them in.
    """

    label: str
    rows: int
    new: Counts
    old: Counts
    gained: int
    lost: int
    p_value: float
    guarantee_new: GuaranteeScope
    guarantee_old: GuaranteeScope
    guarantee_lost: bool
    key: str = ""
    name: str = ""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> CategorySlice:
        return cls(
            **{
                **values,
                "new": Counts(**values["new"]),
                "old": Counts(**values["old"]),
                "guarantee_new": GuaranteeScope(values["guarantee_new"]),
                "guarantee_old": GuaranteeScope(values["guarantee_old"]),
            }
        )


@dataclass(frozen=True, slots=True)
class RowPrediction:
    """What one classifier decides about a row: the category (None: fits none; the parent where only
    that is certain), the probability of its first choice, and the outcome."""

    label: str | None
    probability: float
    outcome: Outcome
    name: str | None = None


@dataclass(frozen=True, slots=True)
class ChangedRow:
    """A row that the two classifiers decide differently: its text, its label, both decisions."""

    text: str
    label: str | None
    new: RowPrediction
    old: RowPrediction
    label_name: str | None = None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ChangedRow:
        new, old = RowPrediction(**values["new"]), RowPrediction(**values["old"])
        return cls(**{**values, "new": new, "old": old})


@dataclass(frozen=True, slots=True)
class UnlikeRows:
    """Two classifiers on ``rows`` written unlike the exemplars, on which neither was calibrated.

    ``left_out`` more nearly repeat an exemplar or a labeled posting, so they are not unlike.
    ``harmless``: no wrong category is given without a person.
    """

    rows: int
    left_out: int
    first_choice: PairedDifference
    automatic: PairedDifference
    harmless: PairedDifference

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> UnlikeRows:
        pairs = ("first_choice", "automatic", "harmless")
        return cls(**{**values, **{name: PairedDifference(**values[name]) for name in pairs}})


@dataclass(frozen=True, slots=True)
class EncoderComparison:
    """The classifiers of two encoders on the same ``rows`` (``groups``: families).

    ``first_choice``: the first choice is correct ("none" is one). ``parent``: its parent is, of the
    ``rows_with_parent``. ``none_recognized``: "none" was the first choice, of the ``none_rows``.
    ``automatic``: a category is given without a person. ``changed`` rows are decided differently;
    ``changes`` has some of them, and none once the texts have been removed. ``unlike``: the same
    two on texts unlike the exemplars, where such were given.
    """

    rows: int
    groups: int
    rows_with_parent: int
    none_rows: int
    new: ModelSummary
    old: ModelSummary
    first_choice: PairedDifference
    parent: PairedDifference
    none_recognized: PairedDifference
    automatic: PairedDifference
    categories: tuple[CategorySlice, ...]
    kinds: tuple[Slice, ...]
    changed: int
    changes: tuple[ChangedRow, ...] = ()
    unlike: UnlikeRows | None = None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> EncoderComparison:
        unlike = values["unlike"]
        pairs = ("first_choice", "parent", "none_recognized", "automatic")
        return cls(
            **{
                **values,
                **{name: PairedDifference(**values[name]) for name in pairs},
                "new": ModelSummary.from_dict(values["new"]),
                "old": ModelSummary.from_dict(values["old"]),
                "categories": tuple(map(CategorySlice.from_dict, values["categories"])),
                "kinds": tuple(map(Slice.from_dict, values["kinds"])),
                "changes": tuple(map(ChangedRow.from_dict, values.get("changes", ()))),
                "unlike": None if unlike is None else UnlikeRows.from_dict(unlike),
            }
        )

    def labels(self) -> Iterator[str]:
        """The labels of all categories that occur in it, some of them several times."""
        yield from (row.label for row in self.categories)
        for change in self.changes:
            labels = (change.label, change.new.label, change.old.label)
            yield from (label for label in labels if label is not None)

    def named(
        self, names: Mapping[str, tuple[str, str]], max_text_length: int
    ) -> EncoderComparison:
        """The same with the key and name of each label, and texts cut to so many characters."""

        def name(label: str | None) -> str | None:
            return None if label is None else names[label][1]

        return replace(
            self,
            categories=tuple(
                replace(row, key=names[row.label][0], name=names[row.label][1])
                for row in self.categories
            ),
            changes=tuple(
                replace(
                    change,
                    text=change.text[:max_text_length],
                    label_name=name(change.label),
                    new=replace(change.new, name=name(change.new.label)),
                    old=replace(change.old, name=name(change.old.label)),
                )
                for change in self.changes
            ),
        )


@dataclass(frozen=True, slots=True)
class VersionComparison:
    """A refit and an older version on the same ``rows``.

    ``left_out`` more rows were not compared, because the older version was fitted on others of
    their families. ``gained`` and ``lost`` count where only the new or only the old first choice
    is correct; ``automatic_gained`` and ``automatic_lost`` where only the new or only the old one
    needs no person. A family counts once in these four. The p-values are the probabilities of
    so many losses if both were equally good.
    """

    rows: int
    left_out: int
    new: Counts
    old: Counts
    gained: int
    lost: int
    p_value: float
    automatic_gained: int
    automatic_lost: int
    automatic_p_value: float

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> VersionComparison:
        return cls(**{**values, "new": Counts(**values["new"]), "old": Counts(**values["old"])})


@dataclass(frozen=True, slots=True)
class ActiveEncoder:
    """The encoder that a candidate was compared with, and the version active for it then."""

    id: int
    name: str
    version: int | None


@dataclass(frozen=True, slots=True)
class ComparisonReport:
    """What ``Encoder.comparison`` and ``Promotion.comparison`` store about a candidate encoder.

    ``active_encoder`` and ``results`` are None where there was no other encoder. ``version`` is the
    candidate's classifier that was compared (None until it is stored); ``left_out`` rows were not
    compared, because a fine-tuned encoder may have seen them; ``kinds_given``: the kinds of text
    come from the file.
    """

    encoder: str
    compared_at: str
    target_precision: float
    confidence: float
    calibrated_on: str
    active_encoder: ActiveEncoder | None = None
    results: EncoderComparison | None = None
    failed_checks: tuple[FailedCheck, ...] = ()
    left_out: int = 0
    kinds_given: bool = False
    version: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, the results on the same level as the rest."""
        return _flatten(asdict(self))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ComparisonReport:
        """The report that ``as_dict`` made these values of.

        Raises ReportError for values that lack something or that no report has.
        """
        header, results = _divide(cls, values)
        try:
            active = header["active_encoder"]
            return cls(
                **{
                    **header,
                    "active_encoder": None if active is None else ActiveEncoder(**active),
                    "results": EncoderComparison.from_dict(results) if results else None,
                    "failed_checks": tuple(map(FailedCheck, header["failed_checks"])),
                }
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ReportError(f"no comparison report of encoders: {error!r}") from error


@dataclass(frozen=True, slots=True)
class VersionReport:
    """What ``ClassifierVersion.comparison`` stores: the version that was active when this one was
    fitted, and either the results or the reason for which there are none."""

    version: int | None
    failed_checks: tuple[FailedCheck, ...] = ()
    not_compared: NotCompared | None = None
    results: VersionComparison | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, the results on the same level as the rest."""
        values = asdict(self)
        if self.not_compared is None:
            del values["not_compared"]
        return _flatten(values)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> VersionReport:
        """The report that ``as_dict`` made these values of; ReportError as above."""
        header, results = _divide(cls, values)
        try:
            reason = header.get("not_compared")
            return cls(
                version=header["version"],
                failed_checks=tuple(map(FailedCheck, header["failed_checks"])),
                not_compared=None if reason is None else NotCompared(reason),
                results=VersionComparison.from_dict(results) if results else None,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ReportError(f"no comparison report of versions: {error!r}") from error


def _flatten(values: dict[str, Any]) -> dict[str, Any]:
    results = values.pop("results")
    return {**values, **(results or {})}


def _divide(
    report: type[ComparisonReport | VersionReport], values: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The values of the report itself, all of them, and those of its results."""
    names = set(report.__dataclass_fields__) - {"results"}
    if missing := names - set(values) - {"not_compared"}:
        raise ReportError(f"a comparison report lacks {', '.join(sorted(missing))}")
    header = {name: value for name, value in values.items() if name in names}
    return header, {name: value for name, value in values.items() if name not in names}
