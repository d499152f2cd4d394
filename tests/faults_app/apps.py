from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence

import numpy as np
from django.apps import AppConfig
from numpy.typing import NDArray

from marketplace_ai.encoding import DummyEncoder
from tests.faults_app import HANGS, KILLS


class FaultsConfig(AppConfig):
    name = "tests.faults_app"

    def ready(self) -> None:
        file = os.environ.get("FAULTS_LOG")
        if not file:
            return
        seconds = float(os.environ.get("FAULTS_SECONDS", "0"))
        encode = DummyEncoder.encode
        # Appended lines of one write each, so those of several processes do not mix.
        log = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

        def faulty(encoder: DummyEncoder, texts: Sequence[str]) -> NDArray[np.float32]:
            os.write(log, f"{os.getpid()} begin {len(texts)}\n".encode())
            if any(KILLS in text for text in texts):
                os.kill(os.getpid(), signal.SIGKILL)
            while any(HANGS in text for text in texts):
                time.sleep(60)
            time.sleep(seconds * len(texts))
            vectors = encode(encoder, texts)
            os.write(log, f"{os.getpid()} end {len(texts)}\n".encode())
            return vectors

        setattr(DummyEncoder, "encode", faulty)  # noqa: B010 (a method is no place to assign to)
