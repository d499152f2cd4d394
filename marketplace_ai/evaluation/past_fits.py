"""Fits of the past: what each would have made of the rows that came after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime

import numpy as np
import numpy.typing as npt

from marketplace_ai.classifier import Classifier, LabeledTexts
from marketplace_ai.classifier.automatic_rows import automatic_rows
from marketplace_ai.encoding.progress import Progress, silent
from marketplace_ai.guarantee.target import DEFAULT_TARGET, Target
from marketplace_ai.text.circles import Parents
from marketplace_ai.text.normalize import is_blank

from .dated_rows import DatedRows
from .fit_scores import score_new_rows
from .time_periods import NoCutError, choose_cuts, periods_of

Codes = npt.NDArray[np.intp]
Bools = npt.NDArray[np.bool_]
#: Fits that are made unless somebody says otherwise; each costs as much as an evaluation.
MAX_FITS = 6


@dataclass(frozen=True, slots=True)
class PastFit:
    """A fit on ``exemplars`` rows of so many ``categories``, all before ``cut``, with a guarantee
    for a share of them (``guaranteed_coverage``)."""

    cut: datetime
    exemplars: int
    categories: int
    guaranteed_coverage: float


@dataclass(frozen=True, eq=False)
class LaterRows:
    """What fits made of later rows: one entry for each fit and row, all (d,).

    ``fit`` is its number, ``period`` that of the time since; ``row``, ``family`` and ``label`` (the
    first) are numbers, the last -1 for a row that fits no category. ``new_category``: the fit knew
    none of those that the row fits. ``right``: the best category is one of these. ``automatic``
    rows need no person, and are ``automatic_right`` or wrong.
    """

    fit: Codes
    period: Codes
    row: Codes
    family: Codes
    label: Codes
    new_category: Bools
    right: Bools
    automatic: Bools
    automatic_right: Bools


@dataclass(frozen=True, eq=False)
class PastFits:
    """Fits of the past, and what they made of ``later`` rows.

    ``undated`` rows could be asked about by none; ``kin`` counts the later rows, once for each fit,
    that were left out because it had learned one of their family.
    """

    target: Target
    fits: Sequence[PastFit]
    later: LaterRows
    undated: int
    kin: int


def fit_in_the_past(
    dated: DatedRows,
    *,
    parents: Parents | None = None,
    target: Target = DEFAULT_TARGET,
    limit: int = MAX_FITS,
    seed: int = 0,
    progress: Progress = silent,
) -> PastFits:
    """At each of at most ``limit`` moments fit on what came before, and decide what came later.

    Raises NoCutError where no row is later than what a fit could be made of.
    """
    cuts = choose_cuts(dated.dates_of(dated.teaches), dated.dates_of(dated.asked), limit)
    fits: list[PastFit] = []
    found: list[LaterRows] = []
    kin = 0
    with progress("Fitting in the past", len(cuts)) as advance:
        for cut in cuts:
            before = np.array([moment is None or moment < cut for moment in dated.dates])
            teaches, calibrates = (rows[before[rows]] for rows in (dated.teaches, dated.calibrates))
            exemplars = dated.texts.take(teaches)
            later = dated.asked[~before[dated.asked]]
            learned = dated.families[np.concatenate([teaches, calibrates])]
            new = later[~np.isin(dated.families[later], learned)]
            kin += len(later) - len(new)
            if len(new) and any(exemplars.labels):
                classifier = Classifier.fit(
                    exemplars, dated.texts.take(calibrates), target=target, parents=parents,
                    seed=seed,
                )  # fmt: skip
                found.append(_decide(classifier, exemplars, dated, new, cut, len(fits)))
                fits.append(
                    PastFit(
                        cut, len(exemplars), len({*exemplars.labels} - {None}),
                        classifier.guarantee.automatic.coverage,
                    )
                )  # fmt: skip
            advance(1)
    if not fits:
        raise NoCutError(
            "All later rows are kin of earlier ones, or no earlier row has a category, so no past "
            "fit has anything to decide: add rows."
        )
    columns = ([getattr(each, field.name) for each in found] for field in fields(LaterRows))
    later_rows = LaterRows(*map(np.concatenate, columns))
    return PastFits(target, fits, later_rows, dated.dates_of(dated.asked).count(None), kin)


def _decide(
    classifier: Classifier,
    exemplars: LabeledTexts,
    dated: DatedRows,
    rows: Codes,
    cut: datetime,
    number: int,
) -> LaterRows:
    """What a fit makes of the numbered rows; a blank one fits nothing, as in a worker."""
    texts = dated.texts.take(rows)
    scores, classes = score_new_rows(classifier, exemplars, texts), classifier.classes
    says_something = np.array([not is_blank(text) for text in texts.texts])
    categories = scores.pooled.copy()
    categories[:, classes.index(None)] = -1.0
    best = [classes[code] for code in categories.argmax(axis=1)]
    first = [classes[code] for code in scores.first_choice]
    automatic = says_something & automatic_rows(
        classifier.guarantee, classes, scores.first_choice, scores.probability
    )
    true_labels = [dated.true_labels[row] for row in rows.tolist()]
    known = set(exemplars.labels)
    return LaterRows(
        np.full(len(rows), number),
        np.array(periods_of([moment for moment in dated.dates_of(rows) if moment], cut)),
        rows,
        dated.families[rows],
        dated.label_codes[rows],
        np.array([bool(labels) and known.isdisjoint(labels) for labels in true_labels]),
        says_something & _among(best, true_labels),
        automatic,
        automatic & _among(first, true_labels),
    )


def _among(labels: Sequence[str | None], true_labels: Sequence[tuple[str, ...]]) -> Bools:
    return np.array([label in true for label, true in zip(labels, true_labels, strict=True)])
