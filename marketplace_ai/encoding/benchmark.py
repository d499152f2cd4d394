"""Speed of the back ends of an encoder on this machine, measured for some seconds each."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from marketplace_ai.encoding.batched_encoder import BatchedEncoder
from marketplace_ai.encoding.text_encoder import EncoderError, TextEncoder
from marketplace_ai.encoding.token_batches import TokenBudget

_TITLES = ["Male stue og gang", "Bytte kran på bad", "Legge nytt tak", "Felle bjørk"]
#: Texts of one round: titles, and postings of up to four sentences.
SAMPLE_TEXTS = [
    " ".join(
        [_TITLES[number % 4]]
        + [f"nummer {number} i huset, ca. {number * 3} kvm, gjerne før sommeren."] * (number % 5)
    )
    for number in range(64)
]
#: Padded tokens of a device batch that are tried.
CPU_BUDGETS = (256, 512, 1024, 2048, 4096)
GPU_BUDGETS = (8192, 16384, 32768, 65536)
#: How many times as fast another budget must be to be suggested.
MIN_SPEEDUP = 1.1
ROUNDS = 5


@dataclass(frozen=True)
class Speed:
    """``texts_a_second`` is a median; ``ratio`` is the median, over rounds, of the first
    encoder's seconds divided by this one's."""

    texts_a_second: float
    ratio: float


def compare(
    encode: Mapping[str, Callable[[Sequence[str]], object]],
    texts: Sequence[str] = SAMPLE_TEXTS,
    rounds: int | None = None,
) -> dict[str, Speed]:
    """The speed of each function on the same texts, interleaved, and compared with the first.

    An extra round at the start only warms up.
    """
    seconds: dict[str, list[float]] = {name: [] for name in encode}
    for number in range((rounds or ROUNDS) + 1):
        for name, function in encode.items():
            start = time.perf_counter()
            function(texts)
            if number:
                seconds[name].append(time.perf_counter() - start)
    first = next(iter(seconds.values()))
    return {
        name: Speed(
            len(texts) / median(own), median(a / b for a, b in zip(first, own, strict=True))
        )
        for name, own in seconds.items()
    }


def best_budget(
    encoder: TextEncoder, texts: Sequence[str] = SAMPLE_TEXTS
) -> tuple[int, int | None]:
    """The encoder's token budget, and another that is at least a tenth faster, or None."""
    if not isinstance(encoder, BatchedEncoder):
        raise EncoderError(f"{encoder.name} has no weights, so there is nothing to tune.")
    current = encoder.budget.full
    budgets = GPU_BUDGETS if encoder.backend.device != "cpu" else CPU_BUDGETS

    def encode_with(budget: int) -> Callable[[Sequence[str]], object]:
        def encode(texts: Sequence[str]) -> object:
            encoder.budget = TokenBudget(budget)
            return encoder.encode(texts)

        return encode

    tried = [current, *(budget for budget in budgets if budget != current)]
    try:
        speeds = compare({str(budget): encode_with(budget) for budget in tried}, texts)
    finally:
        encoder.budget = TokenBudget(current)
    name, best = max(speeds.items(), key=lambda item: item[1].ratio)
    return current, int(name) if best.ratio >= MIN_SPEEDUP else None
