"""The options ``--encoder`` and ``--base``: what they name, or an error that says why nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

from django.db import DatabaseError

from marketplace_ai.conf import conf
from marketplace_ai.encoding import (
    EncoderError,
    TextEncoder,
    canonical_source,
    is_source,
    load_encoder,
    spellings,
)
from marketplace_ai.encoding.sources import BUNDLED, ModelPath, find_directory

from .console import runtime_error, usage_error

if TYPE_CHECKING:
    from marketplace_ai.models import Encoder


def load_named_encoder(name: str, say: Callable[[str], None]) -> TextEncoder:
    """Load 'bundled', a directory, a hub id, or else the encoder registered as ``name``."""
    if not is_source(name):
        from marketplace_ai.encoders import active

        try:
            return active.load(_registered(name, "--encoder"))
        except EncoderError as error:
            runtime_error(str(error))
    try:
        return load_encoder(
            name,
            cache_dir=conf.cache_dir,
            progress=say,
            backend=conf.backend,
            dtype=conf.dtype,
            token_budget=conf.max_batch_tokens,
        )
    except EncoderError as error:
        _end(name, error)


def find_base_model(name: str, say: Callable[[str], None]) -> ModelPath:
    """The directory of a base model for training, by the same names."""
    source, revision = name, None
    if not is_source(name):
        registered = _registered(name, "--base")
        source, revision = registered.source, registered.revision or None
    try:
        return find_directory(source, cache_dir=conf.cache_dir, revision=revision, progress=say)
    except EncoderError as error:
        _end(name, error)


def registered_name(name: str) -> str:
    """The spelling of ``name`` that is registered; ``name`` itself if none is.

    The bundled encoder is registered as ``bundled``, or as ``embedded`` by an earlier version;
    commands take both names for it.
    """
    from marketplace_ai.models import Encoder

    names = spellings(name)
    if len(names) == 1:
        return name
    registered = set(Encoder.objects.filter(name__in=names).values_list("name", flat=True))
    return next((spelling for spelling in names if spelling in registered), name)


def _end(name: str, error: EncoderError) -> NoReturn:
    # A directory or hub id was typed, so it is bad input; the bundled encoder is ours to provide.
    (runtime_error if canonical_source(name) == BUNDLED else usage_error)(str(error))


def _registered(name: str, option: str) -> Encoder:
    from marketplace_ai.models import Encoder

    neither = f"{option} {name}: neither 'bundled' nor an existing directory nor a hub id"
    try:
        encoder = Encoder.objects.filter(name=name).first()
        names = list(Encoder.objects.order_by("name").values_list("name", flat=True))
    except DatabaseError as error:
        reason = str(error).strip().partition("\n")[0]
        usage_error(
            f"{neither}, and the database that may know the name cannot be asked ({reason})."
        )
    if encoder is None:
        usage_error(
            f"{neither}, and not registered either. Registered: {', '.join(names) or 'none'}."
        )
    return encoder
