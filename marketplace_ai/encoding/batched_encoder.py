"""A back end as a ``TextEncoder``: equal texts once, like lengths together, memory learned."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np
from numpy.typing import NDArray

from marketplace_ai.encoding.backend import Backend, Tokens, is_out_of_memory
from marketplace_ai.encoding.text_encoder import EncoderError, check_vectors
from marketplace_ai.encoding.token_batches import TokenBudget, shared

#: Texts of one device batch, however short they are.
MAX_ITEMS = 512
#: On the cores that also decide and write: device batches of each core, of which a worker's batch
#: is made. With 1 a twentieth is lost to padding, with more a fresh posting waits the longer.
ROUNDS = 4
#: Texts tokenized at once; what is sorted by length is one such portion.
PORTION = 1024


class BatchedEncoder:
    """Texts in, unit vectors out; the device sees batches within a budget of padded tokens."""

    def __init__(
        self,
        backend: Backend,
        source: str,
        token_budget: int | None = None,
        load_exact: Callable[[], BatchedEncoder] | None = None,
    ) -> None:
        """``source`` is what people call it; ``token_budget`` instead of the back end's own;
        ``load_exact`` where this one is not its own ``exact``."""
        self.backend = backend
        self.source = source
        self.name = source.rstrip("/").rsplit("/", 1)[-1]
        self.dimension = backend.dimension
        self.prompts = backend.prompts
        self.dtype = backend.dtype
        self.max_tokens = backend.max_tokens
        self.weights_hash = backend.weights_hash
        self.takes_cores = backend.device == "cpu"
        self.budget = TokenBudget(token_budget or backend.token_budget)
        self._lanes = ThreadPoolExecutor(backend.lanes, "lane") if backend.lanes > 1 else None
        special = [token for token in backend.special_tokens if len(token) > 1]
        self._special = re.compile("|".join(map(re.escape, special)) or r"(?!)")
        self._load_exact = load_exact
        self._exact: BatchedEncoder | None = None

    @property
    def exact(self) -> BatchedEncoder:
        if self._load_exact is None:
            return self
        if self._exact is None:
            self._exact = self._load_exact()
        return self._exact

    @property
    def tokens_at_once(self) -> int:
        rounds = ROUNDS if self.takes_cores else 1
        return self.budget.now * self.backend.lanes * rounds

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, float32, shape ``(len(texts), dimension)``; equal texts go in once."""
        places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
        distinct = [self._harmless(text) for text in places]
        found = np.empty((len(distinct), self.dimension), dtype=np.float32)
        for start in range(0, len(distinct), PORTION):
            stop = start + PORTION
            # Tokenized once: what is counted is what is encoded.
            found[start:stop] = self._run(self.backend.tokenize(distinct[start:stop]))
        check_vectors(found, len(distinct), self.dimension)
        return found[[places[text] for text in texts]]

    def warm_up(self) -> None:
        """A batch of the longest texts that the budget allows, and one short text.

        Where memory runs out the budget is smaller afterwards, before anything was claimed.
        Raises ``EncoderError`` where not even one text of full length fits.
        """
        count = min(max(self.budget.full // self.max_tokens, 1), MAX_ITEMS) * self.backend.lanes
        # Different texts, for equal ones are encoded once; one word has at least one token.
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
        found = np.empty((len(lengths), self.dimension), dtype=np.float32)
        waiting = self._plan(lengths)
        while waiting:
            # One after the other, or all of them, from which each lane takes the next.
            some = waiting[:1] if self._lanes is None else waiting
            costs = [max(lengths[row] for row in batch) * len(batch) for batch in some]
            fit = self._all_fit(tokens, some, found)
            waiting = waiting[len(some) :]
            for cost, fits in zip(costs, fit, strict=True):
                if fits:
                    self.budget.fitted(cost)
            if not all(fit):
                self.budget.ran_out(min(c for c, fits in zip(costs, fit, strict=True) if not fits))
                failed = [batch for batch, fits in zip(some, fit, strict=True) if not fits]
                left = [row for batch in failed + waiting for row in batch]
                smaller = self._plan([lengths[row] for row in left])
                waiting = [[left[place] for place in places] for places in smaller]
        return found

    def _plan(self, lengths: Sequence[int]) -> list[list[int]]:
        return shared(lengths, self.budget.now, MAX_ITEMS, self.backend.lanes)

    def _all_fit(
        self, tokens: Tokens, batches: list[list[int]], found: NDArray[np.float32]
    ) -> list[bool]:
        """Encode batches, in their lanes where there are several; which fit into memory."""
        self.backend.share(min(len(batches), self.backend.lanes))
        if self._lanes is None or len(batches) == 1:
            return [self._fits(tokens, batch, found) for batch in batches]
        running = [self._lanes.submit(self._fits, tokens, batch, found) for batch in batches]
        wait(running)  # whatever one of them raises, the encoder is idle then
        return [future.result() for future in running]

    def _fits(self, tokens: Tokens, batch: list[int], found: NDArray[np.float32]) -> bool:
        """Encode a batch; False where memory ran out and a smaller batch may do."""
        try:
            found[batch] = self.backend.run(tokens.take(batch))
            return True
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            if len(batch) == 1:
                self.backend.free_memory()
                raise
        # Outside the handler: the traceback that is gone now held the batch's memory.
        self.backend.free_memory()
        return False

    def _harmless(self, text: str) -> str:
        """The text with strings such as ``</s>`` split, so that they are read as plain text.

        The tokenizer's own switch (``split_special_tokens``) is not enough: a unigram
        vocabulary holds these strings as pieces and finds them again.
        """
        return self._special.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)
