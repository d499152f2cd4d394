"""``BatchedEncoder``: a back end as a ``TextEncoder``.

Encodes equal texts once, batches by length, and adapts the batch size to the memory there is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from marketplace_ai.encoding.backend import Backend, Tokens, is_out_of_memory
from marketplace_ai.encoding.text_encoder import EncoderError, check_vectors
from marketplace_ai.encoding.token_batches import TokenBudget, plan_streams

#: Texts of one device batch, however short they are.
MAX_BATCH_TEXTS = 512
#: Device batches of each stream that one call should bring, on a CPU that also classifies and
#: writes. With 1 a twentieth is lost to padding; with more a new posting waits longer.
BATCHES_PER_STREAM = 4
#: Texts tokenized, and then sorted by length, at a time.
TOKENIZE_CHUNK = 1024


class BatchedEncoder:
    """Texts in, unit vectors out; the device gets batches within a budget of padded tokens."""

    def __init__(
        self,
        backend: Backend,
        source: str,
        token_budget: int | None = None,
        load_reference: Callable[[], BatchedEncoder] | None = None,
    ) -> None:
        """``source`` is what people call the encoder; ``token_budget`` overrides the back end's;
        ``load_reference`` loads the ``reference_encoder`` if that is another one."""
        self.backend = backend
        self.source = source
        self.name = source.rstrip("/").rsplit("/", 1)[-1]
        self.dimension = backend.dimension
        self.prompts = backend.prompts
        self.dtype = backend.dtype
        self.max_tokens = backend.max_tokens
        self.weights_hash = backend.weights_hash
        self.uses_all_cores = backend.device == "cpu"
        self.budget = TokenBudget(token_budget or backend.token_budget)
        self._streams = (
            ThreadPoolExecutor(backend.num_streams, "stream") if backend.num_streams > 1 else None
        )
        special = [token for token in backend.special_tokens if len(token) > 1]
        self._special = re.compile("|".join(map(re.escape, special)) or r"(?!)")
        self._load_reference = load_reference

    @cached_property
    def reference_encoder(self) -> BatchedEncoder:
        return self._load_reference() if self._load_reference else self

    @property
    def tokens_at_once(self) -> int:
        return self.device_batch_tokens * (BATCHES_PER_STREAM if self.uses_all_cores else 1)

    @property
    def device_batch_tokens(self) -> int:
        return self.budget.now * self.backend.num_streams

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, float32 ``(len(texts), dimension)``; equal texts are encoded once."""
        rows = {text: row for row, text in enumerate(dict.fromkeys(texts))}
        distinct = [self._split_special_tokens(text) for text in rows]
        vectors = np.empty((len(distinct), self.dimension), dtype=np.float32)
        for start in range(0, len(distinct), TOKENIZE_CHUNK):
            stop = start + TOKENIZE_CHUNK
            # Tokenized once: the tokens that are counted are those that are encoded.
            vectors[start:stop] = self._run(self.backend.tokenize(distinct[start:stop]))
        check_vectors(vectors, len(distinct), self.dimension)
        return vectors[[rows[text] for text in texts]]

    def warm_up(self) -> None:
        """Encode a batch of the longest texts that the budget allows, and one short text.

        If memory runs out, the budget is smaller afterwards, before anything was claimed.
        Raises ``EncoderError`` if not even one text of full length fits.
        """
        streams = self.backend.num_streams
        count = min(max(self.budget.full // self.max_tokens, 1), MAX_BATCH_TEXTS) * streams
        # Numbered, since equal texts are encoded once; one word has at least one token.
        words = "male " * self.max_tokens
        try:
            self.encode([f"{number} {words}" for number in range(count)])
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            raise EncoderError(
                f"The memory of {self.backend.device} does not hold the encoder {self.name} and "
                f"one text of {self.max_tokens} tokens: free some, or set a smaller max_seq_length."
            ) from error
        self.encode(["male"])

    def _run(self, tokens: Tokens) -> NDArray[np.float32]:
        lengths = tokens.lengths.tolist()
        vectors = np.empty((len(lengths), self.dimension), dtype=np.float32)
        waiting = self._plan(lengths)
        while waiting:
            # One after the other, or all of them, from which each stream takes the next.
            started = waiting[:1] if self._streams is None else waiting
            waiting = waiting[len(started) :]
            fitted = self._run_batches(tokens, started, vectors)
            failed = self._adapt_budget(lengths, started, fitted)
            if failed:
                left = [row for batch in failed + waiting for row in batch]
                smaller = self._plan([lengths[row] for row in left])
                waiting = [[left[index] for index in batch] for batch in smaller]
        return vectors

    def _plan(self, lengths: Sequence[int]) -> list[list[int]]:
        return plan_streams(lengths, self.budget.now, MAX_BATCH_TEXTS, self.backend.num_streams)

    def _adapt_budget(
        self, lengths: Sequence[int], batches: list[list[int]], fitted: list[bool]
    ) -> list[list[int]]:
        """Learn from which batches fitted into memory; those that did not."""
        costs = [max(lengths[row] for row in batch) * len(batch) for batch in batches]
        for cost, fits in zip(costs, fitted, strict=True):
            if fits:
                self.budget.fitted(cost)
        if not all(fitted):
            self.budget.ran_out(min(c for c, fits in zip(costs, fitted, strict=True) if not fits))
        return [batch for batch, fits in zip(batches, fitted, strict=True) if not fits]

    def _run_batches(
        self, tokens: Tokens, batches: list[list[int]], vectors: NDArray[np.float32]
    ) -> list[bool]:
        """Encode batches into ``vectors``, in parallel streams if there are several; for each
        whether it fitted into memory."""
        self.backend.set_concurrency(min(len(batches), self.backend.num_streams))
        if self._streams is None or len(batches) == 1:
            return [self._run_batch(tokens, batch, vectors) for batch in batches]
        running = [
            self._streams.submit(self._run_batch, tokens, batch, vectors) for batch in batches
        ]
        wait(running)  # so that the encoder is idle, even if one of them raised
        return [future.result() for future in running]

    def _run_batch(self, tokens: Tokens, batch: list[int], vectors: NDArray[np.float32]) -> bool:
        """Encode a batch; False if memory ran out and a smaller batch may fit."""
        try:
            vectors[batch] = self.backend.run(tokens.take(batch))
            return True
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            if len(batch) == 1:
                self.backend.free_memory()
                raise
        # Outside the handler, whose traceback would still hold the batch's memory.
        self.backend.free_memory()
        return False

    def _split_special_tokens(self, text: str) -> str:
        """The text with strings such as ``</s>`` split, so that they are read as plain text.

        The tokenizer's own switch (``split_special_tokens``) is not enough: a unigram
        vocabulary holds these strings as pieces and finds them again.
        """
        return self._special.sub(lambda match: f"{match[0][0]} {match[0][1:]}", text)
