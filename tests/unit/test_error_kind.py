"""Every class of PostgreSQL's appendix "PostgreSQL Error Codes" has its kind."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from django.db import DataError, InterfaceError, OperationalError, ProgrammingError
from django.db.transaction import TransactionManagementError
from psycopg import errors

from marketplace_ai.db import error_kind
from marketplace_ai.db.error_kind import ErrorKind

INFRASTRUCTURE, POSTING, SETUP = ErrorKind

#: The classes in the order of PostgreSQL's documentation, each with what it calls them.
DOCUMENTED = [
    ("00", "Successful Completion", POSTING),
    ("01", "Warning", POSTING),
    ("02", "No Data", POSTING),
    ("03", "SQL Statement Not Yet Complete", INFRASTRUCTURE),
    ("08", "Connection Exception", INFRASTRUCTURE),
    ("09", "Triggered Action Exception", POSTING),
    ("0A", "Feature Not Supported", SETUP),
    ("0B", "Invalid Transaction Initiation", INFRASTRUCTURE),
    ("0F", "Locator Exception", POSTING),
    ("0L", "Invalid Grantor", SETUP),
    ("0P", "Invalid Role Specification", SETUP),
    ("0Z", "Diagnostics Exception", POSTING),
    ("10", "XQuery Error", POSTING),
    ("20", "Case Not Found", POSTING),
    ("21", "Cardinality Violation", POSTING),
    ("22", "Data Exception", POSTING),
    ("23", "Integrity Constraint Violation", POSTING),
    ("24", "Invalid Cursor State", INFRASTRUCTURE),
    ("25", "Invalid Transaction State", INFRASTRUCTURE),
    ("26", "Invalid SQL Statement Name", INFRASTRUCTURE),
    ("27", "Triggered Data Change Violation", POSTING),
    ("28", "Invalid Authorization Specification", INFRASTRUCTURE),
    ("2B", "Dependent Privilege Descriptors Still Exist", SETUP),
    ("2D", "Invalid Transaction Termination", SETUP),
    ("2F", "SQL Routine Exception", POSTING),
    ("34", "Invalid Cursor Name", INFRASTRUCTURE),
    ("38", "External Routine Exception", POSTING),
    ("39", "External Routine Invocation Exception", POSTING),
    ("3B", "Savepoint Exception", POSTING),
    ("3D", "Invalid Catalog Name", INFRASTRUCTURE),
    ("3F", "Invalid Schema Name", SETUP),
    ("40", "Transaction Rollback", INFRASTRUCTURE),
    ("42", "Syntax Error or Access Rule Violation", SETUP),
    ("44", "WITH CHECK OPTION Violation", POSTING),
    ("53", "Insufficient Resources", INFRASTRUCTURE),
    ("54", "Program Limit Exceeded", POSTING),
    ("55", "Object Not In Prerequisite State", INFRASTRUCTURE),
    ("57", "Operator Intervention", INFRASTRUCTURE),
    ("58", "System Error", INFRASTRUCTURE),
    ("72", "Snapshot Failure", INFRASTRUCTURE),
    ("F0", "Configuration File Error", INFRASTRUCTURE),
    ("HV", "Foreign Data Wrapper Error", SETUP),
    ("P0", "PL/pgSQL Error", POSTING),
    ("XX", "Internal Error", INFRASTRUCTURE),
]
#: Codes worth a line of their own: with what they are met.
CODES = [
    ("25006", INFRASTRUCTURE),  # read-only: a failover, or a full disk of a managed server
    ("25P02", POSTING),  # the adapter went on after an error of its own query
    ("25P03", INFRASTRUCTURE),  # a frozen worker's transaction was ended
    ("42501", SETUP),  # a right is missing
    ("42804", SETUP),  # set_by_field of another type
    ("42P01", SETUP),  # a table is missing
    ("55000", SETUP),  # a publication without a replica identity
    ("55P03", INFRASTRUCTURE),  # a lock is not to be had
    ("57014", INFRASTRUCTURE),  # statement_timeout
    ("57P01", INFRASTRUCTURE),  # the server shuts down
    ("P0001", POSTING),  # RAISE EXCEPTION in a project's trigger
    ("U1234", POSTING),  # a code of the project's own
]


def raised(code: str, wrapper: type[Exception] = ProgrammingError) -> Exception:
    """An error of the server as Django raises it."""

    class Error(psycopg.Error):
        sqlstate = code

    error = wrapper("text")
    error.__cause__ = Error("text")
    return error


@pytest.mark.parametrize(("code", "name", "kind"), DOCUMENTED, ids=lambda value: str(value))
def test_every_documented_class_has_its_kind(code: str, name: str, kind: ErrorKind) -> None:
    assert error_kind.error_kind(raised(f"{code}000" if code != "55" else "55P03")) is kind, name


def test_the_table_has_exactly_the_documented_classes() -> None:
    assert list(error_kind.CLASSES) == [code for code, _, _ in DOCUMENTED]


def test_no_code_that_psycopg_knows_is_of_an_undocumented_class() -> None:
    codes = {getattr(value, "sqlstate", None) for value in vars(errors).values()}
    assert {code[:2] for code in codes if isinstance(code, str)} <= error_kind.CLASSES.keys()


@pytest.mark.parametrize(("code", "kind"), CODES)
def test_codes_that_are_met(code: str, kind: ErrorKind) -> None:
    assert error_kind.error_kind(raised(code)) is kind
    # Whatever class of Django's it comes in.
    assert error_kind.error_kind(raised(code, OperationalError)) is kind


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (psycopg.OperationalError("the connection is lost"), INFRASTRUCTURE),
        (OperationalError("the connection is lost"), INFRASTRUCTURE),
        (InterfaceError("connection already closed"), INFRASTRUCTURE),
        (DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes"), POSTING),
        (TransactionManagementError("An error occurred in the current transaction"), POSTING),
        (psycopg.ProgrammingError("the query has 2 placeholders but 1 was passed"), SETUP),
        (ValueError("the adapter's own"), POSTING),
    ],
)
def test_errors_without_a_code(error: Exception, kind: ErrorKind) -> None:
    assert error_kind.error_kind(error) is kind


def test_a_setup_mistake_has_a_cure_in_one_sentence() -> None:
    setup = [code for code, _, kind in DOCUMENTED if kind is SETUP]
    for code in [*(f"{c}000" for c in setup), "23503", "23514", "42501", "42804", "55000"]:
        text: Any = error_kind.cure(raised(code))
        assert text.endswith(".")
        assert "\n" not in text
        sentences = error_kind.describe_with_cure(raised(code))
        assert sentences.endswith(f"(SQLSTATE {code}). {text}")


def test_a_value_that_the_server_quotes_is_not_repeated() -> None:
    """A German server: »…« instead of quotation marks."""
    with pytest.raises(psycopg.DataError) as failure:
        raise errors.InvalidTextRepresentation("ungültige Eingabesyntax für Typ integer: »Ola«")
    assert error_kind.describe(failure.value) == "InvalidTextRepresentation (SQLSTATE 22P02)"


def test_a_mistake_that_we_find_ourselves_brings_its_cure() -> None:
    error = error_kind.SetupError("Categories are hidden.", "Make a policy.")
    assert error_kind.error_kind(error) is SETUP
    assert (error_kind.describe(error), error_kind.cure(error)) == (
        "Categories are hidden.", "Make a policy.",
    )  # fmt: skip
    assert error_kind.describe_with_cure(error) == "Categories are hidden. Make a policy."
    assert isinstance(error, error_kind.DATABASE_ERRORS), "the loop waits, and goes on"
