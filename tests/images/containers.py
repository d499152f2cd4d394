"""A container of an image without a container: its files, its environment, its commands.

A tree is made of what the Dockerfile copies, with the package as the wheel that the image
installs. A process sees the packages of the image's requirement list and no others.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.utils import canonicalize_name

from tests.acceptance import workers
from tests.images import files
from tools import pins

#: Guards against hanging: a worker loads its encoder, on a machine that may be busy.
PATIENCE = 300.0
#: By image: the lists that it installs.
LISTS = {"web": ["web.txt"], "worker": ["worker.txt", "onnx.txt"]}

#: Run at the start of a process: what the image lacks is not found, by whatever way it is sought.
GUARD = """
import os, sys
from importlib.machinery import PathFinder
ABSENT = set(open(os.environ["ABSENT_MODULES"]).read().split())
class OfTheImage(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in ABSENT else super().find_spec(name, path, target)
    @classmethod
    def find_distributions(cls, *args, **kwargs):
        for found in super().find_distributions(*args, **kwargs):
            if found.name.replace("-", "_") not in ABSENT:
                yield found
sys.meta_path[sys.meta_path.index(PathFinder)] = OfTheImage
"""


@dataclass(frozen=True, slots=True)
class Tree:
    """Folders that stand for those of an image: /app, and its packages."""

    app: Path
    packages: Path


def make_tree(folder: Path) -> Tree:
    """What the images hold, without the packages of others."""
    context, tree = folder / "context", Tree(folder / "app", folder / "packages")
    context.mkdir()
    _send(context)
    wheels = folder / "wheels"
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "--wheel-dir", wheels, context], check=True, timeout=300)
    (wheel,) = wheels.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tree.packages)
    (tree.packages / "sitecustomize.py").write_text(GUARD)
    for image, names in LISTS.items():
        (tree.packages / f"{image}.absent").write_text("\n".join(_absent(names)))
    for source, target in files.copied("runtime"):
        shutil.copytree(context / source, tree.app / target)
    return tree


def _send(context: Path) -> None:
    """The files that .dockerignore lets through."""
    lines = (files.ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    left_out = [line for line in lines if line and not line.startswith(("!", "#", "*"))]
    for line in lines:
        if line.startswith("!"):
            source = files.ROOT / line[1:]
            if source.is_dir():
                ignore = shutil.ignore_patterns("__pycache__", "*.pyc")
                shutil.copytree(source, context / line[1:], ignore=ignore)
            else:
                shutil.copy(source, context)
    for line in left_out:
        if not line.startswith("**/"):
            shutil.rmtree(context / line)


def _absent(names: list[str]) -> list[str]:
    """Modules of all packages here that an image with these lists does not have."""
    present = pins.installed({}, names).keys() | {"pip"}
    return [
        module
        for module, owners in packages_distributions().items()
        if not {canonicalize_name(owner) for owner in owners} & present
    ]


class Container:
    """The processes of one service, with the health check of its image."""

    def __init__(self, service: str, tree: Tree, folder: Path, given: dict[str, str]) -> None:
        described = files.compose()["services"][service]
        self.image: str = described["build"]["target"]
        self.argv: list[str] = described.get("command") or files.command(self.image)
        folder.mkdir()
        stands_for = {"/var/cache/marketplace_ai": str(folder / "cache"), "/tmp": str(folder)}  # noqa: S108
        self.environment = {
            **files.environment(self.image),
            **{
                name: files.interpolated(str(value), given)
                for name, value in described["environment"].items()
            },
            **{name: value for name, value in given.items() if name in described["environment"]},
        }
        for inside, here in stands_for.items():
            self.argv = [word.replace(inside, here) for word in self.argv]
            self.environment = {n: v.replace(inside, here) for n, v in self.environment.items()}
        self.environment |= {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(tree.packages),
            "ABSENT_MODULES": str(tree.packages / f"{self.image}.absent"),
            "HOME": str(folder),
            "OMP_NUM_THREADS": "1",
            **{name: given[name] for name in ("PORT", "MARKETPLACE_AI_CACHE_DIR") if name in given},
        }
        self._folder, self._tree = folder, tree
        self.log = folder / "log"
        self._mark = f"{workers.MARK}={folder}"
        self.environment[workers.MARK] = str(folder)
        with self.log.open("wb") as log:
            self.process = self._start(self.argv, log.fileno())

    def _start(self, argv: list[str], output: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            argv,
            cwd=self._tree.app,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def is_healthy(self) -> bool:
        """Ask as the container engine would."""
        assert self.process.poll() is None, self.text()
        with (self._folder / "health").open("ab") as output:
            check = self._start(files.health_check(self.image), output.fileno())
        return check.wait(PATIENCE) == 0

    def wait_for_health(self, healthy: bool = True) -> None:
        self.wait_for(lambda: self.is_healthy() is healthy)

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Until it holds, asked at intervals that leave the container some of the processor."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, self.text()
            time.sleep(0.5)

    def pids(self, part: str = "") -> list[int]:
        """Those of its processes that live, with ``part`` in the command line."""
        self.process.poll()
        found = []
        for pid, line in workers.command_lines().items():
            with suppress(OSError):
                environment = Path(f"/proc/{pid}/environ").read_text(errors="replace")
                if self._mark in environment.split("\0") and part in line:
                    found.append(pid)
        return found

    def stop(self) -> int:
        """As ``docker stop``: SIGTERM to the first process; its exit code, all others gone."""
        self.process.terminate()
        self.wait_for(lambda: not self.pids())
        return self.process.wait(PATIENCE)

    def text(self) -> str:
        """What it said, and what its health check did."""
        health = self._folder / "health"
        return self.log.read_text() + (health.read_text() if health.exists() else "")

    def end(self) -> None:
        """Kill whatever is left of it."""
        while left := self.pids():
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def container(service: str, tree: Tree, folder: Path, given: dict[str, str]) -> Iterator[Container]:
    """A service of the compose file for the block; ``given`` are variables, which also stand in
    for values of its environment."""
    started = Container(service, tree, folder, given)
    try:
        yield started
    finally:
        started.end()
