"""What a command's --encoder or --base names, or a refusal that says why not."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from django.db import DatabaseError

from marketplace_ai.conf import conf
from marketplace_ai.encoding import EncoderError, TextEncoder, is_source, load_encoder
from marketplace_ai.encoding.load import Found, find_directory

from .console import fail, refuse

if TYPE_CHECKING:
    from marketplace_ai.models import Encoder


def encoder_named(name: str, say: Callable[[str], None]) -> TextEncoder:
    """Loaded: 'embedded', a directory, a hub id, or else what the database knows by this name."""
    if not is_source(name):
        from marketplace_ai.encoders import active

        try:
            return active.load(_registered(name, "--encoder"))
        except EncoderError as error:
            fail(str(error))
    try:
        return load_encoder(
            name,
            cache_dir=conf.cache_dir,
            progress=say,
            backend=conf.backend,
            precision=conf.precision,
            token_budget=conf.max_batch_tokens,
        )
    except EncoderError as error:
        # A directory or hub id was typed; the embedded encoder is ours to bring.
        (fail if name == "embedded" else refuse)(str(error))


def base_named(name: str, say: Callable[[str], None]) -> Found:
    """The directory of the base of a training, from the same names."""
    source, revision = name, None
    if not is_source(name):
        registered = _registered(name, "--base")
        source, revision = registered.source, registered.revision or None
    try:
        return find_directory(source, cache_dir=conf.cache_dir, revision=revision, progress=say)
    except EncoderError as error:
        (fail if name == "embedded" else refuse)(str(error))


def _registered(name: str, option: str) -> Encoder:
    from marketplace_ai.models import Encoder

    neither = f"{option} {name}: neither 'embedded' nor an existing directory nor a hub id"
    try:
        found = Encoder.objects.filter(name=name).first()
        names = list(Encoder.objects.order_by("name").values_list("name", flat=True))
    except DatabaseError as error:
        reason = str(error).strip().partition("\n")[0]
        refuse(f"{neither}, and the database that may know the name cannot be asked ({reason}).")
    if found is None:
        refuse(f"{neither}, and not registered either. Registered: {', '.join(names) or 'none'}.")
    return found
