"""How far a training is, and how it is asked to stop."""

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
class Step:
    """How far a training is: ``loss`` of the last steps (None before the first is known),
    ``seconds`` since it began or went on, ``began`` the step that it went on from."""

    step: int
    steps: int
    loss: float | None
    seconds: float
    began: int

    @property
    def left(self) -> float | None:
        """Seconds that the rest takes at the rate so far; None before it is known."""
        done = self.step - self.began
        return (self.steps - self.step) * self.seconds / done if done else None


class Watch(TrainerCallback):
    """Reports each step, and stops with a checkpoint when it is asked to."""

    def __init__(self, report: Callable[[Step], None]) -> None:
        self.stopping: Callable[[], bool] = lambda: False
        self._report = report
        self._loss: float | None = None
        self._began, self._start = 0, 0.0
        self.interrupted = False

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._began, self._start = state.global_step, time.monotonic()

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.log_history and "loss" in state.log_history[-1]:
            self._loss = float(state.log_history[-1]["loss"])

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        seconds = time.monotonic() - self._start
        self._report(Step(state.global_step, state.max_steps, self._loss, seconds, self._began))
        if self.stopping() and state.global_step < state.max_steps:
            self.interrupted = True
            control.should_save = control.should_training_stop = True
        return control


@contextmanager
def interrupts() -> Iterator[Callable[[], bool]]:
    """Whether SIGINT or SIGTERM has come. A second one ends the process as ever."""
    asked = False
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return

    before: dict[signal.Signals, Any] = {}

    def ask(number: int, frame: Any) -> None:
        nonlocal asked
        asked = True
        signal.signal(number, before[signal.Signals(number)])

    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, ask)
    try:
        yield lambda: asked
    finally:
        for handled, handler in before.items():
            signal.signal(handled, handler)
