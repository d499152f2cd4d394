"""The app's settings: name, type, default and meaning of each.

A project sets ``MARKETPLACE_AI_<NAME>`` in its Django settings. Nothing is cached, so
``override_settings`` works in tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar, cast, overload

from django.conf import settings

PREFIX = "MARKETPLACE_AI_"
T = TypeVar("T")


class Setting(Generic[T]):
    """One typed setting; its name is the prefix and the attribute name in upper case."""

    def __init__(self, default: T, help_text: str) -> None:
        self.default = default
        self.help_text = help_text

    def __set_name__(self, owner: type, name: str) -> None:
        self.setting = PREFIX + name.upper()

    @overload
    def __get__(self, instance: None, owner: type) -> Setting[T]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> Setting[T] | T:
        if instance is None:
            return self
        value: Any = getattr(settings, self.setting, self.default)
        if isinstance(self.default, Path):
            value = Path(value).expanduser()
        return cast("T", value)


class Conf:
    category_model = Setting(
        "marketplace_ai.Category", "The project's category model, as app_label.Model."
    )
    job_model = Setting("marketplace_ai.JobPosting", "The project's job model, as app_label.Model.")
    adapter = Setting(
        "marketplace_ai.adapter.JobAdapter", "Dotted path of the JobAdapter subclass to use."
    )
    encoder = Setting(
        "bundled",
        "What is registered and activated if there is no encoder yet: 'bundled', "
        "a sentence-transformers directory, or a hub id.",
    )
    cache_dir = Setting(
        Path("~/.cache/marketplace_ai"), "Folder in which the bundled encoder is built once."
    )
    backend = Setting(
        "auto",
        "What runs the encoder: 'torch', 'onnx', 'onnx-int8', or 'auto': torch on a GPU, elsewhere "
        "ONNX Runtime where export_encoder was run, else torch.",
    )
    dtype = Setting(
        "auto",
        "What torch computes in: 'float32', 'bfloat16', 'float16', or 'auto': float32 on a CPU, "
        "bfloat16 or float16 on a GPU.",
    )
    max_batch_tokens = Setting[int | None](
        None, "Padded tokens of one device batch; None for the back end's default."
    )
    claim_size = Setting(512, "Postings claimed at once by a worker.")
    poll_interval_seconds = Setting(1.0, "Seconds after which an idle worker looks for work.")
    lease_seconds = Setting(
        30, "Seconds after which the rows of a worker that stopped renewing its lease are free."
    )
    encode_timeout = Setting(
        120, "Seconds one batch may take before its worker ends itself and is restarted."
    )
    max_attempts = Setting(3, "Failures of one posting alone before it is marked failed.")
    bulk_update_threshold = Setting(
        1000,
        "An UPDATE that changes the text of more postings than this renews their vectors only.",
    )
    backfill_max_queued_batches = Setting(
        10, "Batches of a backfill per worker that may wait in the queue."
    )
    reconcile_interval_hours = Setting(
        24.0,
        "Hours between two reconcile runs; 0 for none, except after a trigger failed.",
    )
    audit_sample_rate = Setting(
        0.01, "Share of all postings that a person audits, drawn at random; 0 for none."
    )
    refit_activates = Setting(
        True,
        "A refit activates the version that it fitted where the comparison allows; False: it only "
        "proposes it.",
    )
    drain_queues = Setting[Sequence[str] | None](
        None,
        "Names of Celery queues: only Celery workers that consume one of them keep a queue worker "
        "running; None for all.",
    )
    wake_up = Setting(True, "Send a Celery wake-up when a posting is saved through the ORM.")


conf = Conf()


def known_settings() -> dict[str, Setting[Any]]:
    """All settings by their full name."""
    return {s.setting: s for s in vars(Conf).values() if isinstance(s, Setting)}
