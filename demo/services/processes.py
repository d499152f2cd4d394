"""Finding, signalling and starting the processes of one server, and of no other."""

import os
import re
import signal
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

from .errors import ServiceError


def marked(program: str, mark: str, uid: int) -> list[int]:
    """Process ids, ascending, of a user's `program` whose command line bears `mark`.

    The mark is a hash of the server's folder, so neither the server of another checkout nor a
    stranger that got an old pid is ever among them; nor is a zombie, which has no command line.
    """
    # At the start or behind a slash: "grep postgres MARK" is not a server.
    pattern = re.compile(rf"(?:^|/){program}[ :].*{mark}", re.DOTALL)
    return sorted(
        pid for pid, owner, line in _command_lines() if owner == uid and pattern.search(line)
    )


def send(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def run(
    command: list[str],
    *,
    cwd: Path,
    executable: Path | None = None,
    account: tuple[int, int] | None = None,
    output: IO[bytes] | int = subprocess.DEVNULL,
    text: bytes = b"",
    keep: tuple[int, ...] = (),
) -> int:
    """Run a program to its end and return its exit status.

    account: (uid, gid) to become, only as root. output: where stdout and stderr go. text: stdin.
    keep: open files that the program and its children inherit.

    It gets a session of its own, because Ctrl-C in a terminal reaches every process of the
    foreground group and must not end a server before its owner does; and a bare environment,
    because PGPORT and its like change what PostgreSQL's programs do.
    """
    uid, gid = account or (None, None)
    # useradd is not on every root's PATH.
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    try:
        done = subprocess.run(  # noqa: S603 - only this package's own programs and arguments
            command,
            executable=executable,
            cwd=cwd,
            env={"PATH": path, "LC_ALL": "C", "TZ": "UTC"},
            umask=0o077,
            input=text,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=keep,
            user=uid,
            group=gid,
            extra_groups=None if account is None else [],
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ServiceError(f"{executable or command[0]} cannot be run: {error}") from error
    return done.returncode


def _command_lines() -> Iterator[tuple[int, int, str]]:
    """(pid, uid, command line) of the processes that can be seen."""
    if not Path("/proc/self/cmdline").exists():
        listing = subprocess.run(
            ["/bin/ps", "-axww", "-o", "pid=,uid=,args="],
            capture_output=True,
            text=True,
            check=True,
        )
        for row in listing.stdout.splitlines():
            pid, owner, line = row.split(None, 2)
            yield int(pid), int(owner), line
        return
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            # Processes end while we read: they are no longer of interest then.
            with suppress(OSError):
                line = (entry / "cmdline").read_text(errors="replace").replace("\0", " ")
                yield int(entry.name), entry.stat().st_uid, line
