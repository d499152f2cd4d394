"""What an error of the database means: infrastructure, a posting's own fault, or the set-up.

Decided by SQLSTATE (PostgreSQL's documentation, "PostgreSQL Error Codes"): a whole class has one
kind, and a few codes differ from their class. Django's and psycopg's exception classes cannot tell:
both map a RAISE EXCEPTION in a project's trigger to the class of a missing table.
"""

from __future__ import annotations

import enum

import psycopg
from django.db import DataError, IntegrityError, NotSupportedError, ProgrammingError
from django.db import Error as DjangoError
from django.db.transaction import TransactionManagementError

#: Whatever a statement can raise: through Django, or on connections that Django does not manage.
DATABASE_ERRORS = (DjangoError, psycopg.Error)


class ErrorKind(enum.Enum):
    """What to do about an error."""

    INFRASTRUCTURE = "infrastructure"
    """Nobody's fault, and it passes: release the batch, wait, try again."""
    POSTING = "posting"
    """One posting of the batch causes it: find it, and count it against that one."""
    SETUP = "setup"
    """Somebody has to mend tables, rights or settings: name it, count it for nobody, wait."""


class SetupError(DjangoError):
    """A mistake in the set-up that we find ourselves, before the server refuses a statement.

    ``cure`` says in a sentence what to do about it.
    """

    def __init__(self, message: str, cure: str) -> None:
        super().__init__(message)
        self.cure = cure


_I, _P, _S = ErrorKind.INFRASTRUCTURE, ErrorKind.POSTING, ErrorKind.SETUP

#: The kind of each class. A class that is not here is a project's own (RAISE ... USING ERRCODE).
CLASSES = {
    "00": _P, "01": _P, "02": _P,  # no errors of the server: only a trigger raises them
    "03": _I, "08": _I,
    "09": _P, "0A": _S, "0B": _I, "0F": _P, "0L": _S, "0P": _S, "0Z": _P,
    "10": _P, "20": _P, "21": _P, "22": _P, "23": _P,
    "24": _I, "25": _I, "26": _I, "27": _P, "28": _I, "2B": _S, "2D": _S, "2F": _P,
    "34": _I, "38": _P, "39": _P, "3B": _P, "3D": _I, "3F": _S,
    "40": _I, "42": _S, "44": _P, "53": _I, "54": _P, "55": _I, "57": _I, "58": _I,
    "72": _I, "F0": _I, "HV": _S, "P0": _P, "XX": _I,
}  # fmt: skip

#: Codes that differ from their class.
CODES = {
    "25P01": _P,  # a transaction that the adapter ended or broke: see 25P02
    "25P02": _P,  # the adapter caught an error of its own query and went on
    "55000": _S,  # a publication needs a replica identity, a sequence is not set up, ...
    "55P04": _S,
}

#: Classes of infrastructure that one row can cause by itself, with the server in good health: a
#: trigger that runs into a timeout, a page that cannot be read. (55P03 and 40 also are ordinary.)
_SINGLE_ROW_CLASSES = frozenset({"40", "55", "57", "58", "XX", "53"})
#: Of these, what is about the whole server: it shuts down, is read-only, has no room.
_WHOLE_SERVER = frozenset({"57P01", "57P02", "57P03", "57P04", "57P05", "53100", "53300"})

#: A check constraint and a foreign key name themselves; a row without a partition names its table.
_CHECK_VIOLATION, _FOREIGN_KEY_VIOLATION = "23514", "23503"
_OWN_TABLES = "marketplace_ai_"

#: Errors of this class quote the value, in the server's language and its quotation marks.
_DATA_EXCEPTION = "22"


def error_kind(error: BaseException) -> ErrorKind:
    """The kind of an error that was raised while a batch was read or written.

    An exception that is no database error is a posting's fault: the adapter raised it.
    """
    cause = _psycopg_error(error)
    code = None if cause is None else cause.sqlstate
    if cause is None or code is None:
        return _kind_without_code(error)
    if code == _CHECK_VIOLATION and cause.diag.table_name and not cause.diag.constraint_name:
        return ErrorKind.SETUP
    if code == _FOREIGN_KEY_VIOLATION and (cause.diag.table_name or "").startswith(_OWN_TABLES):
        # Postings and categories are locked by then: our keys refer to other tables.
        return ErrorKind.SETUP
    return CODES.get(code) or CLASSES.get(code[:2], ErrorKind.POSTING)


def may_concern_one_row(error: BaseException) -> bool:
    """Whether an infrastructure error, when it comes again and again, may be one row's doing."""
    code = sqlstate(error)
    return code is not None and code[:2] in _SINGLE_ROW_CLASSES and code not in _WHOLE_SERVER


def sqlstate(error: BaseException) -> str | None:
    """The server's code, or None: the error is the client's, or the connection is gone."""
    cause = _psycopg_error(error)
    return None if cause is None else cause.sqlstate


def describe(error: BaseException) -> str:
    """The error in one line: the server's first sentence without its DETAIL, which quotes the row
    that failed. What a trigger of the project raises is repeated as it is."""
    cause = _psycopg_error(error)
    if cause is None or cause.sqlstate is None:
        if isinstance(error, DATABASE_ERRORS):
            return _one_line(str(error)) or type(error).__name__
        return f"{type(error).__name__}: {_one_line(str(error))}"
    name = type(cause).__name__
    # Ours have no diagnostics, and no row to quote.
    message = _one_line(cause.diag.message_primary or str(cause)) or name
    if cause.sqlstate.startswith(_DATA_EXCEPTION):
        message = name
    return f"{message} (SQLSTATE {cause.sqlstate})"


def cure(error: BaseException) -> str:
    """What to do about a mistake in the set-up, in a sentence."""
    if isinstance(error, SetupError):
        return error.cure
    code = sqlstate(error) or ""
    return _CURES.get(code) or _CURES.get(code[:2]) or "Run manage.py doctor."


def describe_with_cure(error: BaseException) -> str:
    """The error, and what to do about it, as sentences in one line."""
    return f"{describe(error).removesuffix('.')}. {cure(error)}"


_CURES = {
    "0A": "Run manage.py migrate, and restart the workers. A rule (CREATE RULE) on the project's "
    "tables must become a trigger.",
    "23503": "MARKETPLACE_AI_JOB_MODEL or MARKETPLACE_AI_CATEGORY_MODEL names another model than "
    "at the first migrate: set it back. A table that INHERITS from that of the postings must "
    "become a partition: no key can refer to its rows.",
    "23514": "A partition is missing: run manage.py migrate, and manage.py doctor.",
    "3F": "Run manage.py migrate, or correct the search_path of the database role.",
    "42": "The tables are not as the settings and the models say: run manage.py migrate, then "
    "manage.py doctor.",
    "42P01": "Run manage.py migrate, or correct the search_path of the workers' database role.",
    "42704": "Run manage.py migrate, or have the search_path of the workers' database role name "
    "pgvector's schema.",
    "42501": "Grant the workers' database role this right, as docs/install.md says.",
    "42804": "A field that the adapter names (such as set_by_field) has another type: correct the "
    "adapter.",
    "55000": "A publication needs a replica identity: run manage.py migrate, or "
    "ALTER TABLE ... REPLICA IDENTITY FULL.",
    "HV": "Fix the foreign table that a trigger of the project uses.",
}


def _kind_without_code(error: BaseException) -> ErrorKind:
    if not isinstance(error, DATABASE_ERRORS):
        return ErrorKind.POSTING
    if isinstance(error, (DataError, IntegrityError, TransactionManagementError)):
        return ErrorKind.POSTING
    if isinstance(error, (psycopg.DataError, psycopg.IntegrityError)):
        return ErrorKind.POSTING
    if isinstance(error, (SetupError, ProgrammingError, NotSupportedError)):
        return ErrorKind.SETUP
    if isinstance(error, psycopg.ProgrammingError):
        return ErrorKind.SETUP
    return ErrorKind.INFRASTRUCTURE


def _psycopg_error(error: BaseException) -> psycopg.Error | None:
    """psycopg's error, which Django's has as its cause."""
    if isinstance(error, psycopg.Error):
        return error
    cause = error.__cause__
    is_wrapper = isinstance(error, DjangoError) and isinstance(cause, psycopg.Error)
    return cause if is_wrapper and isinstance(cause, psycopg.Error) else None


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
