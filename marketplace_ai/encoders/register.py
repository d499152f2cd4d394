"""Registration of candidate encoders, and the errors that workers report about them."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

from django.core.exceptions import ValidationError
from django.core.validators import validate_slug
from django.db import IntegrityError, OperationalError, connections, transaction

from marketplace_ai.db.alias import alias
from marketplace_ai.models import Encoder
from marketplace_ai.queue import backfill
from marketplace_ai.text.normalize import one_line

from . import active, partitions

if TYPE_CHECKING:
    from marketplace_ai.encoding import TextEncoder

#: A registration that has to wait for locks (``partitions.LOCK_TIMEOUT``) is tried so often.
ATTEMPTS = 20


class RegistrationError(ValueError):
    """A name that cannot be given, with the reason for the person who chose it."""


def check_name(name: str) -> None:
    """Raise RegistrationError for a name that is not a slug or is taken."""
    try:
        validate_slug(name)
        Encoder._meta.get_field("name").run_validators(name)
    except ValidationError:
        raise RegistrationError(
            f"{name!r} is not a valid name for an encoder: at most 100 letters, digits, hyphens "
            "and underscores."
        ) from None
    before = Encoder.objects.using(alias()).filter(name=name).first()
    if before is not None:
        raise RegistrationError(
            f"There is an encoder {name!r} already ({before.state}). Decisions name encoders, so "
            "a name is given once: choose another one."
        )
    if Encoder.objects.active() is None:
        raise RegistrationError(
            "No encoder is active yet: start a worker, or run fit_classifier. That registers the "
            "one of MARKETPLACE_AI_ENCODER and activates it."
        )


def register(name: str, loaded: TextEncoder, *, revision: str | None = None) -> Encoder:
    """Register a loaded encoder (``active.load_checked``) as a candidate that is being built.

    Creates its row and partition and requests a backfill of all postings, in one transaction.
    Raises RegistrationError like ``check_name``, and OperationalError if its tables stay locked.
    """
    check_name(name)
    partitions.check_dimension(loaded.dimension)
    total, estimated = backfill.count_all()
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with transaction.atomic(using=alias()):
                with connections[alias()].cursor() as cursor:
                    cursor.execute(f"SET LOCAL lock_timeout = {partitions.LOCK_TIMEOUT}")
                encoder = active.create_encoder(name, loaded, revision=revision)
                backfill.request(encoder, vectors_only=True, total=total, estimated=estimated)
                return encoder
        except IntegrityError:
            check_name(name)  # somebody else was faster
            raise
        except OperationalError:
            if attempt == ATTEMPTS:
                raise
            time.sleep(partitions.LOCK_PAUSE)
    raise AssertionError("unreachable")


def encoders_with_same_weights(encoder: Encoder) -> list[Encoder]:
    """Other encoders with the same weights, in any state."""
    same = Encoder.objects.using(alias()).filter(weights_hash=encoder.weights_hash)
    return list(same.exclude(pk=encoder.pk).order_by("pk"))


def record_trouble(encoder: Encoder, message: str) -> None:
    """Store why the worker on this machine cannot use the encoder, for others to see."""
    here = Encoder.objects.using(alias()).filter(pk=encoder.pk)
    here.update(last_error=f"{_machine()}{one_line(message)}"[:2000])


def clear_trouble(encoder: Encoder) -> None:
    """Clear the stored error: it works here, and other machines report theirs again."""
    if encoder.last_error:
        Encoder.objects.using(alias()).filter(pk=encoder.pk).update(last_error="")


def _machine() -> str:
    return f"{socket.gethostname()}: "
