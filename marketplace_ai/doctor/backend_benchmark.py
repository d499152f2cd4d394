"""Which back end is fastest on this machine, measured: what ``doctor --tune`` says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import Error as DatabaseError

from marketplace_ai.conf import conf
from marketplace_ai.encoding import BACKENDS, EncoderError, TextEncoder, load_encoder
from marketplace_ai.models import Encoder


def tune(progress: Callable[[str], None] = lambda line: None) -> dict[str, Any]:
    """Measure every back end of the active encoder (else that of the setting) that can be loaded.

    ``back_ends`` has, for each, ``texts_a_second``, ``times_torch``, ``device``, ``precision``,
    or ``why`` it was not measured; ``fastest`` and ``fastest_exact`` (in float32, or on a GPU)
    name one; ``token_budget`` is one that is at least a tenth faster than that of the fastest,
    or None. Raises ``EncoderError`` where torch itself cannot load the encoder.
    """
    from marketplace_ai.encoding import benchmark as measuring

    source, revision = _source()
    loaded: dict[str, TextEncoder] = {}
    figures: dict[str, Any] = {}
    for name in BACKENDS[1:]:
        progress(f"Loading {source} with {name} …")
        try:
            encoder = load_encoder(
                source,
                cache_dir=conf.cache_dir,
                revision=revision,
                backend=name,
                precision=conf.precision,
                token_budget=conf.max_batch_tokens,
            )
            encoder.warm_up()
        except EncoderError as error:
            if name == "torch":
                raise
            figures[name] = {"why": str(error)}
        else:
            loaded[name] = encoder
    progress("Measuring them by turns …")
    speeds = measuring.compare({name: encoder.encode for name, encoder in loaded.items()})
    for name, speed in speeds.items():
        backend = getattr(loaded[name], "backend", None)
        figures[name] = {
            "texts_a_second": speed.texts_a_second,
            "times_torch": speed.ratio,
            "device": getattr(backend, "device", "cpu"),
            "precision": loaded[name].precision,
        }
    fastest = max(speeds, key=lambda name: speeds[name].ratio)
    exact = max((name for name in speeds if name != "onnx-int8"), key=lambda n: speeds[n].ratio)
    progress(f"Measuring sizes of a batch with {fastest} …")
    own, better = measuring.best_budget(loaded[fastest])
    return {
        "encoder": source,
        "back_ends": {name: figures[name] for name in BACKENDS[1:]},
        "fastest": fastest,
        "fastest_exact": exact,
        "token_budget_now": own,
        "token_budget": better,
        "setting": conf.backend,
    }


def lines(found: dict[str, Any]) -> list[str]:
    """The measurement for people, and which settings to choose."""
    said = [f"Back ends of {found['encoder']}, the same short texts by turns:"]
    for name, figure in found["back_ends"].items():
        if "why" in figure:
            said.append(f"  {name:<10} not measured: {figure['why']}")
        else:
            said.append(
                f"  {name:<10} {figure['texts_a_second']:>8,.0f} texts/s  "
                f"{figure['times_torch']:.2f} times torch  ({figure['device']}, "
                f"{figure['precision']})"
            )
    fastest, exact = found["fastest"], found["fastest_exact"]
    if fastest == "onnx-int8":
        said.append(
            f"→ MARKETPLACE_AI_BACKEND = {fastest!r} is fastest; then run fit_classifier with "
            "labelled postings, so that what is promised is proven for its vectors."
        )
        said.append(f"→ MARKETPLACE_AI_BACKEND = {exact!r} is fastest among the exact ones.")
    else:
        said.append(f"→ MARKETPLACE_AI_BACKEND = {fastest!r} is fastest.")
    if found["token_budget"] is not None:
        said.append(
            f"→ MARKETPLACE_AI_MAX_BATCH_TOKENS = {found['token_budget']} is faster than "
            f"{found['token_budget_now']}, with {fastest}."
        )
    return said


def _source() -> tuple[str, str | None]:
    try:
        active = Encoder.objects.active()
    except DatabaseError:
        active = None
    if active is None:
        return conf.encoder, None
    return active.source, active.revision or None
