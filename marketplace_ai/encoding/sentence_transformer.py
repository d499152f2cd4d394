"""Any sentence-transformers directory as a ``TextEncoder``."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marketplace_ai.encoding.base import EncoderError, check_vectors
from marketplace_ai.encoding.batching import plan
from marketplace_ai.encoding.directory import check_directory, weights_hash

#: Padded tokens of one device batch, by device. CPU: measured with the embedded encoder on two
#: cores, short titles / postings of 60 words in texts a second: 128 tokens 125 / 66, 256: 159 /
#: 80, 512: 175 / 87, 1024: 173 / 90, 2048: 171 / 85, 4096: 153 / 81, 8192: 114 / 58. CUDA: the
#: default of text-embeddings-inference (``--max-batch-tokens``).
TOKEN_BUDGET = {"cpu": 1024, "cuda": 16384}
#: Texts of one device batch, however short they are.
MAX_ITEMS = 512


class SentenceTransformerEncoder:
    """A loaded directory; its prompt, pooling and normalization are honored as they are.

    The result is that of ``SentenceTransformer.encode(text, normalize_embeddings=True)``, with
    the directory's default prompt applied once, on CUDA where there is one (in the precision
    the weights were saved in) and on the CPU in float32 otherwise.
    """

    def __init__(
        self, path: Path, *, source: str | None = None, links_within: Path | None = None
    ) -> None:
        """Load ``path``, which is checked first. Raises ``EncoderError``.

        ``source`` is what people call it (default: the path); ``links_within`` is for the
        snapshots of a hub cache, see ``check_directory``.
        """
        path = path.absolute()
        check_directory(path, links_within=links_within)
        self.source = source or str(path)
        self.name = self.source.rstrip("/").rsplit("/", 1)[-1]
        # Before loading: should the files change meanwhile, the hash is of neither, and a
        # comparison with the registered one fails.
        self.weights_hash = weights_hash(path)

        import torch

        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model = _load(path, self._device)
        self.prompts: dict[str, str] = {
            name: prompt for name, prompt in self._model.prompts.items() if prompt
        }
        default = self._model.default_prompt_name
        self._prompt: str = self._model.prompts[default] if default else ""
        self.precision = str(self._model.dtype).removeprefix("torch.")
        self.dimension = int(self._model.get_embedding_dimension() or 0)
        self.max_tokens = int(self._model.max_seq_length or 0)
        if not self.dimension or not self.max_tokens:
            raise EncoderError(
                f"{path} does not say how long its vectors or its texts are; set max_seq_length "
                "and save it again with SentenceTransformer.save_pretrained."
            )
        special = [token for token in self._model.tokenizer.all_special_tokens if len(token) > 1]
        self._special = re.compile("|".join(map(re.escape, special)) or r"(?!)")

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, float32, shape ``(len(texts), dimension)``; equal texts go in once."""
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        if not texts:
            return vectors
        places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
        distinct = [self._harmless(text) for text in places]
        found = np.empty((len(distinct), self.dimension), dtype=np.float32)
        for batch in plan(self._token_counts(distinct), TOKEN_BUDGET[self._device], MAX_ITEMS):
            found[batch] = self._model.encode(
                [distinct[index] for index in batch],
                prompt=self._prompt,
                batch_size=len(batch),
                normalize_embeddings=True,
                show_progress_bar=False,
            )
        check_vectors(found, len(distinct), self.dimension)
        return found[[places[text] for text in texts]]

    def warm_up(self) -> None:
        """One batch of the longest texts that the budget allows, and one short text."""
        count = max(TOKEN_BUDGET[self._device] // self.max_tokens, 1)
        # Different texts, for equal ones are encoded once; one word has at least one token.
        words = "male " * self.max_tokens
        self.encode([f"{number} {words}" for number in range(count)])
        self.encode(["male"])

    def _token_counts(self, texts: list[str]) -> list[int]:
        encoded = self._model.tokenizer(
            [self._prompt + text for text in texts],
            truncation=True,
            max_length=self.max_tokens,
            padding=False,
            return_attention_mask=False,
            verbose=False,
        )
        return [len(ids) for ids in encoded["input_ids"]]

    def _harmless(self, text: str) -> str:
        """The text with strings such as ``</s>`` split, so that they are read as plain text.

        The tokenizer's own switch (``split_special_tokens``) is not enough: a unigram
        vocabulary holds these strings as pieces and finds them again.
        """
        return self._special.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)


def _load(path: Path, device: str) -> Any:
    from sentence_transformers import SentenceTransformer

    try:
        with _quiet():
            model = SentenceTransformer(
                str(path),
                device=device,
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs={
                    "use_safetensors": True,
                    "dtype": "float32" if device == "cpu" else "auto",
                },
            )
    except Exception as error:
        raise EncoderError(
            f"{path} cannot be loaded by sentence-transformers ({type(error).__name__}: {error}). "
            "Save the model again with SentenceTransformer.save_pretrained."
        ) from error
    return model.eval()


@contextmanager
def _quiet() -> Iterator[None]:
    # A bar for some 200 tensors, and the remark that the directory has a default prompt (it is
    # the one applied), have no place in a worker's log.
    from transformers.utils import logging as transformers_logging

    bars: Any = transformers_logging  # its functions are untyped
    shown = bars.is_progress_bar_enabled()
    log = logging.getLogger("sentence_transformers.base.model")
    bars.disable_progress_bar()
    log.addFilter(_says_more_than_the_prompt)
    try:
        yield
    finally:
        log.removeFilter(_says_more_than_the_prompt)
        if shown:
            bars.enable_progress_bar()


def _says_more_than_the_prompt(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith("Default prompt name is set")
