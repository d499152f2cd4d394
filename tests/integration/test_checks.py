"""System checks: each names a problem and how to solve it."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.checks import CheckMessage, run_checks
from django.db import connection

from marketplace_ai import checks
from marketplace_ai.adapter import JobAdapter

HERE = "tests.integration.test_checks"


def check_messages() -> list[CheckMessage]:
    return run_checks(tags=["marketplace_ai"])


def only(messages: list[CheckMessage], check_id: str) -> CheckMessage:
    assert [message.id for message in messages] == [f"marketplace_ai.{check_id}"]
    assert messages[0].hint
    return messages[0]


def test_all_is_well() -> None:
    assert check_messages() == []


def test_w001_names_the_nearest_setting(settings: Any) -> None:
    settings.MARKETPLACE_AI_CLIAM_SIZE = 3
    message = only(check_messages(), "W001")
    assert message.msg == "There is no setting MARKETPLACE_AI_CLIAM_SIZE."
    assert message.hint == "Did you mean MARKETPLACE_AI_CLAIM_SIZE?"


def test_w001_of_a_name_that_resembles_none(settings: Any) -> None:
    settings.MARKETPLACE_AI_X = 3
    assert "docs/settings.md" in str(only(check_messages(), "W001").hint)


@pytest.mark.parametrize("rate", [-0.1, 1.1, "0.01", None, True, float("nan")])
def test_e005_a_sample_rate_that_is_no_share(settings: Any, rate: object) -> None:
    settings.MARKETPLACE_AI_AUDIT_SAMPLE_RATE = rate
    message = only(check_messages(), "E005")
    assert message.msg == f"MARKETPLACE_AI_AUDIT_SAMPLE_RATE is {rate!r}."


@pytest.mark.parametrize("queues", ["celery", [b"celery"], 1])
def test_e009_queues_that_are_no_list_of_names(settings: Any, queues: object) -> None:
    settings.MARKETPLACE_AI_DRAIN_QUEUES = queues
    message = only(check_messages(), "E009")
    assert message.msg == f"MARKETPLACE_AI_DRAIN_QUEUES is {queues!r}."
    settings.MARKETPLACE_AI_DRAIN_QUEUES = ("celery",)
    assert not [m for m in check_messages() if m.id == "marketplace_ai.E009"]


def test_e010_a_text_that_would_activate(settings: Any) -> None:
    settings.MARKETPLACE_AI_REFIT_ACTIVATES = "False"
    message = only(check_messages(), "E010")
    assert message.msg == "MARKETPLACE_AI_REFIT_ACTIVATES is 'False'."
    settings.MARKETPLACE_AI_REFIT_ACTIVATES = False
    assert not [m for m in check_messages() if m.id == "marketplace_ai.E010"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LEASE_SECONDS", 0),
        ("LEASE_SECONDS", "30"),
        ("ENCODE_TIMEOUT", -1),
        ("ENCODE_TIMEOUT", float("inf")),
        ("POLL_INTERVAL_SECONDS", None),
        ("POLL_INTERVAL_SECONDS", True),
        ("RECONCILE_INTERVAL_HOURS", -0.5),
    ],
)
def test_e007_a_time_that_is_no_positive_number(settings: Any, name: str, value: object) -> None:
    setattr(settings, f"MARKETPLACE_AI_{name}", value)
    message = only(check_messages(), "E007")
    assert message.msg == f"MARKETPLACE_AI_{name} is {value!r}."


@pytest.mark.parametrize(
    ("values", "part"),
    [
        ({"LEASE_SECONDS": 5}, "shorter than a worker can keep: it leaves a dead connection"),
        ({"LEASE_SECONDS": 30, "ENCODE_TIMEOUT": 9.9}, "between two renewals of a lease (10 s)"),
        ({"LEASE_SECONDS": 9, "ENCODE_TIMEOUT": 2.9}, "between two renewals of a lease (3 s)"),
        ({"LEASE_SECONDS": 3600, "ENCODE_TIMEOUT": 9}, "between two renewals of a lease (10 s)"),
        ({"POLL_INTERVAL_SECONDS": 31}, "(31) is longer than MARKETPLACE_AI_LEASE_SECONDS (30)"),
    ],
)
def test_w004_times_that_contradict_each_other(
    settings: Any, values: dict[str, float], part: str
) -> None:
    for name, value in values.items():
        setattr(settings, f"MARKETPLACE_AI_{name}", value)
    assert part in only(check_messages(), "W004").msg


@pytest.mark.parametrize(
    "values",
    [
        {"LEASE_SECONDS": 6, "ENCODE_TIMEOUT": 2, "POLL_INTERVAL_SECONDS": 6},
        {"LEASE_SECONDS": 3600, "ENCODE_TIMEOUT": 10, "POLL_INTERVAL_SECONDS": 3600},
        {"RECONCILE_INTERVAL_HOURS": 0},
    ],
)
def test_times_that_agree(settings: Any, values: dict[str, float]) -> None:
    for name, value in values.items():
        setattr(settings, f"MARKETPLACE_AI_{name}", value)
    assert check_messages() == []


class NoAdapter:
    pass


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("JOB_MODEL", "shop.Job", "MARKETPLACE_AI_JOB_MODEL is 'shop.Job'"),
        ("CATEGORY_MODEL", "Section", "must have the form 'app_label.Model'"),
        ("ADAPTER", "shop.ai.Adapter", "shop"),
        ("ADAPTER", f"{HERE}.Missing", "Missing"),
        ("ADAPTER", f"{HERE}.NoAdapter", "is not a JobAdapter subclass"),
    ],
)
def test_e001_a_model_or_adapter_that_cannot_be_loaded(
    settings: Any, setting: str, value: str, message: str
) -> None:
    setattr(settings, f"MARKETPLACE_AI_{setting}", value)
    assert message in only(check_messages(), "E001").msg


class Declared(JobAdapter):
    """Filled in by each test."""


@pytest.mark.parametrize(
    ("attribute", "value", "text"),
    [
        ("text_columns", ("title", "headline"), "JobPosting has no field 'headline'."),
        ("eligible_columns", ("status",), "JobPosting has no field 'status'."),
        ("category_field", "section", "JobPosting has no field 'section'."),
        ("set_by_field", "by", "JobPosting has no field 'by'."),
        ("set_by_field", "created_at", "JobPosting.created_at is no text field"),
        ("created_field", "posted", "JobPosting has no field 'posted'."),
        ("category_key_field", "code", "Category has no field 'code'."),
        ("category_parent_field", "above", "Category has no field 'above'."),
        ("category_field", "title", "is not a foreign key to the primary key of"),
        ("category_parent_field", "name", "is not a foreign key to the primary key of"),
    ],
)
def test_e002_a_declared_field_that_does_not_fit(
    settings: Any, monkeypatch: Any, attribute: str, value: Any, text: str
) -> None:
    settings.MARKETPLACE_AI_ADAPTER = f"{HERE}.Declared"
    assert check_messages() == []
    monkeypatch.setattr(Declared, attribute, value)
    message = only(check_messages(), "E002")
    assert text in message.msg
    assert message.hint == f"Correct {attribute} of Declared."


def test_e002_a_text_field_without_a_column(settings: Any, monkeypatch: Any) -> None:
    settings.MARKETPLACE_AI_ADAPTER = f"{HERE}.Declared"
    # The reverse side of Category.parent: a field without a column.
    monkeypatch.setattr(checks, "get_job_model", checks.get_category_model)
    monkeypatch.setattr(Declared, "text_columns", ("children",))
    monkeypatch.setattr(Declared, "category_field", "parent")
    monkeypatch.setattr(Declared, "set_by_field", None)
    monkeypatch.setattr(Declared, "created_field", None)
    assert "is not a column of the table" in only(check_messages(), "E002").msg


def test_e002_a_category_field_that_does_not_allow_null(settings: Any, monkeypatch: Any) -> None:
    settings.MARKETPLACE_AI_ADAPTER = f"{HERE}.Declared"
    category = checks.get_job_model()._meta.get_field("category")
    monkeypatch.setattr(category, "null", False)
    assert "does not allow NULL" in only(check_messages(), "E002").msg


def test_optional_fields_may_be_absent(settings: Any, monkeypatch: Any) -> None:
    settings.MARKETPLACE_AI_ADAPTER = f"{HERE}.Declared"
    for attribute in ("set_by_field", "created_field", "category_parent_field"):
        monkeypatch.setattr(Declared, attribute, None)
    assert check_messages() == []


@pytest.mark.django_db
class TestDatabase:
    def check_messages(self) -> list[CheckMessage]:
        messages = run_checks(tags=["database"], databases=["default"])
        return [message for message in messages if str(message.id).startswith("marketplace_ai")]

    def test_all_is_well(self) -> None:
        assert self.check_messages() == []

    def test_e003_another_database(self, monkeypatch: Any) -> None:
        monkeypatch.setattr(connection, "vendor", "sqlite")
        assert only(self.check_messages(), "E003").msg == "The database is sqlite."

    def test_e003_an_old_postgresql(self, monkeypatch: Any) -> None:
        monkeypatch.setattr(checks, "MIN_POSTGRESQL", 990000)
        assert "is too old" in only(self.check_messages(), "E003").msg

    def test_e004_an_old_pgvector(self, monkeypatch: Any) -> None:
        monkeypatch.setattr(checks, "MIN_PGVECTOR", (99, 0))
        assert "0.8.4 or later" in str(only(self.check_messages(), "E004").hint)

    def test_e004_no_pgvector(self, monkeypatch: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("DROP EXTENSION vector CASCADE")
        monkeypatch.setattr(checks, "MIN_PGVECTOR", (99, 0))
        # Not installed yet, so the available version is checked.
        assert "pgvector is 0." in only(self.check_messages(), "E004").msg

    def test_doctor_reports_it(self, monkeypatch: Any) -> None:
        from marketplace_ai.doctor.diagnose import examine

        monkeypatch.setattr(checks, "MIN_PGVECTOR", (99, 0))
        findings = {finding.name: finding for finding in examine()}
        assert not findings["marketplace_ai.E004"].ok


@pytest.mark.django_db
def test_doctor_stops_at_a_broken_adapter(settings: Any) -> None:
    from marketplace_ai.doctor.diagnose import examine

    settings.MARKETPLACE_AI_ADAPTER = "shop.ai.Adapter"
    last = list(examine())[-1]
    assert (last.name, last.ok) == ("marketplace_ai.E001", False)
    assert last.cure


def test_e003_another_database_that_is_not_postgresql(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Migrations of this app fail there, unless a router keeps it out."""
    other = type("Connection", (), {"vendor": "sqlite"})()
    monkeypatch.setattr(checks, "connections", {"other": other})
    message = only(checks.check_database(databases=["other"]), "E003")
    assert message.msg == (
        "The database 'other' is sqlite, and no router keeps marketplace_ai out of it."
    )
    settings.DATABASE_ROUTERS = [type("Router", (), {"allow_migrate": lambda *a, **kw: False})()]
    assert checks.check_database(databases=["other"]) == []


def test_e008_postings_in_another_database(settings: Any) -> None:
    class Elsewhere:
        def db_for_write(self, model: Any, **hints: Any) -> str | None:
            return "market" if model.__name__ == "JobPosting" else None

    settings.DATABASE_ROUTERS = [Elsewhere()]
    message = only(checks.check_one_database(), "E008")
    assert message.msg == (
        "marketplace_ai.JobPosting is in the database 'market', marketplace_ai in 'default'."
    )
