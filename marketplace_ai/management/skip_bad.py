"""The option ``--skip-bad`` of commands that read tables."""

from __future__ import annotations

from typing import Any, NoReturn

from django.core.management.base import CommandParser

from marketplace_ai.management.console import usage_error
from marketplace_ai.text.bad_rows import BadRowsError


def add_skip_bad(parser: CommandParser) -> None:
    """Add the option to a command."""
    parser.add_argument(
        "--skip-bad",
        action="store_true",
        help="take the good rows and report the bad ones; without it a bad row refuses the file",
    )


def refuse(error: Exception, options: dict[str, Any]) -> NoReturn:
    """Exit with code 2, and say where ``--skip-bad`` would help."""
    if isinstance(error, BadRowsError) and error.leaves_rows and not options["skip_bad"]:
        usage_error(f"{error} (--skip-bad takes the other rows.)")
    usage_error(str(error))
