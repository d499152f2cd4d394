"""Encoders of two sizes, saved in the dtype that a device is to compute in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from transformers import AutoTokenizer, XLMRobertaConfig, XLMRobertaModel

from marketplace_ai.conf import conf
from marketplace_ai.encoding import bundled_directory

#: XLM-RoBERTa large, of which bge-m3 and multilingual-e5-large are made: 560 million weights.
LARGE = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
}

#: Of many lengths, so that a batch of them is padded: 5 to 512 tokens.
TEXTS = [
    "Male stue",
    "Bytte kran på kjøkkenet",
    "Legge nytt tak på garasje, cirka 40 kvm, helst før vinteren",
    "Need a plumber for a leaking pipe under the sink, as soon as possible",
    "Flytte piano fra tredje etasje uten heis til et hus med to trinn",
    "Gressklipping hver uke hele sommeren, plenen er på et halvt mål " * 3,
    "Rørlegger søkes: nytt bad med dusj, toalett, vask og varmekabler i gulvet " * 8,
    "Elektriker til å trekke ny kurs, montere lader for elbil og bytte sikringsskap " * 40,
]


def bundled(path: Path, dtype: torch.dtype) -> Path:
    """The bundled encoder with its weights in ``dtype``, as a directory below ``path``."""
    source = bundled_directory(conf.cache_dir)
    return _save(SentenceTransformer(str(source), device="cpu"), path, dtype)


def large(path: Path, dtype: torch.dtype) -> Path:
    """A model of the shape ``LARGE`` with random weights, the same in every run."""
    base = path / "base"
    tokenizer: Any = AutoTokenizer.from_pretrained(bundled_directory(conf.cache_dir))
    config = XLMRobertaConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=514,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        **LARGE,
    )
    torch.manual_seed(7)
    XLMRobertaModel(config, add_pooling_layer=False).save_pretrained(base)
    tokenizer.save_pretrained(base)
    transformer = Transformer(str(base), max_seq_length=512)
    pooling = Pooling(transformer.get_embedding_dimension(), "cls")
    return _save(SentenceTransformer(modules=[transformer, pooling], device="cpu"), path, dtype)


def reference(path: Path, texts: list[str]) -> NDArray[np.float32]:
    """Unit vectors of a directory's weights on the CPU in float32, one text at a time."""
    model = SentenceTransformer(str(path), device="cpu", model_kwargs={"dtype": "float32"})
    vectors = [model.encode([text], normalize_embeddings=True)[0] for text in texts]
    return np.stack(vectors).astype(np.float32)


def _save(model: SentenceTransformer, path: Path, dtype: torch.dtype) -> Path:
    model.to(dtype).save_pretrained(str(path / "model"))
    return path / "model"
