"""The active encoder: loading and checking encoders, creating their rows, activating one."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

from django.db import connections, transaction
from django.db.models.functions import Now

from marketplace_ai.conf import conf
from marketplace_ai.db import advisory_locks
from marketplace_ai.db.alias import alias
from marketplace_ai.encoding import EncoderError, TextEncoder, check_vectors, load_encoder
from marketplace_ai.models import Encoder, EncoderState
from marketplace_ai.training.model import training_metadata

from . import partitions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SMOKE_TEXTS = ["Male stue og gang, ca. 40 kvm", "Bytte stoppekran"]


def load_source(source: str, *, revision: str | None = None) -> TextEncoder:
    """Load an encoder on the back end of the settings."""
    return load_encoder(
        source,
        cache_dir=conf.cache_dir,
        revision=revision,
        backend=conf.backend,
        dtype=conf.dtype,
        token_budget=conf.max_batch_tokens,
    )


def load(encoder: Encoder) -> TextEncoder:
    """Load a registered encoder; EncoderError if its files are no longer those registered."""
    loaded = load_source(encoder.source, revision=encoder.revision or None)
    if loaded.weights_hash != encoder.weights_hash:
        raise EncoderError(
            f"The weights of {encoder.source} are not those that were registered as "
            f"{encoder.name!r}: put the registered files back, or register the new ones as a "
            "new encoder."
        )
    if not _is_registered_as(encoder, loaded):
        raise EncoderError(
            f"{encoder.source} has other prompts, another dimension or another length than were "
            f"registered as {encoder.name!r}: put the registered files back, or register it again."
        )
    return loaded


def _is_registered_as(encoder: Encoder, loaded: TextEncoder) -> bool:
    registered = encoder.weights_hash, encoder.dimension, encoder.max_tokens, encoder.prompts
    return registered == (
        loaded.weights_hash, loaded.dimension, loaded.max_tokens, dict(loaded.prompts)
    )  # fmt: skip


def find_loaded(encoder: Encoder, loaded: Mapping[int, TextEncoder]) -> TextEncoder | None:
    """The encoder among those ``loaded``, by primary key; None where it is not there.

    In a database that was restored to an older state the key may be another encoder's.
    """
    found = loaded.get(encoder.pk)
    return found if found is not None and _is_registered_as(encoder, found) else None


def ensure_active(
    progress: Callable[[str], None] = lambda line: None,
    loaded: Mapping[int, TextEncoder] = MappingProxyType({}),
) -> tuple[Encoder, TextEncoder]:
    """The active encoder, loaded. If there is none, the one of the settings is activated first.

    ``loaded`` has encoders that are already loaded, by primary key.
    """
    active = Encoder.objects.active()
    if active is not None:
        if partitions.ensure(active):
            progress(f"Made the missing table of the vectors of {active.name!r}")
        return active, find_loaded(active, loaded) or load(active)
    progress(f"Preparing the encoder {conf.encoder!r} …")
    candidate = load_checked(conf.encoder)
    with transaction.atomic(using=alias()):
        with connections[alias()].cursor() as cursor:
            advisory_locks.lock(cursor, advisory_locks.ENCODER_REGISTRATION)
        active = Encoder.objects.active()
        if active is None:
            active = create_encoder(name_for(conf.encoder), candidate)
            activate(active)
            return active, candidate
    return active, candidate if candidate.weights_hash == active.weights_hash else load(active)


def load_checked(source: str, *, revision: str | None = None) -> TextEncoder:
    """Load an encoder that is to be registered, and check its vectors of two short texts."""
    loaded = load_source(source, revision=revision)
    check_vectors(loaded.encode(SMOKE_TEXTS), len(SMOKE_TEXTS), loaded.dimension)
    return loaded


def create_encoder(name: str, loaded: TextEncoder, *, revision: str | None = None) -> Encoder:
    """Create the row and the partition of an encoder; inside the registering transaction."""
    encoder = Encoder.objects.create(
        name=name,
        source=loaded.source,
        revision=revision or "",
        dimension=loaded.dimension,
        max_tokens=loaded.max_tokens,
        prompts=dict(loaded.prompts),
        dtype=loaded.dtype,
        weights_hash=loaded.weights_hash,
        metrics={"training": trained} if (trained := training_metadata.read(loaded.source)) else {},
    )
    partitions.create(encoder)
    return encoder


def activate(encoder: Encoder) -> None:
    """Make an encoder the active one, in one transaction and without any comparison.

    Only for the first encoder; ``promotion.switch`` replaces an active one.
    """
    with transaction.atomic(using=alias()):
        with connections[alias()].cursor() as cursor:
            advisory_locks.lock(cursor, advisory_locks.ACTIVATION)
        former = Encoder.objects.filter(state=EncoderState.ACTIVE)
        former.update(state=EncoderState.READY, replaced_at=Now())
        Encoder.objects.filter(pk=encoder.pk).update(state=EncoderState.ACTIVE, activated_at=Now())
        encoder.refresh_from_db(using=alias())


def name_for(source: str) -> str:
    """A slug for a source: the last part of a directory or hub id."""
    last = source.rstrip("/").rsplit("/", 1)[-1]
    return re.sub(r"[^a-z0-9]+", "-", last.lower()).strip("-") or "encoder"
