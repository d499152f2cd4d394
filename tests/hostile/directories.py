"""Encoder directories that would run something, read elsewhere, or never end.

Each maker spoils a copy of a directory that loads. ``trap`` is what must not come true: a file
``trap.canary`` that the payload would write, and a folder ``trap.outside`` next to the directory
from which nothing may be read.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CLASS = "sentence_transformers.base.modules.transformer.Transformer"


@dataclass(frozen=True)
class Trap:
    canary: Path
    outside: Path

    @property
    def code(self) -> str:
        """A module that writes the canary when it is imported."""
        return (
            f"open({str(self.canary)!r}, 'w').close()\n"
            "import torch\n"
            "class Evil(torch.nn.Module):\n"
            "    def __init__(self, *args, **kwargs):\n"
            "        super().__init__()\n"
        )

    @property
    def pickled(self) -> bytes:
        """Weights that write the canary when they are unpickled."""
        return pickle.dumps(_Payload(f"touch {self.canary}"))


class _Payload:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> Any:
        return os.system, (self.command,)


Spoil = Callable[[Path, Trap], object]


def change_json(file: Path, **values: Any) -> None:
    content = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps({**content, **values}))


def add_module(path: Path, kind: str, folder: str) -> None:
    modules = json.loads((path / "modules.json").read_text())
    number = len(modules)
    modules.append({"idx": number, "name": str(number), "path": folder, "type": kind})
    (path / "modules.json").write_text(json.dumps(modules))


def name_class(path: Path, kind: str) -> None:
    modules = json.loads((path / "modules.json").read_text())
    modules[0]["type"] = kind
    (path / "modules.json").write_text(json.dumps(modules))


def pickled_weights(path: Path, trap: Trap) -> None:
    (path / "model.safetensors").unlink()
    (path / "pytorch_model.bin").write_bytes(trap.pickled)


def zipped_pickle(path: Path, trap: Trap) -> None:
    (path / "model.safetensors").unlink()
    with zipfile.ZipFile(path / "pytorch_model.bin", "w") as archive:
        archive.writestr("archive/data.pkl", trap.pickled)
        archive.writestr("archive/version", "3\n")


def zip_bomb(path: Path, trap: Trap) -> None:
    (path / "model.safetensors").unlink()
    with zipfile.ZipFile(path / "pytorch_model.bin", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", trap.pickled)
        archive.writestr("archive/data/0", bytes(64 << 20))


def pickle_under_another_name(path: Path, trap: Trap) -> None:
    (path / "model.safetensors").write_bytes(trap.pickled)


def pickle_behind_a_decoy(path: Path, trap: Trap) -> None:
    dense(path, "torch.nn.modules.activation.Tanh")
    (path / "2_Dense" / "pytorch_model.bin").write_bytes(trap.pickled)
    shutil.copy(path / "model.safetensors", path / "2_Dense" / "decoy.safetensors")


def dense(path: Path, activation: str) -> None:
    add_module(path, "sentence_transformers.base.modules.dense.Dense", "2_Dense")
    (path / "2_Dense").mkdir()
    change_json(
        path / "2_Dense" / "config.json",
        in_features=32, out_features=32, bias=False, activation_function=activation,
    )  # fmt: skip


def dense_activation(path: Path, trap: Trap) -> None:
    from safetensors.torch import save_file
    from torch import eye

    (trap.outside / "evil.py").write_text(trap.code)  # the loader has it on its path
    dense(path, "evil.Evil")
    save_file({"linear.weight": eye(32)}, path / "2_Dense" / "model.safetensors")


def class_on_the_path(path: Path, trap: Trap) -> None:
    (trap.outside / "evil.py").write_text(trap.code)
    name_class(path, "evil.Evil")


def local_code(path: Path, trap: Trap) -> None:
    (path / "evil.py").write_text(trap.code)
    name_class(path, "evil.Evil")


def code_beside_what_needs_none(path: Path, trap: Trap) -> None:
    (path / "evil.py").write_text(trap.code)


def compiled_code(path: Path, trap: Trap) -> None:
    (path / "evil.so").write_bytes(b"\x7fELF")


def nested_model(path: Path, trap: Trap) -> None:
    """A whole directory inside, whose own modules.json is read when it is loaded."""
    inner = path / "9_inner"
    inner.mkdir()
    (trap.outside / "evil.py").write_text(trap.code)
    for file in ("config.json", "model.safetensors"):
        shutil.copy(path / file, inner / file)
    (inner / "modules.json").write_text(
        json.dumps([{"idx": 0, "name": "0", "path": "", "type": "evil.Evil"}])
    )
    add_module(path, "sentence_transformers.SentenceTransformer", "9_inner")


def function_for_a_class(path: Path, trap: Trap) -> None:
    add_module(path, "sentence_transformers.util.http_get", "")


def router(path: Path, trap: Trap) -> None:
    (trap.outside / "evil.py").write_text(trap.code)
    add_module(path, "sentence_transformers.base.modules.router.Router", "3_Router")
    (path / "3_Router").mkdir()
    content = {
        "types": {"query_0_Evil": "evil.Evil"},
        "structure": {"query": ["query_0_Evil"]},
        "parameters": {},
    }
    (path / "3_Router" / "router_config.json").write_text(json.dumps(content))


def word_tokenizer(path: Path, trap: Trap) -> None:
    (trap.outside / "evil.py").write_text(trap.code)
    kind = "sentence_transformers.sentence_transformer.modules.word_embeddings.WordEmbeddings"
    add_module(path, kind, "4_Words")
    (path / "4_Words").mkdir()
    change_json(path / "4_Words" / "wordembedding_config.json", tokenizer_class="evil.Evil")


def auto_map(path: Path, trap: Trap) -> None:
    (path / "evil.py").write_text(trap.code)
    change_json(path / "config.json", auto_map={"AutoModel": "evil.Evil"}, model_type="evil")


def auto_map_elsewhere(path: Path, trap: Trap) -> None:
    (trap.outside / "evil.py").write_text(trap.code)
    change_json(
        path / "config.json",
        auto_map={"AutoModel": f"{trap.outside}--evil.Evil", "AutoConfig": "acme/m--evil.Evil"},
        model_type="evil",
    )


def trusts_itself(path: Path, trap: Trap) -> None:
    auto_map_elsewhere(path, trap)
    trust = {"trust_remote_code": True}
    change_json(
        path / "sentence_bert_config.json",
        model_args=trust, model_kwargs=trust, tokenizer_args=trust, config_args=trust,
        config_kwargs=trust, processor_kwargs=trust, **trust,
    )  # fmt: skip
    change_json(path / "config.json", **trust)
    change_json(path / "config_sentence_transformers.json", **trust)


def tokenizer_trusts_itself(path: Path, trap: Trap) -> None:
    (trap.outside / "evil.py").write_text(trap.code)
    change_json(
        path / "tokenizer_config.json",
        auto_map={"AutoTokenizer": [f"{trap.outside}--evil.Evil", None]},
        tokenizer_class="Evil", trust_remote_code=True,
    )  # fmt: skip
    change_json(path / "sentence_bert_config.json", tokenizer_args={"trust_remote_code": True})


def adapter_of_another_model(path: Path, trap: Trap) -> None:
    change_json(
        path / "adapter_config.json", base_model_name_or_path=str(trap.outside), peft_type="LORA"
    )


def link_to_a_file_outside(path: Path, trap: Trap) -> None:
    (path / "model.safetensors").rename(trap.outside / "model.safetensors")
    (path / "model.safetensors").symlink_to(trap.outside / "model.safetensors")


def link_to_a_folder_outside(path: Path, trap: Trap) -> None:
    shutil.copytree(path, trap.outside / "inner")
    (path / "5_inner").symlink_to(trap.outside / "inner")
    add_module(path, "sentence_transformers.SentenceTransformer", "5_inner")


def folder_outside(path: Path, trap: Trap) -> None:
    add_module(path, CLASS, str(trap.outside))


def link_in_a_circle(path: Path, trap: Trap) -> None:
    (path / "vocab.json").symlink_to("vocab.json")


def endless_weights(path: Path, trap: Trap) -> None:
    """Nobody will ever write into it, and who opens it waits."""
    (path / "model.safetensors").unlink()
    os.mkfifo(path / "model.safetensors")


def endless_modules(path: Path, trap: Trap) -> None:
    (path / "modules.json").unlink()
    os.mkfifo(path / "modules.json")


def header_of_eight_exabytes(path: Path, trap: Trap) -> None:
    (path / "model.safetensors").write_bytes((2**63 - 1).to_bytes(8, "little") + b"{}")


def header_longer_than_the_file(path: Path, trap: Trap) -> None:
    (path / "model.safetensors").write_bytes((90_000_000).to_bytes(8, "little") + b"{" * 100)


def header_that_never_closes(path: Path, trap: Trap) -> None:
    header = b'{"a":' * 1_000_000
    (path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)


def offsets_outside_the_file(path: Path, trap: Trap) -> None:
    header = json.dumps(
        {"a": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 2**62]}}
    ).encode()
    (path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)


def deep_json(name: str) -> Spoil:
    def spoil(path: Path, trap: Trap) -> None:
        (path / name).write_text('{"a":' * 100_000 + "1" + "}" * 100_000)

    spoil.__name__ = f"deep_{name}"
    return spoil


def long_number(path: Path, trap: Trap) -> None:
    (path / "modules.json").write_text("9" * 1_000_000)


SPOILT: dict[str, Spoil] = {
    spoil.__name__: spoil
    for spoil in (
        pickled_weights, zipped_pickle, zip_bomb, pickle_under_another_name, pickle_behind_a_decoy,
        dense_activation, class_on_the_path, local_code, code_beside_what_needs_none,
        compiled_code, nested_model, function_for_a_class, router, word_tokenizer, auto_map,
        auto_map_elsewhere, trusts_itself, tokenizer_trusts_itself, adapter_of_another_model,
        link_to_a_file_outside, link_to_a_folder_outside, folder_outside, link_in_a_circle,
        endless_weights, endless_modules, header_of_eight_exabytes, header_longer_than_the_file,
        header_that_never_closes, offsets_outside_the_file, long_number,
        deep_json("modules.json"), deep_json("config.json"), deep_json("tokenizer.json"),
        deep_json("config_sentence_transformers.json"), deep_json("sentence_bert_config.json"),
    )
}  # fmt: skip
