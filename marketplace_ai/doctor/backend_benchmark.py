"""``doctor --tune``: measure which back end is fastest on this machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import Error as DatabaseError

from marketplace_ai.conf import conf
from marketplace_ai.encoding import EncoderError, TextEncoder, backend_registry, load_encoder
from marketplace_ai.models import Encoder


def benchmark_backends(progress: Callable[[str], None] = lambda line: None) -> dict[str, Any]:
    """Measure the active encoder (else that of the setting) on every back end that can load it.

    ``back_ends`` has for each ``texts_a_second``, ``times_torch``, ``device`` and ``dtype`` (also
    as ``precision``), or ``why`` it was not measured. ``fastest`` is a back end, and
    ``fastest_exact`` one that does not round vectors. ``token_budget`` is one with which the
    fastest is at least a tenth faster than with ``token_budget_now``, or None. Raises
    ``EncoderError`` if torch cannot load the encoder.
    """
    from marketplace_ai.encoding import benchmark

    source, revision = _source()
    encoders: dict[str, TextEncoder] = {}
    figures: dict[str, Any] = {}
    for name in backend_registry.names():
        progress(f"Loading {source} with {name} …")
        try:
            encoder = load_encoder(
                source,
                cache_dir=conf.cache_dir,
                revision=revision,
                backend=name,
                dtype=conf.dtype,
                token_budget=conf.max_batch_tokens,
            )
            encoder.warm_up()
        except EncoderError as error:
            if name == backend_registry.TORCH:
                raise
            figures[name] = {"why": str(error)}
        else:
            encoders[name] = encoder
    progress("Measuring them by turns …")
    speeds = benchmark.compare({name: encoder.encode for name, encoder in encoders.items()})
    for name, speed in speeds.items():
        backend = getattr(encoders[name], "backend", None)
        figures[name] = {
            "texts_a_second": speed.texts_a_second,
            "times_torch": speed.ratio,
            "device": getattr(backend, "device", "cpu"),
            "dtype": encoders[name].dtype,
            "precision": encoders[name].dtype,  # alias
        }
    fastest = max(speeds, key=lambda name: speeds[name].ratio)
    exact = filter(backend_registry.is_reference, speeds)
    fastest_exact = max(exact, key=lambda name: speeds[name].ratio)
    progress(f"Measuring sizes of a batch with {fastest} …")
    current_budget, better_budget = benchmark.best_budget(encoders[fastest])
    return {
        "encoder": source,
        "back_ends": {name: figures[name] for name in backend_registry.names()},
        "fastest": fastest,
        "fastest_exact": fastest_exact,
        "token_budget_now": current_budget,
        "token_budget": better_budget,
        "setting": conf.backend,
    }


def report_lines(found: dict[str, Any]) -> list[str]:
    """The measurement for people, and which settings to choose."""
    lines = [f"Back ends of {found['encoder']}, the same short texts by turns:"]
    for name, figure in found["back_ends"].items():
        if "why" in figure:
            lines.append(f"  {name:<10} not measured: {figure['why']}")
        else:
            lines.append(
                f"  {name:<10} {figure['texts_a_second']:>8,.0f} texts/s  "
                f"{figure['times_torch']:.2f} times torch  ({figure['device']}, "
                f"{figure['dtype']})"
            )
    fastest, exact = found["fastest"], found["fastest_exact"]
    if backend_registry.is_reference(fastest):
        lines.append(f"→ MARKETPLACE_AI_BACKEND = {fastest!r} is fastest.")
    else:
        lines.append(
            f"→ MARKETPLACE_AI_BACKEND = {fastest!r} is fastest; then run fit_classifier with "
            "labeled postings, so that the guarantee is proven for its vectors."
        )
        lines.append(f"→ MARKETPLACE_AI_BACKEND = {exact!r} is fastest among the exact ones.")
    if found["token_budget"] is not None:
        lines.append(
            f"→ MARKETPLACE_AI_MAX_BATCH_TOKENS = {found['token_budget']} is faster than "
            f"{found['token_budget_now']}, with {fastest}."
        )
    return lines


def _source() -> tuple[str, str | None]:
    """Source and revision of the active encoder, or of the setting if there is none."""
    try:
        active = Encoder.objects.active()
    except DatabaseError:
        active = None
    if active is None:
        return conf.encoder, None
    return active.source, active.revision or None
