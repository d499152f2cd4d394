"""Silencing the libraries during a training, whose progress the command shows itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from marketplace_ai.encoding import optional_deps


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Turn off the progress bars, warnings and remarks of datasets and transformers."""
    from datasets import disable_progress_bars, enable_progress_bars
    from transformers.utils import logging as transformers_logging

    bars: Any = transformers_logging  # its functions are untyped
    enabled, verbosity = bars.is_progress_bar_enabled(), bars.get_verbosity()
    bars.disable_progress_bar()
    bars.set_verbosity_error()
    disable_progress_bars()
    try:
        with optional_deps.quiet("sentence_transformers", "accelerate"):
            yield
    finally:
        enable_progress_bars()
        bars.set_verbosity(verbosity)
        if enabled:
            bars.enable_progress_bar()
