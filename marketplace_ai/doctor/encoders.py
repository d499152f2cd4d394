"""Checks of the active encoder, its search index and the back end that runs it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from marketplace_ai.conf import conf
from marketplace_ai.db import vector_type
from marketplace_ai.doctor.candidates import candidates
from marketplace_ai.doctor.finding import Finding
from marketplace_ai.encoders import search_index
from marketplace_ai.encoding import EncoderError, backend_registry, canonical_source, gpu
from marketplace_ai.models import Encoder


def encoder() -> Iterator[Finding]:
    """Which encoder is active, and whether the setting names another one."""
    active = Encoder.objects.active()
    if active is None:
        yield Finding(
            "encoder", True, "None is registered yet.",
            f"The first worker registers {conf.encoder!r}.",
        )  # fmt: skip
        return
    yield Finding("encoder", True, f"{active.name} ({active.dimension} dimensions) is active")
    configured = (canonical_source(conf.encoder), str(Path(conf.encoder).expanduser().absolute()))
    if canonical_source(active.source) not in configured:
        yield Finding(
            "encoder setting", True,
            f"MARKETPLACE_AI_ENCODER names {conf.encoder!r}, but {active.name!r} is active.",
            "The active one decides. Register and activate the other, or correct the setting.",
        )  # fmt: skip


def index() -> Iterator[Finding]:
    """The state of the active encoder's search index.

    A missing index is no failure: postings are compared with exemplars, without this index.
    """
    active = Encoder.objects.active()
    if active is None or active.dimension > vector_type.MAX_INDEXED_DIMENSION:
        return
    state = search_index.state(active)
    message = {
        search_index.State.READY: "is there.",
        search_index.State.BUILDING: "is being built.",
        search_index.State.BROKEN_OFF: "is not used: its build was broken off.",
        search_index.State.MISSING: "is missing: a search over all postings reads every vector.",
    }[state]
    is_fine = state in (search_index.State.READY, search_index.State.BUILDING)
    yield Finding(
        "search index", True, f"That of {active.name} {message}",
        "" if is_fine else "Run manage.py build_search_index, after any backfill has finished.",
    )  # fmt: skip


def backend() -> Iterator[Finding]:
    """Whether the back end rounds vectors, and what would make better use of the GPU."""
    if not backend_registry.is_reference(conf.backend):
        yield Finding(
            "back end", True, f"The back end {conf.backend!r} rounds vectors.",
            "If the classifier was fitted before that, run manage.py fit_classifier again.",
        )  # fmt: skip
    if not gpu.has_driver():
        return
    try:
        for message, cure in gpu.advice(gpu.detect_gpus(), conf.backend, conf.dtype):
            yield Finding("gpu", True, message, cure)
    except (ImportError, EncoderError) as error:
        yield Finding("gpu", True, f"The GPU could not be examined: {error}")


CHECKS = [encoder, candidates, index, backend]
