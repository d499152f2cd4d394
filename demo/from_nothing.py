"""The demo without an exemplar: what names and scopes alone propose, and what answers add."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from django.core.management import call_command

from marketplace_ai.imports.common import categories_by_key
from marketplace_ai.models import (
    Decision,
    Exemplar,
    ExemplarSource,
    JobPosting,
    Outcome,
    PostingChange,
    QueuedPosting,
)
from marketplace_ai.review.answers import answer
from marketplace_ai.text.category_cells import NONE
from marketplace_ai.text.csv_files import Row, read_csv

from . import postings
from .postings import DATA, PATIENCE, Sample

#: Older postings answered before each fit, all in all; the last fit has every one of the file.
STEPS = (0, 40, 120, 300, 678)
#: Of the order in which they are answered.
SEED = 7


@dataclass(frozen=True, slots=True)
class Step:
    """What is proposed for the sample postings after so many answers to others."""

    answers: int
    #: Sample postings that fit a category; the next two counts are of them.
    with_category: int
    first_choice_correct: int
    in_first_three: int
    automatic: int
    automatic_correct: int


def has_labels() -> bool:
    """Whether somebody has labeled texts here, other than as answers to the demo's postings."""
    labeled = Exemplar.objects.exclude(source=ExemplarSource.DESCRIPTION)
    titles = [row["title"] for row in (*_older_rows(), *postings.rows())]
    return labeled.exclude(posting__title__in=titles).exists()


def forget() -> None:
    """Remove the postings of an earlier run, and the answers about them."""
    postings.remove()
    JobPosting.objects.filter(title__in=[row["title"] for row in _older_rows()]).delete()


def older_postings() -> list[Sample]:
    """Postings that people will answer, created anew, in a shuffled order."""
    rows = _older_rows()
    Random(SEED).shuffle(rows)  # noqa: S311 (an order, no secret)
    return [
        Sample(
            JobPosting.objects.create(title=row["title"], description=row["description"]),
            row["category"],
        )
        for row in rows
    ]


def _older_rows() -> list[Row]:
    return read_csv(DATA / "calibration_nb.csv", ("title", "description", "category"))


def learn(
    samples: list[Sample], older: list[Sample], user: Any, advance: Callable[[int], None]
) -> Iterator[Step]:
    """Answer older postings as a person would, fit, and let the sample postings be decided again.

    ``advance`` gets the number of answers since it was called last. Raises TimeoutError where the
    worker does not go on.
    """
    categories = categories_by_key()
    answered = 0
    for step in STEPS:
        for posting in older[answered:step]:
            category = None if posting.answer == NONE else categories[posting.answer].pk
            answer(posting.job.pk, category, user)
            advance(1)
        answered = min(step, len(older))
        call_command("fit_classifier", force=True, stdout=io.StringIO())
        wait_until_idle()
        yield _step(samples, answered)


def wait_until_idle() -> None:
    """Until the worker has nothing to do; TimeoutError when that takes too long."""
    ends = time.monotonic() + PATIENCE
    while (
        PostingChange.objects.exists()
        or QueuedPosting.objects.exclude(
            pk__in=QueuedPosting.objects.failed().values("pk")
        ).exists()
    ):
        if time.monotonic() > ends:
            raise TimeoutError("The worker has postings left and does not go on.")
        time.sleep(0.1)


def _step(samples: list[Sample], answers: int) -> Step:
    answer_of = {sample.job.pk: sample.answer for sample in samples}
    first = three = automatic = automatic_correct = 0
    for decision in Decision.objects.filter(posting_id__in=answer_of, is_current=True):
        right = answer_of[decision.posting_id]
        choices = [key for key in decision.choice_keys if key]
        first += choices[:1] == [right]
        three += right in choices[:3]
        if decision.outcome == Outcome.AUTOMATIC:
            automatic += 1
            automatic_correct += decision.category_key == right
    with_category = sum(right != NONE for right in answer_of.values())
    return Step(answers, with_category, first, three, automatic, automatic_correct)
