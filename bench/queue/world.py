"""Where the queue's rows are measured: servers of the run's own, a process and database a row."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from demo.services import EmbeddedPostgres, EmbeddedRedis

from ..inputs import public_file
from ..rows import say

ROOT = Path(__file__).resolve().parents[2]


def measured(
    module: str, function: str, figure: str = "", *, redis: bool = False, real: bool = False
) -> float:
    """What ``bench.queue.<module>.<function>`` returns, or its ``figure`` of several, called once
    in a separate process. ``real``: with the bundled encoder, not a dummy."""
    value = _called(module, function, redis, real)
    return float(value[figure] if figure else value)


@cache
def _called(module: str, function: str, redis: bool, real: bool) -> Any:
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DATABASE_URL": _database(f"bench_{module}_{function}"),
        "REDIS_URL": _redis() if redis else "redis://127.0.0.1:1/0",
        "MARKETPLACE_AI_ENCODER": "bundled" if real else "dummy:384",
        "MARKETPLACE_AI_LOG": "WARNING",
    }
    done = subprocess.run(  # noqa: S603 (our own module)
        [sys.executable, "-m", "bench.queue.inside", module, function],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"bench.queue.{module}.{function} ended with {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


def public_measured(module: str, function: str, figure: str) -> float:
    """The same, of public texts with the bundled encoder; NotMeasured where they are not."""
    for name in ("massive_sv-SE", "massive_da-DK", "banking77"):
        public_file(name)
    return measured(module, function, figure, real=True)


def scaled(count: int) -> int:
    """A number of postings, sized down by BENCH_SCALE."""
    factor = float(os.environ.get("BENCH_SCALE", "1"))
    if factor != 1:
        say(f"BENCH_SCALE={factor:g}: {count * factor:,.0f} instead of {count:,}")
    return max(int(count * factor), 1)


@cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="marketplace-ai-bench-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def _postgres() -> str:
    """Safe against crashes as in production: its commits wait for the disk."""
    server = EmbeddedPostgres(_folder() / "postgres", durable=True)
    atexit.register(server.remove)
    return server.start()


@cache
def _redis() -> str:
    server = EmbeddedRedis(_folder() / "redis", durable=False)
    atexit.register(server.remove)
    return server.start()


def _database(name: str) -> str:
    url = _postgres()
    with ExitStack() as stack:
        connection = stack.enter_context(psycopg.connect(url, autocommit=True))
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        connection.execute(f'CREATE DATABASE "{name}"')
    return urlsplit(url)._replace(path=f"/{name}").geturl()
