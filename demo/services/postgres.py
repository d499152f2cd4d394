"""The embedded PostgreSQL with pgvector."""

import hashlib
import os
import shutil
import signal
from pathlib import Path
from typing import IO, Literal

from . import processes
from .data_dir import DataDir
from .endpoint import HOST, Endpoint
from .errors import ServiceError
from .server import START_SECONDS, Server

DATABASE = "marketplace_ai"
SUPERUSER = "postgres"

# For two cores that the encoder wants too, and for containers, whose /dev/shm (64 MB) is too
# small for parallel index builds: no parallel queries, no JIT. Passwords are long and random, so
# one round of SCRAM is as safe as thousands and spares each connection some milliseconds.
CONFIGURATION = """\
listen_addresses = '{host}'
port = {port}
unix_socket_directories = ''
hba_file = 'pg_hba.conf'
max_connections = 100
shared_buffers = 256MB
effective_cache_size = 1GB
work_mem = 16MB
maintenance_work_mem = 256MB
max_parallel_workers_per_gather = 0
max_parallel_maintenance_workers = 0
jit = off
scram_iterations = 1
timezone = 'UTC'
log_timezone = 'UTC'
lc_messages = 'C'
log_checkpoints = off
"""
# A crash of the machine may cost data that a test made; nothing else is lost.
NOT_DURABLE = """\
fsync = off
synchronous_commit = off
full_page_writes = off
"""
ACCESS = f"host all all {HOST}/32 scram-sha-256\n"


class EmbeddedPostgres(Server):
    """PostgreSQL on a loopback port with a password of its own; UTF-8, C.UTF-8, UTC.

    durable: False gives up safety against a crash of the machine for speed, as tests want it.
    """

    name = "postgres"
    title = "PostgreSQL"
    program = "postgres"

    def __init__(self, root: Path, *, durable: bool = True) -> None:
        super().__init__(root, durable=durable)
        self._data_dir = DataDir.of(self.root)
        self._data = self._data_dir.path / "data"

    def pid(self) -> int | None:
        lines = self._pid_lines()
        pid = int(lines[0]) if lines and lines[0].isdigit() else None
        return pid if pid in self._processes() else None

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """End it: "fast" breaks off connections, "immediate" also leaves recovery to the start."""
        self._end(signal.SIGINT if mode == "fast" else signal.SIGQUIT)

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._data_dir.path, ignore_errors=True)
        self._saved.unlink(missing_ok=True)

    def _url(self, endpoint: Endpoint) -> str:
        return f"postgresql://{SUPERUSER}:{endpoint.password}@{HOST}:{endpoint.port}/{DATABASE}"

    def _uid(self) -> int | None:
        account = self._data_dir.account()
        if account is None:
            return None if self._data_dir.is_outside_root else os.geteuid()
        return account[0]

    def _pid_lines(self) -> list[str]:
        """The lines of postmaster.pid: process, folder, start, port, ..., "ready" in the eighth."""
        try:
            return (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def _is_ready(self) -> bool:
        state = self._pid_lines()[7:8]
        return bool(state) and state[0].strip() == "ready" and self.pid() is not None

    def _prepare(self, endpoint: Endpoint, lock: int) -> None:
        place = self._data_dir.path
        key = hashlib.sha256(endpoint.password.encode()).hexdigest()
        # Outside the root, data outlive a root that was deleted: another root of the same path
        # has another password and must not inherit them.
        if self._data_dir.is_outside_root and place.exists() and _read(place / "key") != key:
            shutil.rmtree(place)
        programs = self._data_dir.prepare()
        _write(place / "key", key)
        # The lock told that no server of ours lives, whatever process has that number by now.
        (self._data / "postmaster.pid").unlink(missing_ok=True)
        if not self._data.exists():
            self._initialize(programs, endpoint, lock)
        elif Endpoint.load(self._saved) is None:
            self._administer(programs, self._data, f"{_set_password(endpoint)}\n", lock)
        settings = CONFIGURATION.format(host=HOST, port=endpoint.port)
        _write(place / "postgresql.conf", settings + ("" if self.durable else NOT_DURABLE))
        _write(place / "pg_hba.conf", ACCESS)

    def _initialize(self, programs: Path, endpoint: Endpoint, lock: int) -> None:
        """Make the data folder, under another name until it is whole."""
        fresh = self._data.with_suffix(".new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        if account := self._data_dir.account():
            os.chown(fresh, *account)
        # "trust" is for this folder's own rules, which ACCESS replaces.
        self._run(
            [
                str(programs / "initdb"),
                f"--pgdata={fresh.name}",
                f"--username={SUPERUSER}",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--text-search-config=english",
                *([] if self.durable else ["--no-sync"]),
            ],
            lock,
        )
        statements = f"{_set_password(endpoint)}\nCREATE DATABASE {DATABASE}\n"
        self._administer(programs, fresh, statements, lock)
        fresh.rename(self._data)

    def _administer(self, programs: Path, data: Path, statements: str, lock: int) -> None:
        """Run SQL, one statement a line, with no server and no password."""
        command = [str(programs / "postgres"), "--single", "-D", data.name]
        self._run([*command, "-c", "exit_on_error=on", SUPERUSER], lock, statements)

    def _run(self, command: list[str], lock: int, text: str = "") -> None:
        # initdb holds the server's lock as well: who finds its starter dead waits for its end.
        with self._open_log() as log:
            status = processes.run(
                command,
                cwd=self._data_dir.path,
                account=self._data_dir.account(),
                output=log,
                text=text.encode(),
                keep=(lock,),
            )
        if status != 0:
            raise ServiceError(
                f"{Path(command[0]).name} failed ({status}). The end of {self.log}:\n"
                f"{self._log_end()}"
            )

    def _open_log(self) -> IO[bytes]:
        # Opened here and inherited: the system user has no way into the root.
        self.log.touch(mode=0o600)
        return self.log.open("ab")

    def _launch(self, endpoint: Endpoint, lock: int) -> bool:
        programs = self._data_dir.prepare()
        options = f"-c config_file=postgresql.conf -c cluster_name={self.mark}"
        wait = ["--silent", "--wait", f"--timeout={START_SECONDS:.0f}"]
        with self._open_log() as log:
            status = processes.run(
                [str(programs / "pg_ctl"), "start", "-D", "data", *wait, "-o", options],
                cwd=self._data_dir.path,
                account=self._data_dir.account(),
                output=log,
                keep=(lock,),
            )
        return status == 0 and self._is_ready()


def _set_password(endpoint: Endpoint) -> str:
    return f"ALTER ROLE {SUPERUSER} PASSWORD '{endpoint.password}'"


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _write(path: Path, text: str) -> None:
    path.write_text(text)
    # The system user reads them, whatever root's umask is; there is no secret in them.
    path.chmod(0o644)
