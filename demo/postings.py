"""The sample postings: created as a host would, watched until decided, scored."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from marketplace_ai.models import AuditedPosting, Decision, JobPosting, Outcome, QueuedPosting
from marketplace_ai.text.category_cells import NONE
from marketplace_ai.text.csv_files import Row, read_csv

DATA = Path(__file__).resolve().parent / "data"
#: Seconds after which postings that are still undecided mean that the worker is not working.
PATIENCE = 300.0


@dataclass(frozen=True, slots=True)
class Sample:
    """A posting of ours with its right answer, which the program never sees."""

    job: JobPosting
    answer: str


@dataclass(slots=True)
class Summary:
    """What became of the sample postings; every count is of postings."""

    postings: int = 0
    automatic: int = 0
    automatic_parent: int = 0
    review: int = 0
    none: int = 0
    none_rows_untagged: int = 0
    automatic_correct: int = 0
    first_choice_correct: int = 0
    seconds_setup: float = 0.0
    seconds_tagging: float = 0.0

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


def rows() -> list[Row]:
    return read_csv(DATA / "postings_nb.csv", ("title", "description", "category"))


def remove() -> None:
    """Sample postings of an earlier run, with decisions, audits and exemplars made of them."""
    samples = JobPosting.objects.filter(title__in=[row["title"] for row in rows()])
    AuditedPosting.objects.filter(posting__in=samples).delete()  # it would outlive them
    samples.delete()


def create() -> list[Sample]:
    """One ordinary ``save()`` a posting, as a marketplace's own view would."""
    return [
        Sample(
            JobPosting.objects.create(title=row["title"], description=row["description"]),
            row["category"],
        )
        for row in rows()
    ]


def existing() -> list[Sample]:
    """Those of an earlier run, if all are there."""
    answers = {(row["title"], row["description"]): row["category"] for row in rows()}
    jobs = JobPosting.objects.filter(title__in=[title for title, _ in answers])
    found = {(j.title, j.description): j for j in jobs}
    if not answers.keys() <= found.keys():
        return []
    return [Sample(found[key], answer) for key, answer in answers.items()]


def wait(samples: list[Sample], advance: Callable[[int], None]) -> None:
    """Until each has a decision or has failed; TimeoutError when that takes too long."""
    ids = [sample.job.pk for sample in samples]
    done, started = 0, time.monotonic()
    while done < len(ids):
        now = Decision.objects.filter(posting_id__in=ids, is_current=True).count()
        now += QueuedPosting.objects.failed().filter(posting_id__in=ids).count()
        advance(now - done)
        done = now
        if time.monotonic() - started > PATIENCE:
            raise TimeoutError(f"{len(ids) - done} postings are still undecided.")
        if done < len(ids):
            time.sleep(0.1)


def summarize(samples: list[Sample]) -> tuple[Summary, list[tuple[Sample, Decision]]]:
    """Counts, and each posting with its decision."""
    decisions = {
        decision.posting_id: decision
        for decision in Decision.objects.filter(
            posting_id__in=[sample.job.pk for sample in samples], is_current=True
        )
    }
    decided = [(s, decisions[s.job.pk]) for s in samples if s.job.pk in decisions]
    summary = Summary(postings=len(samples))
    for sample, decision in decided:
        outcome = Outcome(decision.outcome)
        tagged = outcome in (Outcome.AUTOMATIC, Outcome.AUTOMATIC_PARENT)
        if outcome in (Outcome.AUTOMATIC, Outcome.AUTOMATIC_PARENT, Outcome.REVIEW, Outcome.NONE):
            setattr(summary, outcome.value, getattr(summary, outcome.value) + 1)
        if sample.answer == NONE:
            summary.none_rows_untagged += not tagged
            continue
        if outcome is Outcome.AUTOMATIC and decision.category_key == sample.answer:
            summary.automatic_correct += 1
        first = next((key for key in decision.choice_keys if key), "")
        summary.first_choice_correct += first == sample.answer
    return summary, decided
