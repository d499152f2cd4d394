"""Output of commands: progress on a terminal, plain lines in a log, JSON for programs."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, Protocol

from django.core.management.base import (
    BaseCommand,
    CommandError,
    CommandParser,
    DjangoHelpFormatter,
    OutputWrapper,
)
from django.db import OperationalError

from marketplace_ai.db.error_kind import (
    DATABASE_ERRORS,
    ErrorKind,
    SetupError,
    describe,
    describe_with_cure,
    error_kind,
    sqlstate,
)
from marketplace_ai.text.reading_notes import told_to

#: Seconds between two progress lines in a log.
LINE_SECONDS = 10.0

#: SQLSTATEs of a missing table, column, type and function.
NOT_MIGRATED = ("42P01", "42703", "42704", "42883")


class Advance(Protocol):
    """Moves a progress bar by ``n``; ``note`` is shown next to it until the next call."""

    def __call__(self, n: int, note: str = "") -> None: ...


class _RawHelpFormatter(DjangoHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Keeps the line breaks of the description and the examples."""


class FileCommand(BaseCommand):
    """A command that says on stderr how it read a file that is not UTF-8 with commas."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        with told_to(self.say):
            return super().execute(*args, **options)

    def say(self, line: str) -> None:
        """Write a plain line to stderr, apart from the command's output."""
        self.stderr.write(line, style_func=str)


class HelpfulCommand(FileCommand):
    """A command whose help keeps its line breaks, with ``examples`` below the options."""

    examples = ""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        kwargs.update(formatter_class=_RawHelpFormatter, epilog=self.examples)
        return super().create_parser(prog_name, subcommand, **kwargs)


def usage_error(message: str) -> NoReturn:
    """Exit with code 2 and one sentence on stderr: wrong options or a wrong file."""
    raise CommandError(message, returncode=2)


def runtime_error(message: str) -> NoReturn:
    """Exit with code 1 and one sentence on stderr: the request was valid, but it failed."""
    raise CommandError(message, returncode=1)


class DatabaseCommand(FileCommand):
    """A command that exits with one sentence if the database is unavailable, not migrated or not
    for this role, or if a trigger of the project refuses what it writes."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().execute(*args, **options)
        except DATABASE_ERRORS as error:
            code, message = sqlstate(error), describe(error)
            kind = error_kind(error)
            if kind is ErrorKind.INFRASTRUCTURE or isinstance(error, OperationalError):
                raise CommandError(f"The database cannot be used: {message}") from error
            if isinstance(error, SetupError):
                raise CommandError(describe_with_cure(error)) from error
            if code is None:
                raise  # a mistake of ours: nothing that the server said
            if code in NOT_MIGRATED:
                raise CommandError(f"{message}. Run manage.py migrate first.") from error
            if kind is ErrorKind.SETUP:
                raise CommandError(describe_with_cure(error)) from error
            raise CommandError(f"The database refuses this: {message}") from error


def print_json(command: BaseCommand, value: Any) -> None:
    command.stdout.write(json.dumps(value, ensure_ascii=False, default=str))


@contextmanager
def progress(title: str, total: int | None, *, quiet: bool = False) -> Iterator[Advance]:
    """Show progress on stderr: a bar on a terminal, a line every ten seconds in a log.

    Parameters:
        total: the number of steps; None if unknown.
        quiet: show nothing, for ``--json``.

    Example::

        with progress("Encoding", len(texts)) as advance:
            for text in texts:
                encode(text)
                advance(1)
    """
    if quiet:
        yield lambda n, note="": None
    elif sys.stderr.isatty():
        yield from _bar(title, total)
    else:
        yield from _lines(title, total)


def _bar(title: str, total: int | None) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = [
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    ]
    started = time.monotonic()
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=total, rate="", note="")

        def advance(n: int, note: str = "") -> None:
            bar.advance(task, n)
            done = bar.tasks[task].completed
            rate = done / max(time.monotonic() - started, 1e-6)
            bar.update(task, rate=f"{_rate(rate)}/s", note=note)

        yield advance


def _lines(title: str, total: int | None) -> Iterator[Advance]:
    out = OutputWrapper(sys.stderr)
    started = last = time.monotonic()
    done = 0

    def advance(n: int, note: str = "") -> None:
        nonlocal done, last
        done += n
        now = time.monotonic()
        if now - last >= LINE_SECONDS and done != total:  # the last line is said at the end
            last = now
            out.write(_line(title, done, total, now - started, note))

    out.write(f"{title} …")
    yield advance
    out.write(_line(title, done, total, time.monotonic() - started))


def _rate(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"


def _line(title: str, done: int, total: int | None, seconds: float, note: str = "") -> str:
    rate = done / max(seconds, 1e-6)
    of_total = f" of {total:,}" if total else ""
    remaining = ""
    if total and rate and done < total:
        remaining = f", {max(total - done, 0) / rate:.0f} s left"
    suffix = f", {note}" if note else ""
    return f"{title}: {done:,}{of_total} in {seconds:.1f} s ({_rate(rate)}/s{remaining}){suffix}"
