from __future__ import annotations

import random
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.utils import timezone

from marketplace_ai.admin.automation import active_version
from marketplace_ai.audit import stops
from marketplace_ai.models import Category, Encoder, ExemplarGeneration, JobPosting
from marketplace_ai.review import answers
from tests.faults import scale
from tests.integration.admin.factories import pend
from tests.integration.command_calls import call
from tests.integration.promotion.factories import candidate
from tests.integration.worker_runs import drain, fit


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> random.Random:
    """The test's own choices: the same for the same seed, whatever other tests ran before."""
    print(f"FAULTS_SEED={scale.SEED} makes the same choices again")
    return random.Random(f"{scale.SEED} {request.node.name}")


@pytest.fixture
def full(exemplars: None, settings: Any) -> None:
    """Something in every table that admin shows, as the real pipeline and people leave it."""
    settings.MARKETPLACE_AI_AUDIT_SAMPLE_RATE = 1
    # A test before this one may have emptied all tables, the counter's row with them.
    ExemplarGeneration.objects.get_or_create(pk=1)
    fit()
    # An encoder with a way back, and one that may be promoted again.
    first = Encoder.objects.get().name
    candidate()
    call("activate_encoder", "small")
    call("refit")
    call("activate_encoder", first, dry_run=True)
    user = User.objects.create_user("someone")
    Group.objects.create(name="some")
    jobs = [
        JobPosting.objects.create(title=title, description="Gjerne snart")
        for title in ("Male stue", "Klippe gress", "Bytte kran")
    ]
    drain()
    answers.answer(jobs[2].pk, Category.objects.get(slug="rorlegger").pk, user)
    for title in ("Vent litt", "Går ikke"):
        waiting = JobPosting.objects.create(title=title)
        pend(waiting, failed_at=timezone.now() if title == "Går ikke" else None, last_error="nei")
    version = active_version()
    assert version is not None
    row = version.figures["categories"][0]
    for rule, fields in (
        ("automatic", {}),
        ("automatic", {"key": row["key"], "name": row["name"]}),
    ):
        made = stops.stop(
            version, rule, Category.objects.get(slug=row["key"]).pk if fields else None,
            user=user, reason="Prøve", **fields,
        )  # fmt: skip
        assert made is not None
    Encoder.objects.update(prompts={"query": "query: "}, metrics={"set": "nb"})
