"""Triggers log every new or edited posting, and never make the project's save fail."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection, transaction

from marketplace_ai.models import JobPosting, PostingChange
from marketplace_ai.queue import trigger

pytestmark = pytest.mark.django_db


def logged() -> list[tuple[Any, str]]:
    return sorted(PostingChange.objects.values_list("posting_id", "kind"), key=str)


def clear() -> None:
    PostingChange.objects.all().delete()


def run(sql: str, *values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)


def test_each_way_of_creating_is_logged() -> None:
    one = JobPosting.objects.create(title="orm")
    JobPosting.objects.bulk_create([JobPosting(title="bulk 1"), JobPosting(title="bulk 2")])
    run("INSERT INTO marketplace_ai_jobposting (title) VALUES ('sql 1'), ('sql 2')")
    with (
        connection.cursor() as cursor,
        cursor.copy("COPY marketplace_ai_jobposting (title) FROM STDIN") as copy,
    ):
        copy.write("copy 1\ncopy 2\n")
    assert {kind for _, kind in logged()} == {"created"}
    assert {job for job, _ in logged()} == set(JobPosting.objects.values_list("pk", flat=True))
    assert one.pk in {job for job, _ in logged()}


def test_only_an_edit_of_the_text_is_logged(posting: JobPosting, catalog: Any) -> None:
    clear()
    JobPosting.objects.filter(pk=posting.pk).update(category=catalog["maling"])
    posting.refresh_from_db()
    posting.save()
    assert logged() == []
    posting.description = "Nå 50 kvm"
    posting.save()
    assert logged() == [(posting.pk, "edited")]


def test_a_bulk_update_is_marked(settings: Any) -> None:
    settings.MARKETPLACE_AI_BULK_UPDATE_THRESHOLD = 2
    assert trigger.install() == ["marketplace_ai_edited"]
    JobPosting.objects.bulk_create([JobPosting(title=str(n)) for n in range(3)])
    clear()
    JobPosting.objects.filter(title__in=["0", "1"]).update(description="to")
    assert {kind for _, kind in logged()} == {"edited"}
    clear()
    JobPosting.objects.update(description="tre")
    assert [kind for _, kind in logged()] == ["bulk"] * 3


def test_a_changed_primary_key_is_logged(posting: JobPosting) -> None:
    clear()
    JobPosting.objects.filter(pk=posting.pk).update(id=posting.pk + 1000)
    assert logged() == [(posting.pk + 1000, "edited")]


def test_a_broken_function_never_fails_the_save(posting: JobPosting) -> None:
    clear()
    # A project that renames a column makes the comparison fail at run time.
    run("ALTER TABLE marketplace_ai_jobposting RENAME COLUMN description TO body")
    run("UPDATE marketplace_ai_jobposting SET body = 'noe nytt'")
    assert logged() == [(posting.pk, "edited")]


def test_a_function_that_cannot_log_ids_asks_for_a_rescan() -> None:
    run("ALTER TABLE marketplace_ai_jobposting RENAME COLUMN id TO number")
    run("INSERT INTO marketplace_ai_jobposting (title) VALUES ('x')")
    with connection.cursor() as cursor:
        cursor.execute("SELECT posting_id, kind FROM marketplace_ai_postingchange")
        assert cursor.fetchall() == [(None, "rescan")]


def test_a_lost_log_never_fails_the_save() -> None:
    run("DROP TABLE marketplace_ai_postingchange")
    run("INSERT INTO marketplace_ai_jobposting (title) VALUES ('x')")
    assert JobPosting.objects.count() == 1


def test_a_rolled_back_posting_is_not_logged() -> None:
    with transaction.atomic():
        JobPosting.objects.create(title="x")
        transaction.set_rollback(True)
    assert logged() == []


def states() -> set[str]:
    return {status.state for status in trigger.status()}


def test_status_shows_the_fault_and_install_repairs_it(settings: Any) -> None:
    assert states() == {"installed"}
    run("ALTER TABLE marketplace_ai_jobposting DISABLE TRIGGER marketplace_ai_created")
    assert states() == {"installed", "disabled"}
    assert trigger.install() == []
    run("ALTER TABLE marketplace_ai_jobposting ENABLE TRIGGER marketplace_ai_created")
    settings.MARKETPLACE_AI_BULK_UPDATE_THRESHOLD = 7
    assert states() == {"installed", "outdated"}
    run("DROP TRIGGER marketplace_ai_created ON marketplace_ai_jobposting")
    assert states() == {"missing", "outdated"}
    assert sorted(trigger.install()) == ["marketplace_ai_created", "marketplace_ai_edited"]
    assert states() == {"installed"}
    trigger.uninstall()
    assert states() == {"missing"}


def test_a_trigger_on_another_table_is_misplaced_and_moved() -> None:
    run("ALTER TABLE marketplace_ai_jobposting RENAME TO old_jobs")
    run("CREATE TABLE marketplace_ai_jobposting (LIKE old_jobs INCLUDING ALL)")
    assert states() == {"misplaced"}
    trigger.install()
    assert states() == {"installed"}
