"""A candidate is built while workers are killed: no posting is lost for either encoder."""

from __future__ import annotations

import random
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest

from marketplace_ai.models import (
    Decision,
    Encoder,
    EncoderState,
    ExemplarEmbedding,
    JobPosting,
    PromotionKind,
    ShadowDecision,
)
from marketplace_ai.promotion import promote, shadow_mode
from marketplace_ai.versions import activation
from tests.acceptance import ledger, workers
from tests.faults.postings import create, settled, waiting
from tests.faults.scale import scaled
from tests.faults_app import fates, points
from tests.integration.encoders.factories import candidate, state, vectors
from tests.integration.promotion.test_shadow_mode import fit_and_activate
from tests.integration.queue.scan_helpers import older

pytestmark = pytest.mark.django_db(transaction=True)


def test_workers_killed_while_one_is_built_and_one_takes_its_place(
    rng: random.Random, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at points of a batch, of whichever encoder it is, and at seeded times, while it is
    built; then it becomes active while they go on being killed, and what was active before stays
    current."""
    url = workers.database()
    before = Encoder.objects.get()
    old = [job.pk for job in older(scaled(200, 1500))]
    encoder = candidate()
    fit_and_activate(encoder)
    shadow_mode.set_shadow_mode(encoder, True)
    kills = scaled(3, 30)
    doom = [(point, rng.randint(1, 4), signal.SIGKILL) for point in points.POINTS]
    while len(doom) < kills:
        doom.append((fates.CLOCK, rng.randint(0, 100), signal.SIGKILL))
    rng.shuffle(doom)
    # Of the candidate's batches alone at first: there is no other work before postings come. (The
    # first of what is encoded are its trial and its exemplars.)
    building = [(points.ENCODED, passes, signal.SIGKILL) for passes in scaled((3, 5), (3, 4, 5, 6))]
    folder = fates.write(tmp_path / "fates", building)
    environment = workers.environment(
        url, lease_seconds=3600, claim_size=20, poll_interval_seconds=0.05, FAULTS_SECONDS=0.003,
        FAULTS_FATES=str(folder),
    )  # fmt: skip
    postings = 0
    with ExitStack() as stack:
        both = [
            stack.enter_context(workers.celery(tmp_path / name, environment, "--pool", "solo"))
            for name in ("a", "b")
        ]

        def fed() -> bool:
            nonlocal postings
            if fates.left(folder) and waiting(url) < 100:
                postings += create(postings, each=scaled(5, 20))
            return not fates.left(folder) and settled(url)

        both[0].wait_for(lambda: not fates.left(folder), "no batch of the candidate is worked on")
        fates.write(folder, doom)
        for one in both:
            one.kill(part="process_pending")  # each restarted worker gets one of these fates
        both[0].wait_for(fed, "the queue does not drain")
        both[0].wait_for(lambda: state(encoder) == EncoderState.READY, "it does not become ready")
        assert vectors(encoder) == set(JobPosting.objects.values_list("pk", flat=True))
        missing = ExemplarEmbedding.objects.filter(encoder=before).exclude(
            exemplar__in=ExemplarEmbedding.objects.filter(encoder=encoder).values("exemplar")
        )
        assert not missing.exists()
        assert not Decision.objects.exclude(encoder=before).exists()
        assert ShadowDecision.objects.exists()
        postings += create(postings, each=scaled(5, 20))
        # What waits for review is not decided again here: each posting once.
        monkeypatch.setattr(activation, "requeue_reviews", lambda: 0)
        last = scaled(rng.sample(points.POINTS, 2), points.POINTS)
        fates.write(folder, [(point, 1, signal.SIGKILL) for point in last])
        record = promote.PromotionRecord(PromotionKind.PROMOTED)
        promote.switch_encoder(encoder, expected=before, record=record)
        for one in both:
            one.kill(part="process_pending")
        postings += create(postings, each=scaled(5, 20))
        both[0].wait_for(fed, "the queue does not drain while workers are killed")
        both[0].wait_for(lambda: settled(url), "the queue does not drain after the switch")
    JobPosting.objects.filter(pk__in=old).delete()  # which nobody was to decide
    ledger.assert_exactly_once(url, postings)
    by = set(Decision.objects.values_list("encoder", flat=True))
    assert by == {before.pk, encoder.pk}
