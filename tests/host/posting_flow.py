"""A posting's flow through a host's own models: UUID and text keys, other names."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from marketplace_ai.audit import audited_postings, monitor, stops
from marketplace_ai.audit.counted_answers import counted_answers
from marketplace_ai.exemplars import training_corpus
from marketplace_ai.fitting import fit_classifier, labeled_postings
from marketplace_ai.models import (
    AuditedPosting,
    ClassifierVersion,
    Decision,
    Exemplar,
    ExemplarSource,
    Outcome,
    PostingChange,
    PostingEmbedding,
    QueuedPosting,
    get_category_model,
    get_job_model,
)
from marketplace_ai.queue import backfill, trigger
from marketplace_ai.review.answers import answer
from marketplace_ai.serving import active_model
from tests.host.adapter import HostAdapter
from tests.host.models import Job, Section

pytestmark = pytest.mark.django_db

TABLE = '"Jobs of the host"'


def run(sql: str, *values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)


def current(job: Job) -> Decision:
    return Decision.objects.get(posting=job, is_current=True)


def test_the_hosts_models_are_used() -> None:
    assert (get_job_model(), get_category_model()) == (Job, Section)
    assert {status.state for status in trigger.status()} == {"installed"}


def test_the_catalogue_goes_into_the_hosts_tree(sections: dict[str, Section]) -> None:
    assert sections["maling"].pk == "s-maling"
    assert sections["maling"].above == sections["bygg"]


def test_each_way_of_creating_is_decided_and_written(
    fitted: None, sections: Any, drain: Any, say: Any
) -> None:
    Job.objects.create(headline="orm")
    Job.objects.bulk_create([Job(headline="bulk"), Job(headline="bulk too")])
    run(f"INSERT INTO {TABLE} (headline) VALUES ('sql')")
    with (
        connection.cursor() as cursor,
        cursor.copy(f'COPY {TABLE} (headline, "body text") FROM STDIN') as copy,
    ):
        copy.write("copy\tmed tekst\n")
    say(sections["maling"], Outcome.AUTOMATIC)
    drain()
    assert list(Job.objects.values_list("section", flat=True)) == ["s-maling"] * 5
    assert set(Decision.objects.values_list("category_key", "category_name", "outcome")) == {
        ("maling", "Section Maling", "automatic")
    }
    assert Decision.objects.filter(is_current=True).count() == PostingEmbedding.objects.count() == 5
    assert QueuedPosting.objects.count() == PostingChange.objects.count() == 0


def test_the_vote_knows_the_hosts_categories(fitted: None, drain: Any) -> None:
    job = Job.objects.create(headline="Klippe gress", body="hver uke, ring 98765432")
    drain()
    decision = current(job)
    assert decision.category_key == "plen"
    assert decision.category_id == "s-plen"
    assert "plen" in decision.choice_keys
    assert Exemplar.objects.get(pk=decision.matches[0].exemplar_id).category_id == "s-plen"


def test_the_cleaned_text_is_what_counts(fitted: None, drain: Any) -> None:
    job = Job.objects.create(headline="Klippe gress", body="ring 98765432")
    drain()
    answer(job.pk, "s-plen", None)
    assert Exemplar.objects.get(posting=job).text == "Klippe gress\nring"


def test_an_edit_of_the_renamed_column_leads_to_a_new_decision(fitted: None, drain: Any) -> None:
    job = Job.objects.create(headline="Hjelp")
    drain()
    Job.objects.update(body="Klippe gress hver uke")
    drain()
    assert Decision.objects.filter(posting=job).count() == 2
    Job.objects.update(posted_at=timezone.now())
    assert PostingChange.objects.count() == 0


def test_a_draft_waits_until_it_is_published(
    fitted: None, sections: Any, drain: Any, say: Any
) -> None:
    say(sections["maling"], Outcome.AUTOMATIC)
    job = Job.objects.create(headline="Male stue", status=Job.Status.DRAFT)
    drain()
    job.refresh_from_db()
    assert job.section is None
    assert not Decision.objects.exists()
    assert not QueuedPosting.objects.exists()
    Job.objects.update(status=Job.Status.PUBLISHED)
    drain()
    job.refresh_from_db()
    assert job.section == sections["maling"]


@pytest.mark.parametrize("outcome", [Outcome.AUTOMATIC, Outcome.NONE, Outcome.REVIEW])
def test_a_persons_section_is_kept(
    fitted: None, sections: Any, drain: Any, say: Any, outcome: Outcome
) -> None:
    job = Job.objects.create(headline="Male stue", section=sections["plen"])
    say(None if outcome == Outcome.NONE else sections["maling"], outcome)
    drain()
    job.refresh_from_db()
    assert job.section == sections["plen"]
    assert current(job).outcome == Outcome.HUMAN_OVERRIDE


def test_an_automatic_section_that_no_longer_holds_is_taken_back(
    fitted: None, sections: Any, drain: Any, say: Any
) -> None:
    job = Job.objects.create(headline="Male stue")
    say(sections["maling"], Outcome.AUTOMATIC)
    drain()
    Job.objects.update(headline="Noe annet")
    say(sections["plen"], Outcome.REVIEW)
    drain()
    job.refresh_from_db()
    assert job.section is None


def test_an_answer_is_written_and_teaches(fitted: None, sections: Any, drain: Any) -> None:
    job = Job.objects.create(headline="Fjerne vepsebol")
    drain()
    answer(job.pk, "s-hage", None)
    job.refresh_from_db()
    assert job.section == sections["hage"]
    again = Job.objects.create(headline="Fjerne vepsebol")
    drain()
    assert current(again).matches[0].exemplar_id == Exemplar.objects.get(posting=job).pk


def test_a_queued_posting_may_be_deleted_by_sql(fitted: None, drain: Any) -> None:
    from marketplace_ai.queue import intake

    job, other = Job.objects.create(headline="Male tak"), Job.objects.create(headline="Bytte kran")
    assert intake.collect() == 2
    run(f"DELETE FROM {TABLE} WHERE job_uuid = %s", job.pk)
    assert list(QueuedPosting.objects.values_list("posting_id", flat=True)) == [other.pk]
    drain()
    run(f"DELETE FROM {TABLE}")
    assert not Decision.objects.exists()
    assert not PostingEmbedding.objects.exists()


def test_a_deleted_section_leaves_readable_decisions_and_silent_exemplars(
    fitted: None, sections: Any, drain: Any, say: Any
) -> None:
    job = Job.objects.create(headline="Male stue")
    say(sections["maling"], Outcome.AUTOMATIC)
    drain()
    sections["maling"].delete()
    job.refresh_from_db()
    assert job.section is None
    decision = current(job)
    assert decision.category is None
    assert (decision.category_key, decision.category_name) == ("maling", "Section Maling")
    exemplars = Exemplar.objects.filter(category_key="maling")
    assert set(exemplars.values_list("category", "state", "is_none")) == {(None, "orphaned", False)}


def test_a_section_deleted_by_sql_is_the_hosts_own_affair(fitted: None, sections: Any) -> None:
    run("DELETE FROM host_section WHERE ref = 's-plen'")
    left = Exemplar.objects.filter(category_key="plen", state="orphaned")
    assert left.exclude(source=ExemplarSource.DESCRIPTION).count() == 4


def test_truncating_the_hosts_table_takes_all_that_hangs_on_it(
    fitted: None, sections: Any, drain: Any
) -> None:
    """With CASCADE it takes the exemplars too, imported ones included; the rest goes on."""
    Job.objects.create(headline="Male stue")
    drain()
    run(f"SET CONSTRAINTS ALL IMMEDIATE; TRUNCATE {TABLE} CASCADE")
    for model in (Decision, PostingEmbedding, QueuedPosting, Exemplar):
        assert not model.objects.exists()
    assert Section.objects.count() == len(sections)
    job = Job.objects.create(headline="Male stue")
    drain()
    # Nothing but the sections' own words votes any more, in a worker that had the exemplars
    # resident neither.
    assert current(job).outcome == Outcome.REVIEW
    voted = Exemplar.objects.in_bulk(current(job).match_exemplars)
    assert len(voted) == len(current(job).matches)
    assert {exemplar.source for exemplar in voted.values()} == {ExemplarSource.DESCRIPTION}


def test_a_flush_of_all_tables_does_not_mislead_a_living_worker(
    fitted: None, sections: Any, drain: Any
) -> None:
    """As a host's test suite does between tests: the row that numbers changes goes too."""
    first = Job.objects.create(headline="Male stue")
    drain()
    before = {match.exemplar_id for match in current(first).matches}
    run(
        "SET CONSTRAINTS ALL IMMEDIATE;"
        "TRUNCATE marketplace_ai_exemplar, marketplace_ai_exemplargeneration CASCADE"
    )
    Exemplar.objects.create(
        text="Male stue", text_digest=b"x", category_id="s-hage", category_key="hage",
        source=ExemplarSource.IMPORTED,
    )  # fmt: skip
    second = Job.objects.create(headline="Male stue")
    drain()
    matches = [match.exemplar_id for match in current(second).matches]
    assert set(matches) == set(Exemplar.objects.values_list("pk", flat=True))
    assert before.isdisjoint(matches)


def test_exemplars_from_the_hosts_own_postings(
    fitted: None, sections: Any, drain: Any, say: Any
) -> None:
    Exemplar.objects.all().delete()
    say(sections["maling"], Outcome.AUTOMATIC)
    machines = Job.objects.create(headline="Male gjerde")
    drain()
    Job.objects.create(headline="Klippe gress", section=sections["plen"])
    Job.objects.create(headline="Kladd", section=sections["plen"], status=Job.Status.DRAFT)
    Job.objects.create(headline="!!!", section=sections["plen"])
    call_command("import_exemplars", from_jobs=True, stdout=Sink())
    labeled = Exemplar.objects.exclude(source=ExemplarSource.DESCRIPTION)
    exemplar = labeled.get()
    assert (exemplar.text, exemplar.category_id) == ("Klippe gress", "s-plen")
    assert exemplar.source == ExemplarSource.POSTING
    machines.refresh_from_db()
    assert machines.section == sections["maling"]
    call_command("import_exemplars", from_jobs=True, stdout=Sink())
    assert labeled.count() == 1


def test_the_newest_postings_become_exemplars_whatever_their_keys(sections: Any) -> None:
    now = timezone.now()
    for age in (3, 1, 2, 5, 4):
        Job.objects.create(
            headline=f"{age} dager", section=sections["plen"], posted_at=now - dt.timedelta(age)
        )
    call_command("import_exemplars", from_jobs=True, per_category=2, stdout=Sink())
    assert set(Exemplar.objects.values_list("text", flat=True)) == {"1 dager", "2 dager"}


class Sink:
    """Where a command's words go; ``json`` is the one object that it printed."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None:
        pass

    @property
    def json(self) -> Any:
        return json.loads(self.text)


def backfilled(**options: Any) -> dict[str, Any]:
    sink = Sink()
    call_command("backfill_embeddings", json=True, stdout=sink, **options)
    return dict(sink.json)


def older(count: int) -> list[uuid.UUID]:
    """Postings from before the app was installed; their keys in the database's order."""
    Job.objects.bulk_create([Job(headline=f"Male rom {n}") for n in range(count)])
    PostingChange.objects.all().delete()
    return list(Job.objects.order_by("pk").values_list("pk", flat=True))


def test_backfill_scans_uuid_keys(fitted: None, drain: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(backfill, "SCAN_STEP", 3)
    keys = older(10)
    first = backfilled(limit=4)
    assert (first["missing"], first["queued"]) == (4, 4)
    queued = QueuedPosting.objects.order_by("pk").values_list("posting_id", flat=True)
    assert list(queued.all()) == keys[:4]
    assert backfilled()["queued"] == 6
    assert list(queued.all()) == keys
    drain()
    assert PostingEmbedding.objects.count() == 10
    assert backfilled()["missing"] == 0


def test_backfill_since_reads_the_hosts_field(fitted: None) -> None:
    keys = older(3)
    Job.objects.filter(pk=keys[1]).update(
        posted_at=dt.datetime(2020, 5, 17, 0, 30, tzinfo=timezone.get_current_timezone())
    )
    Job.objects.exclude(pk=keys[1]).update(
        posted_at=dt.datetime(2020, 5, 16, 23, 30, tzinfo=timezone.get_current_timezone())
    )
    assert backfilled(since="2020-05-17", dry_run=True)["missing"] == 1
    assert backfilled(since="2020-05-16", dry_run=True)["missing"] == 3
    assert QueuedPosting.objects.count() == 0


def test_since_needs_a_declared_field(fitted: None, monkeypatch: Any) -> None:
    monkeypatch.setattr(HostAdapter, "created_field", None)
    with pytest.raises(CommandError, match="created_field"):
        backfilled(since="2020-05-17")


def test_postings_from_a_file(sections: Any, drain: Any, tmp_path: Any) -> None:
    file = tmp_path / "postings.csv"
    file.write_text("title,description\nMale stue,ca 40 kvm\n", encoding="utf-8")
    call_command("import_jobs", str(file), stdout=Sink())
    assert list(Job.objects.values_list("headline", "body")) == [("Male stue", "ca 40 kvm")]
    file.write_text(f"title,description\n{'x' * 81},\n", encoding="utf-8")
    with pytest.raises(CommandError, match="line 2: headline"):
        call_command("import_jobs", str(file), stdout=Sink())


def test_labelled_postings_are_read_through_the_hosts_adapter(sections: Any, tmp_path: Any) -> None:
    file = tmp_path / "labeled.csv"
    file.write_text("title,description,category\nMale,ring 98765432,maling\n", encoding="utf-8")
    assert labeled_postings.read_file(str(file)).rows == [("Male\nring", "s-maling")]


def test_a_lone_surrogate_in_the_hosts_text_is_decided(
    fitted: None, drain: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(HostAdapter, "text", lambda self, job: f"{job.headline} \ud800 \x00 her")
    jobs = [Job.objects.create(headline="Male stue"), Job.objects.create(headline="Bytte kran")]
    drain()
    assert [current(job).category_key for job in jobs] == ["maling", "rorlegger"]


def test_a_host_that_does_not_say_how_to_make_things_is_told_so(
    sections: Any, tmp_path: Any, monkeypatch: Any
) -> None:
    from marketplace_ai.adapter import JobAdapter

    monkeypatch.setattr(HostAdapter, "make_job", JobAdapter.make_job)
    monkeypatch.setattr(HostAdapter, "create_category", JobAdapter.create_category)
    file = tmp_path / "table.csv"
    file.write_text("title,description\nMale,\n", encoding="utf-8")
    with pytest.raises(CommandError, match=r"HostAdapter.*make_job"):
        call_command("import_jobs", str(file), stdout=Sink())
    file.write_text("slug,parent,name_nb\nny,,Ny\n", encoding="utf-8")
    with pytest.raises(CommandError, match=r"HostAdapter.*create_category"):
        call_command("import_catalog", str(file), stdout=Sink())
    file.write_text("text,category\nMale,ny\n", encoding="utf-8")
    with pytest.raises(CommandError, match=r"HostAdapter.*create_category"):
        call_command("import_exemplars", str(file), create_categories=True, stdout=Sink())
    assert Section.objects.count() == len(sections)


def test_the_audit_knows_the_hosts_keys(
    fitted: None, sections: Any, drain: Any, say: Any, settings: Any
) -> None:
    settings.MARKETPLACE_AI_AUDIT_SAMPLE_RATE = 1
    say(sections["bygg"], Outcome.AUTOMATIC_PARENT)
    jobs = Job.objects.bulk_create([Job(headline=f"Male {n}") for n in range(3)])
    drain()
    assert Job.objects.filter(section="s-bygg").count() == 3
    assert set(AuditedPosting.objects.values_list("category_id", flat=True)) == {"s-bygg"}
    for job, section in zip(jobs, ("s-maling", "s-plen", None), strict=True):
        answer(job.pk, section, None)
    rows = {row.posting_id: row for row in AuditedPosting.objects.all()}
    assert [rows[job.pk].is_correct for job in jobs] == [True, False, False]
    labeled = audited_postings.labeled_texts(counted_answers())
    assert ("Male 0", "s-maling", "") in labeled
    run(f"DELETE FROM {TABLE}")
    assert AuditedPosting.objects.filter(posting=None, is_correct=False).count() == 2
    Section.objects.all().delete()
    assert set(AuditedPosting.objects.values_list("category_key", "category")) == {("bygg", None)}


def test_a_stop_of_a_section_holds_for_its_text_key(fitted: None, sections: Any) -> None:
    version = ClassifierVersion.objects.get(is_active=True)
    stops.stop(version, "automatic", "s-maling", key="maling")
    assert stops.load_stops(version.pk).labels == {"s-maling"}
    keys = {line.label: line.category_id for line in monitor.monitoring_report(version).categories}
    assert keys["s-maling"] == "s-maling"


def test_a_section_of_the_hosts_own_is_proposed_by_its_words(
    fitted: None, drain: Any, monkeypatch: Any
) -> None:
    drain()
    monkeypatch.setattr(active_model, "DESCRIPTIONS_SECONDS", 0.0)
    assert {"Section Maling", "Section Rørlegger", "Section Gressplen"} <= set(
        Exemplar.objects.filter(source=ExemplarSource.DESCRIPTION).values_list("text", flat=True)
    )
    monkeypatch.setattr(
        HostAdapter, "category_description", lambda self, section: f"{section.label} og flygel"
    )
    run("INSERT INTO host_section (ref, code, label) VALUES ('s-9', 'piano', 'Stemme piano')")
    fit_classifier.fit(progress=lambda n: None)
    job = Job.objects.create(headline="Stemme piano", body="og flygel")
    drain()
    assert current(job).category_key == "piano"
    assert current(job).outcome == Outcome.REVIEW
    run("DELETE FROM host_section WHERE ref = 's-9'")
    drain()
    assert not Exemplar.objects.filter(category_key="piano").exists()


def test_what_people_put_right_is_mined_by_the_hosts_own_keys(
    fitted: None, sections: Any, drain: Any, say: Any
) -> None:
    say(sections["plen"], Outcome.REVIEW)
    job = Job.objects.create(headline="Male gjerdet")
    drain()
    answer(job.pk, "s-maling", None)
    rows = training_corpus.read_exemplars()
    assert rows.confusions == {("maling", "plen"): 1}
    assert set(rows.labels) == {"maling", "plen", "rorlegger", None}
    assert rows.parents["maling"] == "bygg"
