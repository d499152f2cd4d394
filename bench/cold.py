"""Cold start: how well a category without exemplars is predicted from its description, or from a
few confirmed postings; and how well all are, if none has an exemplar."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache, partial

import numpy as np
import numpy.typing as npt

from marketplace_ai.classifier import Classifier, LabeledTexts
from marketplace_ai.classifier.labeled import joined
from marketplace_ai.guarantee.minimum_counts import MIN_EXEMPLARS_FOR_HEAD
from marketplace_ai.management.console import progress
from marketplace_ai.text.csv_files import read_csv
from marketplace_ai.text.description_parts import description_parts
from marketplace_ai.text.labeled_csv import LabeledRows, prepared
from marketplace_ai.text.normalize import description

from .inputs import CATALOGUE, catalogue, encoded, encoded_rows, labeled
from .rows import Benchmark

#: Disjoint groups of leaves that lose their exemplars, one group at a time. Harder than one leaf at
#: a time, since the new categories compete with each other.
GROUPS = 5
#: Confirmed postings of each new category.
NUM_CONFIRMED = 3
#: Exemplars drawn at random from all categories, beside the descriptions of those that have few.
NUM_LABELS = (40, 120, 300, 700, 1200, 1728)
DRAWS = 2
#: Choices that a reviewer sees first.
NUM_CHOICES = 3

Integers = npt.NDArray[np.intp]
Group = frozenset[str | None]


def benchmarks() -> Iterator[Benchmark]:
    for name, goals in (("calibration_nb", (0.7, 0.9)), ("postings_nb", (0.85, 0.95))):
        for count, goal in zip((1, NUM_CHOICES), goals, strict=True):
            where = "first choice" if count == 1 else f"in the first {count}"
            yield Benchmark(
                f"names and scopes alone, {name}: {where}", "share", goal, "higher",
                partial(of_descriptions, name, count),
            )  # fmt: skip
    for labels in NUM_LABELS:
        for named in (True, False):
            for count in (1, NUM_CHOICES):
                where = "first choice" if count == 1 else f"in the first {count}"
                beside = "beside names and scopes" if named else "alone"
                yield Benchmark(
                    f"labels beside names, {labels} labels {beside}: {where}", "share", None,
                    "higher", partial(of_labels, labels, count, named=named),
                )  # fmt: skip
    for what, measure in (
        ("nothing but a name and a scope", described),
        (f"{NUM_CONFIRMED} confirmed postings as well", confirmed),
        (f"{NUM_CONFIRMED} confirmed postings instead", undescribed),
        (f"{NUM_CONFIRMED} confirmed postings as well, after a refit", refitted),
    ):
        for field, title in (
            ("first", "first choice"),
            ("shown", f"in the first {NUM_CHOICES}"),
            ("others", "first choice on all others' postings"),
            ("without", "first choice on all others' postings, before there were new ones"),
        ):
            yield Benchmark(
                f"cold start, {what}: {title}", "share", None, "higher",
                partial(figure, measure, field),
            )  # fmt: skip


def figure(measure: Callable[[], ColdStart], field: str) -> float:
    return float(getattr(measure(), field))


@dataclass(frozen=True)
class ColdStart:
    """Shares of right rows of calibration_nb.

    ``first`` and ``shown``: rows of the new categories whose label is the first choice, or among
    the first three. ``others`` and ``without``: rows of all other categories whose label is the
    first choice, after and before the new categories were added.
    """

    first: float
    shown: float
    others: float
    without: float


def of_descriptions(name: str, count: int) -> float:
    """The share of a file's rows with a category whose label is among the first ``count`` choices
    of a fit without a single exemplar."""
    _, test, calibration = encoded(catalogue())
    rows = labeled(test if name == "postings_nb" else calibration)
    inside = without(rows, frozenset([None]))
    nothing = inside.take(np.zeros(0, dtype=np.intp))
    fitted = Classifier.fit(nothing, descriptions=descriptions(), parents=catalogue().parents)
    return float(np.mean(right(fitted, nothing, descriptions(), inside, count)))


def of_labels(count: int, choices: int, *, named: bool) -> float:
    """The share of calibration_nb's rows with a category whose label is among the first
    ``choices``, after so many random exemplars; the mean of ``DRAWS`` draws."""
    train, rows = sets()
    judged = without(rows, frozenset([None]))
    shares = []
    for seed in range(DRAWS):
        drawn = np.random.default_rng(seed).permutation(len(train))[:count]
        fitted, taught, said = _fit_on(tuple(drawn.tolist()), named=named)
        shares.append(np.mean(right(fitted, taught, said, judged, choices)))
    return float(np.mean(shares))


@lru_cache(maxsize=DRAWS)
def _fit_on(
    drawn: tuple[int, ...], *, named: bool
) -> tuple[Classifier, LabeledTexts, LabeledTexts | None]:
    """A fit on some exemplars, with the descriptions of categories that have few of them."""
    train, _ = sets()
    taught = train.take(np.array(drawn, dtype=np.intp))
    counts = Counter(taught.labels)
    few = frozenset(x for x in descriptions().labels if counts[x] < MIN_EXEMPLARS_FOR_HEAD)
    said = only(descriptions(), few) if named and few else None
    fitted = Classifier.fit(taught, descriptions=said, parents=catalogue().parents)
    return fitted, taught, said


@cache
def described() -> ColdStart:
    return measured(confirmed=0, refit=False)


@cache
def confirmed() -> ColdStart:
    return measured(confirmed=NUM_CONFIRMED, refit=False)


@cache
def undescribed() -> ColdStart:
    """As if the description were ignored from that many confirmed postings on."""
    return measured(confirmed=NUM_CONFIRMED, refit=False, words=False)


@cache
def refitted() -> ColdStart:
    """As after a refit with the same labeled rows as before."""
    return measured(confirmed=NUM_CONFIRMED, refit=True)


def measured(*, confirmed: int, refit: bool, words: bool = True) -> ColdStart:
    """Fit without a group's exemplars and labeled rows, then add its categories and predict.

    They are added by their descriptions (unless ``words`` is false) and ``confirmed`` of their
    labeled rows each, as exemplars; their other rows are predicted.
    """
    _, rows = sets()
    found: dict[str, list[bool]] = {"first": [], "shown": [], "others": [], "without": []}
    with progress("Leaving categories out", GROUPS) as advance:
        for group, old, others, before in group_fits():
            learnt, judged = split(rows, group, confirmed)
            new = joined(old, learnt)
            said = only(descriptions(), group if words else frozenset())
            fitted = before
            if refit:
                fitted = Classifier.fit(new, others, descriptions=said, parents=catalogue().parents)
            found["first"] += right(fitted, new, said, judged, 1)
            found["shown"] += right(fitted, new, said, judged, NUM_CHOICES)
            found["others"] += right(fitted, new, said, others, 1)
            found["without"] += right(before, old, None, others, 1)
            advance(1)
    return ColdStart(**{name: float(np.mean(hits)) for name, hits in found.items()})


@cache
def group_fits() -> list[tuple[Group, LabeledTexts, LabeledTexts, Classifier]]:
    """For each group the exemplars and labeled rows of all other leaves, and the fit on those."""
    train, rows = sets()
    leaves = sorted(set(descriptions().labels) & set(train.labels), key=str)
    order = np.random.default_rng(0).permutation(len(leaves))
    found = []
    for number in range(GROUPS):
        group = frozenset(leaves[place] for place in order[number::GROUPS])
        old, others = without(train, group), without(rows, group)
        fitted = Classifier.fit(old, others, parents=catalogue().parents)
        found.append((group, old, others, fitted))
    return found


@cache
def sets() -> tuple[LabeledTexts, LabeledTexts]:
    """exemplars_nb and calibration_nb; postings_nb is the test set, for reports only."""
    train, _, rows = encoded(catalogue())
    return labeled(train), labeled(rows)


@cache
def descriptions() -> LabeledTexts:
    """Each leaf of the catalogue, part by part, in the words that
    ``JobAdapter.category_description`` gives."""
    path = str(CATALOGUE / "home_services.csv")
    table = read_csv(path, ("slug", "parent", "name_nb", "name_en", "scope_nb"))
    tops = {row["parent"] for row in table}
    leaves = [row for row in table if row["slug"] not in tops]
    said = [
        (row, prepared(part))
        for row in leaves
        for part in description_parts(
            description((row["name_nb"], row["name_en"]), row["scope_nb"])
        )
    ]
    texts = [text for _, text in said]
    answers = [(row["slug"],) for row, _ in said]
    named = LabeledRows(path, [row.line for row, _ in said], texts, answers, None, {})
    return labeled(encoded_rows(named))


def right(
    classifier: Classifier,
    exemplars: LabeledTexts,
    said: LabeledTexts | None,
    rows: LabeledTexts,
    count: int,
) -> list[bool]:
    """For each row whether its label is among the first ``count`` choices."""
    index = classifier.exemplar_model.index(exemplars, said)
    verdicts = classifier.predict(index, rows.vectors, rows.texts)
    return [
        answer in [label for label, _ in verdict.choices[:count]]
        for verdict, answer in zip(verdicts, rows.labels, strict=True)
    ]


def split(rows: LabeledTexts, group: Group, count: int) -> tuple[LabeledTexts, LabeledTexts]:
    """``count`` rows of each category of the group, drawn at random, and its other rows."""
    random = np.random.default_rng(0)
    drawn: list[int] = []
    for label in sorted(group, key=str):
        own = random.permutation(numbers(rows, frozenset([label])))
        drawn += own[:count].tolist()
    rest = np.setdiff1d(numbers(rows, group), drawn)
    return rows.take(np.array(sorted(drawn), dtype=np.intp)), rows.take(rest)


def numbers(rows: LabeledTexts, group: Group) -> Integers:
    return np.array([i for i, label in enumerate(rows.labels) if label in group], dtype=np.intp)


def only(rows: LabeledTexts, group: Group) -> LabeledTexts:
    return rows.take(numbers(rows, group))


def without(rows: LabeledTexts, group: Group) -> LabeledTexts:
    return only(rows, frozenset(rows.labels) - group)
