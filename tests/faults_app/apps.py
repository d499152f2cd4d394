from __future__ import annotations

import datetime as dt
import os
import signal
import sys
import time
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from django.apps import AppConfig
from django.utils import timezone
from numpy.typing import NDArray

from marketplace_ai.db import read_timeout
from marketplace_ai.encoding import DummyEncoder
from tests.faults_app import HANGS, KILLS, RAISES, fates, points


class FaultsConfig(AppConfig):
    name = "tests.faults_app"

    def ready(self) -> None:
        file = os.environ.get("FAULTS_LOG")
        if not file:
            return
        folder = os.environ.get("FAULTS_FATES")
        # A Celery worker's own process has nothing of a batch, and would take a fate for nothing.
        if folder and "process_pending" in sys.argv:
            points.install(fates.take(Path(folder)))
        if wrong := float(os.environ.get("FAULTS_CLOCK", "0")):
            _set_clock(wrong)
        if patience := os.environ.get("FAULTS_SILENCE"):
            read_timeout.READ_TIMEOUT_SECONDS = float(patience)
        seconds = float(os.environ.get("FAULTS_SECONDS", "0"))
        memory = float(os.environ.get("FAULTS_MEMORY", "inf"))
        encode = DummyEncoder.encode
        # Appended lines of one write each, so those of several processes do not mix.
        log = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

        def faulty(encoder: DummyEncoder, texts: Sequence[str]) -> NDArray[np.float32]:
            names = ",".join(f"{zlib.crc32(text.encode()):08x}" for text in texts)
            os.write(log, f"{os.getpid()} begin {len(texts)} {names}\n".encode())
            if any(KILLS in text for text in texts):
                os.kill(os.getpid(), signal.SIGKILL)
            while any(HANGS in text for text in texts):
                time.sleep(60)
            if any(RAISES in text for text in texts):
                raise ValueError("The encoder cannot encode this text")
            if len(texts) * max(map(len, texts), default=0) > memory:
                raise RuntimeError("CUDA out of memory. Tried to allocate more than there is")
            time.sleep(seconds * len(texts))
            vectors = encode(encoder, texts)
            os.write(log, f"{os.getpid()} end {len(texts)} {names}\n".encode())
            return vectors

        setattr(DummyEncoder, "encode", faulty)  # noqa: B010 (a method is no place to assign to)


def _set_clock(wrong: float) -> None:
    """This process's clock is wrong, and jumps between too late and too early at every look."""
    now, django_now, sign = time.time, timezone.now, [1.0]

    def jump() -> float:
        sign[0] = -sign[0]
        return sign[0] * wrong

    setattr(time, "time", lambda: now() + jump())  # noqa: B010
    setattr(time, "time_ns", lambda: int((now() + jump()) * 1e9))  # noqa: B010
    setattr(timezone, "now", lambda: django_now() + dt.timedelta(seconds=jump()))  # noqa: B010
