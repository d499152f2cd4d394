"""Callbacks of the trainer: progress reports, and a stop with a checkpoint on a signal."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from transformers import TrainerCallback


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """The state of a training after a step.

    ``loss`` is the mean of the latest steps, None before it is first known. ``seconds`` counts
    from the start of this run, ``first_step`` is the step it started or resumed at.
    """

    step: int
    steps: int
    loss: float | None
    seconds: float
    first_step: int

    @property
    def seconds_left(self) -> float | None:
        """Remaining seconds at the rate so far; None before the first step is done."""
        done = self.step - self.first_step
        return (self.steps - self.step) * self.seconds / done if done else None


class StepCallback(TrainerCallback):
    """Reports each step; stops after one, with a checkpoint, when ``should_stop`` is true."""

    def __init__(self, report: Callable[[TrainingProgress], None]) -> None:
        self.should_stop: Callable[[], bool] = lambda: False
        self.interrupted = False
        self._report = report
        self._loss: float | None = None
        self._first_step, self._started_at = 0, 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._first_step, self._started_at = state.global_step, time.monotonic()

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.log_history and "loss" in state.log_history[-1]:
            self._loss = float(state.log_history[-1]["loss"])

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        seconds = time.monotonic() - self._started_at
        self._report(
            TrainingProgress(
                state.global_step, state.max_steps, self._loss, seconds, self._first_step
            )
        )
        if self.should_stop() and state.global_step < state.max_steps:
            self.interrupted = True
            control.should_save = control.should_training_stop = True
        return control


@contextmanager
def stop_signals() -> Iterator[Callable[[], bool]]:
    """Catch SIGINT and SIGTERM; yields a function that tells whether one has arrived.

    A second signal has its usual effect. Outside the main thread nothing is caught.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    received = False
    previous: dict[signal.Signals, Any] = {}

    def handle(number: int, frame: Any) -> None:
        nonlocal received
        received = True
        signal.signal(number, previous[signal.Signals(number)])

    for number in (signal.SIGINT, signal.SIGTERM):
        previous[number] = signal.signal(number, handle)
    try:
        yield lambda: received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
