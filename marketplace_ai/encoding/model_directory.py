"""Validation of sentence-transformers directories, and their hashes and descriptions.

Nothing here imports torch, and nothing in a directory is executed or unpickled.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from marketplace_ai.encoding.text_encoder import EncoderError

_CODE = {".py", ".pyc", ".so", ".pyd", ".dll", ".dylib"}
#: Suffixes of weights that are unpickled, or that are for other frameworks.
_PICKLES = {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt"}
#: Files that are loaded if they exist, so that pickles next to them are never opened.
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
_SETTINGS = {".json", ".txt", ".model"}
_TRUSTED = "sentence_transformers."


@dataclass(frozen=True)
class Description:
    """What the files of a directory say about it. ``size`` is the total, in bytes."""

    modules: list[str]
    prompts: dict[str, str]
    default_prompt_name: str | None
    weights_hash: str
    size: int


def check_directory(path: Path, *, links_within: Path | None = None) -> None:
    """Refuse a directory that is incomplete, or that could run code when it is loaded.

    Required are a ``modules.json`` with classes of sentence-transformers only, a
    ``config.json``, and safetensors in each folder that has weights. Refused are code, adapters
    of other weights, models within the model, anything that is neither a file nor a folder, and
    links that leave the directory (or ``links_within``, for a snapshot in a hub cache, which
    consists of links). Raises ``EncoderError`` that names the file and the cure.
    """
    if not path.is_dir():
        raise EncoderError(f"{path} is not a directory; a sentence-transformers one is expected.")
    inside = Path(os.path.realpath(links_within or path))
    for file in sorted(path.rglob("*")):
        if file.is_symlink():
            _check_link(file, inside)
        elif not (file.is_file() or file.is_dir()):
            # Reading a named pipe would block forever.
            raise EncoderError(f"{file} is neither a file nor a folder; remove it.")
        if file.suffix in _CODE:
            raise EncoderError(
                f"{file} is program code, which is never run for an encoder; remove it, or save "
                "the model with classes of sentence-transformers only."
            )
        if file.name == "modules.json" and file.parent != path:
            raise EncoderError(
                f"{file} makes a model within the model, whose classes are not looked at; remove "
                "it, or give that folder itself."
            )
        if file.name == "adapter_config.json":
            raise EncoderError(
                f"{file} makes this an adapter of another model's weights, which are not here; "
                "merge the two and save the whole with save_pretrained."
            )
    for folder in sorted({file.parent for file in _files(path) if file.suffix in _PICKLES}):
        if not any((folder / name).is_file() for name in _WEIGHTS):
            raise EncoderError(
                f"{folder} has weights as pickles only, which can run code; load the model where "
                "it is trusted and save it again with save_pretrained: it writes safetensors."
            )
    _check_modules(path)
    if not any(path.rglob("*.safetensors")):
        raise EncoderError(f"{path} has no *.safetensors file; copy the model's weights there.")


def weights_hash(path: Path) -> str:
    """SHA-256 (hex) over all safetensors files: relative name, size and content of each.

    Reads every byte: about 0.3 s for 470 MB from the page cache.
    """
    total = sha256()
    for file in sorted(path.rglob("*.safetensors")):
        total.update(f"{file.relative_to(path).as_posix()}\0{file.stat().st_size}\0".encode())
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                total.update(block)
    return total.hexdigest()


def saved_dtype(path: Path) -> str:
    """The numeric type of the first module's weights by torch's name: 'float32', 'bfloat16' or
    'float16'. Damaged weights count as float32: loading them reports what is wrong."""
    from safetensors import SafetensorError, safe_open

    file = min(path.rglob("*.safetensors"), key=lambda file: (len(file.parts), file.name))
    try:
        with safe_open(file, framework="np") as weights:
            dtypes = {weights.get_slice(name).get_dtype() for name in weights.keys()}  # noqa: SIM118
    except SafetensorError:
        return "float32"
    return "float16" if "F16" in dtypes else "bfloat16" if "BF16" in dtypes else "float32"


def settings_hash(path: Path) -> str:
    """SHA-256 (hex) over every file but the weights that is read when the directory is loaded:
    tokenizer, prompts, pooling and lengths."""
    total = sha256()
    for file in _files(path):
        if file.suffix in _SETTINGS:
            content = file.read_bytes()
            total.update(f"{file.relative_to(path).as_posix()}\0{len(content)}\0".encode())
            total.update(content)
    return total.hexdigest()


def describe(path: Path) -> Description:
    """Describe a directory without loading it. Raises what ``check_directory`` does."""
    check_directory(path)
    settings: dict[str, Any] = {}
    if (path / "config_sentence_transformers.json").exists():
        settings = _read_json(path / "config_sentence_transformers.json")
    return Description(
        modules=[module["type"].rsplit(".", 1)[-1] for module in _read_json(path / "modules.json")],
        prompts=dict(settings.get("prompts") or {}),
        default_prompt_name=settings.get("default_prompt_name"),
        weights_hash=weights_hash(path),
        size=sum(file.stat().st_size for file in _files(path)),
    )


def _check_modules(path: Path) -> None:
    modules = _read_json(path / "modules.json")
    try:
        types = [str(module["type"]) for module in modules]
        paths = [str(module["path"]) for module in modules]
    except (TypeError, KeyError):
        types = paths = []
    if not types:
        raise EncoderError(
            f"{path / 'modules.json'} is not a list of modules with 'type' and 'path'; save the "
            "model again with SentenceTransformer.save_pretrained."
        )
    for folder in paths:
        if not (path / folder).resolve().is_relative_to(path.resolve()):
            raise EncoderError(
                f"{path / 'modules.json'} names the folder {folder}, which is outside the "
                "directory; put the module's files inside."
            )
    # A Router lists the classes of its modules in a separate file.
    for router in sorted(path.rglob("router_config.json")):
        types += map(str, _read_json(router).get("types", {}).values())
    for name in types:
        if not name.startswith(_TRUSTED):
            raise EncoderError(
                f"{path / 'modules.json'} names the class {name}, which is not part of "
                "sentence-transformers; only its own modules are loaded."
            )
    configs = [path / folder / "config.json" for folder in paths]
    configs = [config for config in configs if config.is_file()]
    if not configs:
        raise EncoderError(f"{path} has no config.json for its first module; copy it there.")
    for config in configs:
        _check_activation(config)


def _check_activation(config: Path) -> None:
    """Refuse an activation function that is not torch's: sentence-transformers would leave it out
    with no more than a warning, and the vectors would be wrong."""
    settings = _read_json(config)
    name = settings.get("activation_function", "") if isinstance(settings, dict) else ""
    # A Dense module names a class; the config of a transformer just says "gelu".
    if "." in str(name) and not str(name).startswith("torch."):
        raise EncoderError(
            f"{config} names the activation function {name}, which is not part of torch; only "
            "torch's own are loaded."
        )


def _check_link(file: Path, inside: Path) -> None:
    # Not Path.resolve(), which raises on a circular link.
    if not Path(os.path.realpath(file)).is_relative_to(inside):
        raise EncoderError(
            f"{file} is a link that leaves the directory; put the file itself there."
        )
    if not file.exists():
        raise EncoderError(f"{file} is a link to nothing; put the file itself there.")


def _files(path: Path) -> Iterator[Path]:
    return (file for file in sorted(path.rglob("*")) if file.is_symlink() or file.is_file())


def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise EncoderError(
            f"{file} is missing: {file.parent} is not a sentence-transformers directory; save "
            "the model with SentenceTransformer.save_pretrained."
        ) from None
    except (ValueError, OSError, RecursionError) as error:
        raise EncoderError(f"{file} cannot be read as JSON: {error}") from error
