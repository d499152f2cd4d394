"""The rows of the set-based write equal those of a plain reference, one posting at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from django.utils import timezone

from marketplace_ai.adapter import get_adapter
from marketplace_ai.encoders import active
from marketplace_ai.models import (
    Category,
    Decision,
    Encoder,
    JobPosting,
    Outcome,
    PostingEmbedding,
    QueuedPosting,
)
from marketplace_ai.ownership import Owner, owner
from marketplace_ai.queue import claim as claims
from marketplace_ai.queue import intake
from marketplace_ai.queue.lease import Liveness
from marketplace_ai.queue.proposal import EncodedPosting, Proposal
from marketplace_ai.queue.write import write
from marketplace_ai.text.normalize import digest

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

FIELDS = [
    "category_id", "category_key", "category_name", "probability", "threshold", "outcome",
    "machine_category_id", "is_answered", "text_digest", "head_share", "is_current",
    "match_exemplars", "match_similarities", "match_shares", "choice_keys",
    "choice_probabilities", "encoder_id",
    "classifier_id", "decided_by_id", "second_category_keys",
]  # fmt: skip


@pytest.fixture
def categories(db: None) -> list[Category]:
    existing = [
        Category.objects.create(slug=f"c{n}", name=f'Øvre "{n}" \\ {{x}},') for n in range(6)
    ]
    deleted = Category.objects.create(slug="gone", name="borte")
    deleted_id = deleted.pk
    deleted.delete()
    return [*existing, Category(pk=deleted_id)]


def proposals(categories: list[Category], random: np.random.Generator) -> list[Proposal]:
    """Every outcome, with none to twenty matches, and choices that were deleted."""
    keys = [category.pk for category in categories]
    result = [
        Proposal(Outcome.NONE, None),
        Proposal(Outcome.REVIEW, None),
        Proposal(Outcome.AUTOMATIC, keys[-1], 0.9, 0.8),
        Proposal(
            Outcome.AUTOMATIC, keys[0], 0.98, 0.9,
            matches=((2**53 + 1, 1.0, 1e-60), (7, -0.25, 1 / 3)), own_share=-1e-9,
            choices=((None, 1e-50), (keys[-1], 0.5), (keys[0], 0.98)),
        ),
    ]  # fmt: skip
    outcomes = (Outcome.AUTOMATIC, Outcome.AUTOMATIC_PARENT, Outcome.REVIEW, Outcome.NONE)
    for number in range(40):
        outcome = outcomes[number % 4]
        shares = np.sort(random.random(number % 21))[::-1]
        chosen = [keys[int(i)] for i in random.permutation(len(keys))[: number % 5]]
        result.append(
            Proposal(
                outcome,
                None if outcome == Outcome.NONE else keys[number % len(keys)],
                float(random.random()),
                float(random.random()) if number % 3 else None,
                matches=tuple(
                    (int(i), float(s), float(s) / 20)
                    for i, s in zip(random.integers(1, 2**40, len(shares)), shares, strict=True)
                ),
                own_share=float(random.random()),
                choices=tuple((key, float(random.random())) for key in [*chosen, None]),
                second_categories=tuple(reversed(chosen[:3])),
            )
        )
    return result


def expected(
    job: JobPosting, encoder: Encoder, proposal: Proposal, before: Decision | None
) -> tuple[dict[str, Any], int | None]:
    """The decision about one posting as fields, and the category the posting has afterwards."""
    existing = {category.pk: category for category in Category.objects.all()}
    machine = before.machine_category_id if before else None
    machine = machine if machine in existing else None
    answered = before.is_answered if before else False
    owned_by, present = owner(job.category_id, machine, answered), job.category_id
    category = existing.get(proposal.category)
    outcome = proposal.outcome
    if owned_by is Owner.PERSON:
        outcome = Outcome.HUMAN_OVERRIDE
    elif owned_by is Owner.CLEARED or (proposal.category is not None and category is None):
        outcome = Outcome.REVIEW
    if outcome in (Outcome.AUTOMATIC, Outcome.AUTOMATIC_PARENT, Outcome.NONE):
        present = machine = category.pk if category else None
    elif outcome == Outcome.HUMAN_OVERRIDE:
        machine, answered = None, True
    elif present is not None:
        present = machine = None
    single = np.float32
    choices = [(key, p) for key, p in proposal.choices if key is None or key in existing]
    fields = {
        "category_id": category.pk if category else None,
        "category_key": category.slug if category else "",
        "category_name": str(category) if category else "",
        "probability": proposal.probability,
        "threshold": proposal.threshold,
        "outcome": outcome,
        "machine_category_id": machine,
        "is_answered": answered,
        "text_digest": digest(get_adapter().encoder_input(job)),
        "head_share": proposal.own_share,
        "is_current": True,
        "match_exemplars": [m[0] for m in proposal.matches],
        "match_similarities": [single(m[1]) for m in proposal.matches],
        "match_shares": [single(m[2]) for m in proposal.matches],
        "choice_keys": [existing[key].slug if key is not None else "" for key, _ in choices],
        "choice_probabilities": [single(p) for _, p in choices],
        "second_category_keys": [
            existing[key].slug
            for key in proposal.second_categories
            if key in existing and key != proposal.category
        ],
        "encoder_id": encoder.pk,
        "classifier_id": None,
        "decided_by_id": None,
    }
    return fields, present


def test_a_batch_written_at_once_equals_one_posting_at_a_time(
    categories: list[Category], settings: Any
) -> None:
    random = np.random.default_rng(5)
    batch_proposals = proposals(categories, random)
    settings.MARKETPLACE_AI_CLAIM_SIZE = len(batch_proposals)
    encoder, _ = active.ensure_active()
    JobPosting.objects.bulk_create(
        [JobPosting(title=f"Male rom {n}") for n in range(len(batch_proposals))]
    )
    jobs = list(JobPosting.objects.order_by("pk"))
    # Earlier decisions: none, the machine's category (kept or cleared), a person's answer, a
    # person's category.
    for number, job in enumerate(jobs):
        kind, category = number % 6, categories[number % 5]
        if kind in (1, 2, 3):
            Decision.objects.create(
                posting=job, outcome=Outcome.AUTOMATIC, machine_category=category,
                category=category, is_answered=kind == 3, text_digest=b"",
                decided_at=timezone.now(),
            )  # fmt: skip
        if kind in (1, 3, 4):
            job.category = category
            JobPosting.objects.filter(pk=job.pk).update(category=category)
    intake.collect()
    liveness = Liveness()
    claimed = claims.claim(liveness.acquire())
    liveness.close()
    assert claimed is not None
    rows = {row.posting_id: row.id for row in claimed.rows}
    vectors = random.standard_normal((len(batch_proposals), encoder.dimension)).astype(np.float32)
    batch, reference = [], {}
    for job, proposal, vector in zip(jobs, batch_proposals, vectors, strict=True):
        before = Decision.objects.filter(posting=job, is_current=True).first()
        reference[job.pk] = expected(job, encoder, proposal, before)
        text = digest(get_adapter().encoder_input(job))
        batch.append(EncodedPosting(rows[job.pk], job.pk, text, vector, proposal))

    written = write(claimed, encoder, None, batch)

    assert (written.decided, written.vectors) == (len(batch_proposals), len(batch_proposals))
    decided = Decision.objects.filter(is_current=True).values("posting_id", *FIELDS)
    assert len(decided) == len(batch_proposals)
    for row in decided:
        fields, _present = reference[row.pop("posting_id")]
        row["text_digest"] = bytes(row["text_digest"])
        assert row == fields
    for job, vector in zip(jobs, vectors, strict=True):
        stored = PostingEmbedding.objects.get(posting=job, encoder=encoder)
        assert np.array_equal(stored.vector, vector.astype(np.float16).astype(np.float32))
        job.refresh_from_db()
        assert job.category_id == reference[job.pk][1]
    assert not QueuedPosting.objects.exists()
    assert Decision.objects.filter(is_current=False).count() == sum(
        n % 6 in (1, 2, 3) for n in range(len(batch_proposals))
    )
