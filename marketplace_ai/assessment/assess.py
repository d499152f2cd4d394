"""Assess categorized postings: split, fit, predict each row by a fit without its family, count."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from marketplace_ai.classifier import Classifier, LabeledTexts
from marketplace_ai.classifier.families import find_families
from marketplace_ai.classifier.near_duplicates import near_duplicate_groups
from marketplace_ai.encoding.progress import Progress, silent
from marketplace_ai.evaluation.confusions import ConfusedPair, confused_pairs
from marketplace_ai.evaluation.time_figures import TimeFigures
from marketplace_ai.guarantee.target import DEFAULT_TARGET, Target
from marketplace_ai.text.contradictions import Contradiction
from marketplace_ai.text.labeled_csv import LabeledRows
from marketplace_ai.text.normalize import is_blank

from .categories import CategoryFigures, category_figures
from .checks import check_families, check_labels, check_older
from .coverage import PRECISIONS, TargetCoverage, cover
from .first_choice import FirstChoice, count_first_choice
from .over_time import look_over_time
from .predictions import RowPredictions, predict_rows
from .repeats import Repeats, find_repeats
from .savings import Workload, find_workload
from .split import Split, split_rows
from .suspects import SuspectedLabel, find_suspects

Bools = npt.NDArray[np.bool_]
Encode = Callable[[LabeledRows], npt.NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class Assessment:
    """What could be automatic on ``rows`` that say something, and what is wrong with them.

    ``families`` counts the kin among them once. ``held_out`` of them judge what was fitted on the
    others: the newest, since ``since``, or a draw (None); ``newcomers`` of these have a category
    that none of the others has. ``without_category`` rows fit none. ``blank`` are the places of
    rows that say nothing. ``coverages`` are by target precision, the lowest first. ``by_time`` says
    how past fits did at later rows; ``untimed`` why that is None, "" where there are no dates.
    """

    rows: int
    families: int
    held_out: int
    since: datetime | None
    newcomers: int
    without_category: int
    first_choice: FirstChoice
    first_choice_held_out: FirstChoice
    coverages: Sequence[TargetCoverage]
    by_time: TimeFigures | None
    untimed: str
    suspects: Sequence[SuspectedLabel]
    pairs: Sequence[ConfusedPair]
    categories: Sequence[CategoryFigures]
    repeats: Repeats
    contradictions: Sequence[Contradiction]
    blank: Sequence[object]
    workload: Workload | None

    @property
    def usual(self) -> TargetCoverage:
        """The coverage at the target precision that is guaranteed by default."""
        return next(each for each in self.coverages if each.target == DEFAULT_TARGET)

    @property
    def lacking(self) -> list[CategoryFigures]:
        """The categories that lack rows."""
        return [each for each in self.categories if each.missing]


def assess(
    rows: LabeledRows,
    encode: Encode,
    *,
    per_month: float | None = None,
    seconds: float = 20.0,
    seed: int = 0,
    progress: Progress = silent,
) -> Assessment:
    """Assess labeled rows; ``encode`` gives the unit vectors (n, d) of those it is called with.

    ``per_month`` postings (None: at the rate of the rows' dates) take a person ``seconds`` each.
    Raises AssessmentError where there is too little to fit on.
    """
    says_something = [not is_blank(text) for text in rows.texts]
    blank = [line for line, fine in zip(rows.lines, says_something, strict=True) if not fine]
    read = rows.take(np.flatnonzero(says_something).tolist())
    check_labels(read)
    with progress("Looking for repeats", len(read)) as advance:
        by_text = near_duplicate_groups(read.texts)
        families = find_families(read.texts, given=read.families, by_text=by_text)
        advance(len(read))
    check_families(read, families)
    codes = np.unique([label or "" for label in read.labels], return_inverse=True)[1]
    split = split_rows(families, codes, read.dates, seed)
    check_older(read, split)
    texts = LabeledTexts(read.texts, encode(read), read.labels, read.families)
    with progress("Fitting on the older, and predicting the newer", len(read)) as advance:
        found = predict_rows(texts, split, seed)
        advance(len(read))
    with progress("Fitting on all", len(read)) as advance:
        final = Classifier.fit(texts, seed=seed)
        advance(len(read))
    by_time = look_over_time(read, texts, families, seed, progress)
    workload = find_workload(per_month, seconds, rows.dates)
    return _count(read, found, final, split, families, by_text, blank, by_time, workload)


def _count(
    read: LabeledRows,
    found: RowPredictions,
    final: Classifier,
    split: Split,
    families: npt.NDArray[np.intp],
    by_text: npt.NDArray[np.intp],
    blank: Sequence[object],
    by_time: tuple[TimeFigures | None, str],
    workload: Workload | None,
) -> Assessment:
    names = [found.classes[code] for code in found.first_choice]
    right = _right(read, names)
    of_category = _right(read, _best_categories(found))
    covered = [
        cover(found, split, final, right, families, Target(precision)) for precision in PRECISIONS
    ]
    usual = [each.target for each, _ in covered].index(DEFAULT_TARGET)
    suspects = find_suspects(read, found)
    places = {each.place for each in suspects}
    suspected = np.array([line in places for line in read.lines], dtype=np.bool_)
    held_out = np.isin(np.arange(len(read)), split.held_out)
    return Assessment(
        rows=len(read),
        families=len(np.unique(families)),
        held_out=len(split.held_out),
        since=split.since,
        newcomers=int((found.y_true < 0).sum()),
        without_category=read.labels.count(None),
        first_choice=count_first_choice(read, of_category, families, np.ones(len(read), np.bool_)),
        first_choice_held_out=count_first_choice(read, of_category, families, held_out),
        coverages=[each for each, _ in covered],
        by_time=by_time[0],
        untimed=by_time[1],
        suspects=suspects,
        pairs=_pairs(read, found),
        categories=category_figures(read.labels, right, covered[usual][1], suspected),
        repeats=find_repeats(by_text, read.texts, read.labels),
        contradictions=read.contradictions(),
        blank=blank,
        workload=workload,
    )


def _right(rows: LabeledRows, names: Sequence[str | None]) -> Bools:
    """Whether each of ``names`` is right for its row; None is, where the row fits none."""
    return np.array(
        [
            name in labels if labels else name is None
            for name, labels in zip(names, rows.true_labels, strict=True)
        ],
        dtype=np.bool_,
    )


def _best_categories(found: RowPredictions) -> list[str | None]:
    return [found.classes[code] for code in found.best_category]


def _pairs(rows: LabeledRows, found: RowPredictions) -> list[ConfusedPair]:
    """Among the rows with a category: "none" is no category that one could be confused with."""
    best = _best_categories(found)
    asked = [row for row, labels in enumerate(rows.true_labels) if labels]
    return confused_pairs([rows.true_labels[row] for row in asked], [best[row] for row in asked])
