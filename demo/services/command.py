"""Embedded services around one manage.py command, where none are configured."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dotenv import load_dotenv

from .errors import ServiceError
from .shared_servers import running

BASE_DIR = Path(__file__).resolve().parent.parent.parent
#: The demo's data, servers and logs.
ROOT = Path(os.environ.get("MARKETPLACE_AI_DEMO_ROOT") or BASE_DIR / ".demo")

#: Commands that ask neither server for anything.
WITHOUT_SERVICES = {
    "check",
    "collectstatic",
    "compilemessages",
    "help",
    "makemessages",
    "makemigrations",
    "version",
}


@contextmanager
def services_for(arguments: Sequence[str]) -> Iterator[None]:
    """Put DATABASE_URL and REDIS_URL into the environment for the block.

    Those that are given, there or in ``.env``, stay as they are; for the others the demo's
    servers are joined or started, and stopped again by the last who leaves.
    """
    load_dotenv(BASE_DIR / ".env")
    wanted = [name for name in ("DATABASE_URL", "REDIS_URL") if not os.environ.get(name)]
    if not wanted or not _needs_services(arguments):
        yield
        return
    # Without this, `kill` would end Python before the servers were stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with running(ROOT, postgres="DATABASE_URL" in wanted, redis="REDIS_URL" in wanted) as urls:
            given = {"DATABASE_URL": urls.database_url, "REDIS_URL": urls.redis_url}
            os.environ.update({name: given[name] for name in wanted})
            try:
                yield
            finally:
                # An impatient second Ctrl-C must not leave a server behind.
                signal.signal(signal.SIGINT, signal.SIG_IGN)
    except ServiceError as error:
        sys.exit(f"{error}")
    except KeyboardInterrupt:
        sys.exit(130)


def _needs_services(arguments: Sequence[str]) -> bool:
    if not arguments or {"--help", "-h", "--version"} & set(arguments):
        return False
    if arguments[0] == "evaluate_classifier":
        return _names_registered_encoder(arguments)
    if arguments[0] == "assess":
        return "--from-jobs" in arguments or _names_registered_encoder(arguments)
    if arguments[0] == "mine_training_data":
        return not any(a == "--from" or a.startswith("--from=") for a in arguments)
    return arguments[0] not in WITHOUT_SERVICES


def _names_registered_encoder(arguments: Sequence[str]) -> bool:
    """Whether ``--encoder`` gives a name that only the database can know."""
    from marketplace_ai.encoding import is_source

    pairs = zip(arguments, [*arguments[1:], ""], strict=True)
    named = [
        value if option == "--encoder" else option.partition("=")[2]
        for option, value in pairs
        if option == "--encoder" or option.startswith("--encoder=")
    ]
    return any(name and not is_source(name) for name in named)
