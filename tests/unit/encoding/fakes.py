"""Small models and fake back ends for the tests of encoding."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from marketplace_ai.encoding.backend import ATTENTION_MASK, Tokens

WORDS = ["male", "stue", "tak", "legge", "nytt", "flis", "bad", "kran", "spor", ":"]
TEXTS = ["male stue", "legge nytt tak", "flis bad " * 4, "kran", "male " * 40, "ukjent ord"]


def save(
    path: Path, *, pooling: str = "cls", normalize: bool = False, dtype: Any = None, **options: Any
) -> Any:
    """Make a model of two layers with random weights, save it as ``path/model``, return it."""
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS]
    tokenizer = Tokenizer(
        models.WordLevel({name: place for place, name in enumerate(names)}, unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    torch.manual_seed(7)
    config = BertConfig(
        vocab_size=len(names),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=24,
        initializer_range=0.5,
    )
    base = path / "base"
    BertModel(config).to(dtype or torch.float32).save_pretrained(base)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
    ).save_pretrained(base)
    transformer = Transformer(str(base), max_seq_length=24)
    dimension = transformer.get_embedding_dimension()
    # False leaves the prompt's tokens out of the mean.
    include_prompt = options.pop("include_prompt", True)
    modules = [transformer, Pooling(dimension, pooling, include_prompt=include_prompt)]
    model = SentenceTransformer(
        modules=[*modules, Normalize()] if normalize else modules, device="cpu", **options
    )
    model.save_pretrained(str(path / "model"))
    return model


class FakeBackend:
    """A back end without weights, on a device with memory for ``memory`` padded tokens.

    A text has as many tokens as characters, and its vector is an angle that says how many.
    """

    name, device, dtype, weights_hash = "fake", "cpu", "float32", "0" * 64
    dimension, max_tokens, token_budget = 2, 50, 400
    prompts: dict[str, str] = {}
    special_tokens: list[str] = []

    def __init__(
        self,
        memory: int = 10**9,
        error: type[Exception] = torch.OutOfMemoryError,
        num_streams: int = 1,
    ):
        self.memory, self.num_streams = memory, num_streams
        self.error = error
        self.tokenized: list[str] = []
        self.costs: list[int] = []
        self.concurrency: list[int] = []
        self.freed = 0

    def tokenize(self, texts: Sequence[str]) -> Tokens:
        self.tokenized += texts
        lengths = np.array([min(len(text), self.max_tokens) for text in texts])
        mask = (np.arange(lengths.max(initial=0)) < lengths[:, None]).astype(np.int64)
        return Tokens({"input_ids": mask, ATTENTION_MASK: mask})

    def run(self, tokens: Tokens) -> NDArray[np.float32]:
        n, longest = tokens.columns[ATTENTION_MASK].shape
        self.costs.append(n * longest)
        if n * longest > self.memory:
            raise self.error("CUDA out of memory. Tried to allocate 2.00 GiB")
        return angle(tokens.lengths)

    def set_concurrency(self, batches: int) -> None:
        self.concurrency.append(batches)

    def free_memory(self) -> None:
        self.freed += 1


def angle(lengths: Any) -> NDArray[np.float32]:
    """The vectors of ``FakeBackend`` for texts of these lengths."""
    angles = np.asarray(lengths) / 50
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
