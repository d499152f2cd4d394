"""Sessions that meet at every step: two workers, hosts that edit and delete, people who choose."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.urls import reverse

from marketplace_ai.adapter import get_adapter
from marketplace_ai.encoding import DummyEncoder
from marketplace_ai.models import (
    Category,
    Decision,
    Exemplar,
    ExemplarState,
    JobPosting,
    Outcome,
    PostingEmbedding,
    QueuedPosting,
)
from marketplace_ai.review.answers import answer
from marketplace_ai.serving.active_model import ModelLoader
from marketplace_ai.text.normalize import digest
from tests.acceptance import ledger, workers
from tests.faults import stepping
from tests.faults.scale import scaled
from tests.faults.stepping import Actor, play
from tests.faults_app import points

pytestmark = pytest.mark.django_db(transaction=True)

Program = Callable[[Actor], None]


@pytest.fixture
def encoded(automatic: None) -> Iterator[list[str]]:
    """The texts that were encoded, in order; workers in this process stop at their points."""
    ModelLoader().refresh()
    texts: list[str] = []
    plain = DummyEncoder.encode

    def encode(encoder: DummyEncoder, given: Any) -> Any:
        texts.extend(given)
        return stopping(encoder, given)

    points.install(stepping.reached)
    stopping = DummyEncoder.encode
    setattr(DummyEncoder, "encode", encode)  # noqa: B010
    try:
        yield texts
    finally:
        points.uninstall()
        assert DummyEncoder.encode is plain


@pytest.fixture
def residents(encoded: list[str]) -> list[ModelLoader]:
    """What three workers keep in memory from trial to trial."""
    return [ModelLoader() for _ in range(3)]


class Host:
    """Writes postings, each time with a text that never was."""

    def __init__(self, rng: random.Random) -> None:
        self.rng, self.texts = rng, 0

    def text(self) -> str:
        self.texts += 1
        start = self.rng.choice(["Male stue", "Klippe gress", "Bytte kran", "Hei"])
        return f"{start} nummer {self.texts}"

    def insert(self) -> int:
        text = self.text()
        way = self.rng.randrange(3)
        if way == 0:
            return JobPosting.objects.create(title=text).pk
        if way == 1:
            return JobPosting.objects.bulk_create([JobPosting(title=text)])[0].pk
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO marketplace_ai_jobposting (title) VALUES (%s) RETURNING id", [text]
            )
            return int(cursor.fetchone()[0])

    def edit(self, job: int) -> None:
        if self.rng.random() < 0.5:
            JobPosting.objects.filter(pk=job).update(title=self.text())
        else:
            posting = JobPosting.objects.filter(pk=job).first()
            if posting is not None:
                posting.title = self.text()
                posting.save(update_fields=["title"])

    def delete(self, job: int) -> None:
        JobPosting.objects.filter(pk=job).delete()


def host(world: Host, jobs: list[int], steps: int = 4) -> Program:
    """Inserts, edits and deletes, each committed, or left open for a step, or rolled back."""
    rng = world.rng

    def work(actor: Actor) -> None:
        for _ in range(steps):
            act = rng.choice([world.insert, world.edit, world.edit, world.delete])
            undo = rng.random() < 0.3
            try:
                with transaction.atomic():
                    if act == world.insert:
                        world.insert()
                    else:
                        act(rng.choice(jobs))
                    if rng.random() < 0.5:
                        actor.pause("an open transaction")
                    if undo:
                        raise _UndoError
            except _UndoError:
                pass
            actor.pause("between two transactions")

    return work


class _UndoError(Exception):
    pass


def lease_over(actor: Actor) -> None:
    """As when a worker was frozen for longer than its lease."""
    for _ in range(2):
        QueuedPosting.objects.exclude(token=None).update(lease_expires_at="2026-01-01T00:00Z")
        actor.pause("it is over")


def check(url: str, steps: list[str]) -> None:
    assert ledger.queue(url) == ledger.Queue(0, 0, 0), steps
    faults = {name: keys for name, keys in ledger.read(url).faults().items() if keys}
    assert not faults, (faults, steps)
    for vector in PostingEmbedding.objects.select_related("posting"):
        present = digest(get_adapter().encoder_input(vector.posting))
        assert bytes(vector.text_digest) == present, ("an older text", vector.posting_id, steps)


def test_two_workers_and_a_host_in_any_order(
    rng: random.Random, residents: list[ModelLoader]
) -> None:
    """Both workers may hold one row, since its lease may be over; there is one effect."""
    url, world = workers.database(), Host(rng)
    before = stepping.deadlocks(url)
    for _ in range(scaled(30, 300)):
        jobs = [world.insert() for _ in range(2)]
        actors = [
            Actor("a", stepping.queue_worker(residents[0])),
            Actor("b", stepping.queue_worker(residents[1])),
            Actor("host", host(world, jobs)),
            Actor("lease", lease_over),
        ]
        steps = play(url, actors, stepping.at_random(rng))
        stepping.drain(residents[2])
        check(url, steps)
        JobPosting.objects.all().delete()
    assert stepping.deadlocks(url) == before


def test_both_hold_one_row_and_the_first_writes_last(residents: list[ModelLoader]) -> None:
    url = workers.database()
    job = JobPosting.objects.create(title="Male stue")
    tokens: list[Any] = []
    late: list[int] = []

    def between(actor: Actor) -> None:
        tokens.append(QueuedPosting.objects.get().token)
        QueuedPosting.objects.update(lease_expires_at="2026-01-01T00:00Z")
        actor.pause("its lease is over")
        tokens.append(QueuedPosting.objects.get().token)
        actor.pause("both hold it")
        late.append(Decision.objects.count())

    actors = [
        Actor("a", stepping.queue_worker(residents[0], turns=1)),
        Actor("b", stepping.queue_worker(residents[1], turns=1)),
        Actor("lease", between),
    ]
    play(url, actors, stepping.in_order("a", "lease", "b", "lease", *["a"] * 6, "lease"))
    assert tokens[0] is not None
    assert None is not tokens[1] != tokens[0], "they did not both hold it"
    assert late == [0], "the late write counted, though its claim was lost"
    stepping.drain(residents[2])
    ledger.assert_exactly_once(url, 1)
    assert Decision.objects.get().posting_id == job.pk


def test_an_edit_while_encoding_costs_one_more_encode(
    encoded: list[str], residents: list[ModelLoader]
) -> None:
    job = JobPosting.objects.create(title="Male stue")

    def edit(actor: Actor) -> None:
        JobPosting.objects.filter(pk=job.pk).update(title="Klippe gress")

    actors = [Actor("a", stepping.queue_worker(residents[0], turns=1)), Actor("host", edit)]
    play(workers.database(), actors, stepping.in_order("a", "host", "a"))
    stepping.drain(residents[2])
    assert encoded == ["Male stue", "Klippe gress"]
    assert Decision.objects.count() == 1, "what was encoded of the older text was written"
    ledger.assert_exactly_once(workers.database(), 1)


class Person:
    """Gives a posting a category of their own, on one of the roads there are."""

    def __init__(self, rng: random.Random, category: Category, client: Client) -> None:
        self.rng, self.category, self.client = rng, category, client

    def choose(self, job: int) -> Program:
        road = self.rng.choice([self.orm, self.stale, self.sql, self.answer, self.admin])

        def work(actor: Actor) -> None:
            road(job, actor)

        return work

    def orm(self, job: int, actor: Actor) -> None:
        JobPosting.objects.filter(pk=job).update(category=self.category)

    def stale(self, job: int, actor: Actor) -> None:
        """A form that was open while the machine wrote."""
        posting = JobPosting.objects.get(pk=job)
        actor.pause("the form is open")
        posting.category = self.category
        posting.save()

    def sql(self, job: int, actor: Actor) -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                "UPDATE marketplace_ai_jobposting SET category_id = %s WHERE id = %s",
                [self.category.pk, job],
            )
            actor.pause("an open transaction")

    def answer(self, job: int, actor: Actor) -> None:
        answer(job, self.category.pk, None)

    def admin(self, job: int, actor: Actor) -> None:
        url = reverse("admin:marketplace_ai_jobposting_answer", args=[job])
        response = self.client.post(url, {"answer": "choose", "category": self.category.pk})
        assert response.status_code == 302


def test_a_persons_category_stands_whenever_it_is_set(
    rng: random.Random, residents: list[ModelLoader]
) -> None:
    url, world = workers.database(), Host(rng)
    chosen = Category.objects.create(slug="annet", name="Annet")
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("moderator"))
    machine = 0
    for _ in range(scaled(50, 1000)):
        job = world.insert()
        person = Person(rng, chosen, client)

        def edit(actor: Actor, job: int = job) -> None:
            world.edit(job)

        actors = [
            Actor("a", stepping.queue_worker(residents[0])),
            Actor("b", stepping.queue_worker(residents[1], turns=1)),
            Actor("person", person.choose(job)),
            Actor("host", edit),
        ]
        steps = play(url, actors, stepping.later(rng, "person", 40))
        for _ in range(2):
            assert JobPosting.objects.get(pk=job).category_id == chosen.pk, steps
            stepping.drain(residents[2])
            world.edit(job)
        machine += Decision.objects.filter(outcome=Outcome.AUTOMATIC).exists()
        JobPosting.objects.all().delete()
        Exemplar.objects.filter(category=chosen).delete()
    assert machine, "the machine wrote no category in any trial"


def test_categories_and_exemplars_change_at_any_step(
    rng: random.Random, residents: list[ModelLoader], catalog: dict[str, Category]
) -> None:
    """A decision falls to a category that lives, or to a person; old ones stay readable."""
    url, world, machine = workers.database(), Host(rng), 0
    painting = catalog["maling"]

    def delete() -> None:
        Category.objects.filter(pk=painting.pk).delete()

    def delete_by_sql() -> None:
        with connection.cursor() as cursor:
            # Of this category alone: to clear another is a person's word, which stands.
            cursor.execute(
                "UPDATE marketplace_ai_jobposting SET category_id = NULL WHERE category_id = %s",
                [painting.pk],
            )
            cursor.execute("DELETE FROM marketplace_ai_category WHERE id = %s", [painting.pk])

    def move() -> None:
        Category.objects.filter(pk=painting.pk).update(parent=catalog["hage"])

    def rename() -> None:
        Category.objects.filter(pk=painting.pk).update(slug="malearbeid", name="Malearbeid")

    def quarantine() -> None:
        Exemplar.objects.filter(category=painting).update(state=ExemplarState.QUARANTINED)

    for _ in range(scaled(20, 150)):
        job = JobPosting.objects.create(title=f"Male stue {world.text()}").pk
        acts = rng.sample([delete, delete_by_sql, move, rename, quarantine], 2)

        def change(actor: Actor, acts: list[Callable[[], None]] = acts) -> None:
            for act in acts:
                # The host's own key says no where the machine has just used the category.
                with suppress(IntegrityError), transaction.atomic():
                    act()
                    actor.pause("an open transaction")
                actor.pause("between two transactions")

        actors = [
            Actor("a", stepping.queue_worker(residents[0])),
            Actor("host", lambda actor, job=job: world.edit(job)),
            Actor("taxonomist", change),
        ]
        steps = play(url, actors, stepping.at_random(rng))
        stepping.drain(residents[2])
        check(url, steps)
        machine += Decision.objects.filter(outcome=Outcome.AUTOMATIC).exists()
        for decision in Decision.objects.exclude(outcome=Outcome.REVIEW):
            assert decision.category_key or decision.outcome == Outcome.NONE, steps
        JobPosting.objects.all().delete()
        # As before, with the key by which the classifier knows it.
        Category.objects.filter(pk=painting.pk).delete()
        painting.save(force_insert=True)
        Exemplar.objects.filter(text__startswith="Mal").update(
            category=painting, category_key="maling", state=ExemplarState.ACTIVE
        )
    assert machine, "the machine wrote no category in any trial"
