"""Encoder versions: registered after a trial, one of them active."""

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

TRIAL = ["Male stue og gang, ca. 40 kvm", "Bytte stoppekran"]


def load_source(source: str, *, revision: str | None = None) -> TextEncoder:
    """An encoder on the back end that the settings choose."""
    return load_encoder(
        source,
        cache_dir=conf.cache_dir,
        revision=revision,
        backend=conf.backend,
        dtype=conf.dtype,
        token_budget=conf.max_batch_tokens,
    )


def load(encoder: Encoder) -> TextEncoder:
    """The encoder of a registered version; EncoderError where its weights have changed."""
    loaded = load_source(encoder.source, revision=encoder.revision or None)
    if loaded.weights_hash != encoder.weights_hash:
        raise EncoderError(
            f"The weights of {encoder.source} are not those that were registered as "
            f"{encoder.name!r}: put the registered files back, or register the new ones as a "
            "new encoder."
        )
    registered = (encoder.dimension, encoder.max_tokens, encoder.prompts)
    if registered != (loaded.dimension, loaded.max_tokens, dict(loaded.prompts)):
        raise EncoderError(
            f"{encoder.source} has other prompts, another dimension or another length than were "
            f"registered as {encoder.name!r}: put the registered files back, or register it anew."
        )
    return loaded


def ensure_active(
    progress: Callable[[str], None] = lambda line: None,
    loaded: Mapping[int, TextEncoder] = MappingProxyType({}),
) -> tuple[Encoder, TextEncoder]:
    """The active encoder, loaded; where there is none yet, that of the setting is made so.

    ``loaded``: encoders that are loaded already, by their primary keys.
    """
    active = Encoder.objects.active()
    if active is not None:
        return active, loaded.get(active.pk) or load(active)
    progress(f"Preparing the encoder {conf.encoder!r} …")
    made = try_source(conf.encoder)
    with transaction.atomic(using=alias()):
        with connections[alias()].cursor() as cursor:
            advisory_locks.lock(cursor, advisory_locks.ENCODER_REGISTRATION)
        active = Encoder.objects.active()
        if active is None:
            active = _register(name_for(conf.encoder), made)
            activate(active)
            return active, made
    return active, made if made.weights_hash == active.weights_hash else load(active)


def try_source(source: str, *, revision: str | None = None) -> TextEncoder:
    """An encoder that may be registered: loaded, and its vectors are what they must be."""
    loaded = load_source(source, revision=revision)
    check_vectors(loaded.encode(TRIAL), len(TRIAL), loaded.dimension)
    return loaded


def _register(name: str, loaded: TextEncoder, *, revision: str | None = None) -> Encoder:
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
    """Put an encoder in force and the former one out of it, in one transaction, asking nothing.

    For the first one of all; ``promotion.switch`` is what one takes another's place by.
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
