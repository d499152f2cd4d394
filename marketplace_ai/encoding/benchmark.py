"""How fast the back ends of an encoder are on this machine, measured for some seconds each."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from marketplace_ai.encoding.batched_encoder import BatchedEncoder
from marketplace_ai.encoding.text_encoder import EncoderError, TextEncoder
from marketplace_ai.encoding.token_batches import TokenBudget

#: Texts of one turn, titles and postings by turns.
TEXTS = [
    " ".join(
        ["Male stue og gang", "Bytte kran på bad", "Legge nytt tak", "Felle bjørk"][number % 4 :][
            :1
        ]
        + [f"nummer {number} i huset, ca. {number * 3} kvm, gjerne før sommeren."] * (number % 5)
    )
    for number in range(64)
]
#: Padded tokens of a batch that are tried.
BUDGETS = (256, 512, 1024, 2048, 4096)
GPU_BUDGETS = (8192, 16384, 32768, 65536)
#: What another budget must bring before it is suggested.
WORTH = 1.1
ROUNDS = 5


@dataclass(frozen=True)
class Speed:
    """Median texts a second, and the median of the ratios to the first in the same turn."""

    texts_a_second: float
    ratio: float


def compare(
    encode: Mapping[str, Callable[[Sequence[str]], object]],
    texts: Sequence[str] = TEXTS,
    rounds: int | None = None,
) -> dict[str, Speed]:
    """Each way of encoding the same texts, by turns; the first is what the others are
    compared with. A turn before the first only warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in encode}
    for turn in range((rounds or ROUNDS) + 1):
        for name, work in encode.items():
            start = time.perf_counter()
            work(texts)
            if turn:
                seconds[name].append(time.perf_counter() - start)
    first = next(iter(seconds.values()))
    return {
        name: Speed(
            len(texts) / median(took), median(a / b for a, b in zip(first, took, strict=True))
        )
        for name, took in seconds.items()
    }


def best_budget(encoder: TextEncoder, texts: Sequence[str] = TEXTS) -> tuple[int, int | None]:
    """The token budget the encoder has, and another that is at least a tenth faster, or None."""
    if not isinstance(encoder, BatchedEncoder):
        raise EncoderError(f"{encoder.name} has no weights, so there is nothing to tune.")
    own = encoder.budget.full
    tried = GPU_BUDGETS if encoder.backend.device != "cpu" else BUDGETS

    def at(budget: int) -> Callable[[Sequence[str]], object]:
        def work(texts: Sequence[str]) -> object:
            encoder.budget = TokenBudget(budget)
            return encoder.encode(texts)

        return work

    try:
        speeds = compare({str(n): at(n) for n in (own, *(n for n in tried if n != own))}, texts)
    finally:
        encoder.budget = TokenBudget(own)
    name, best = max(speeds.items(), key=lambda item: item[1].ratio)
    return own, int(name) if best.ratio >= WORTH else None
