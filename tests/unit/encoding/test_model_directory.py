"""Directories that are refused before anything is loaded, each with the file's name."""

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from marketplace_ai.encoding import EncoderError, check_directory, load_encoder, weights_hash

TYPE = "sentence_transformers.models.Transformer"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """The least that is let through; it would not load."""
    path = tmp_path / "model"
    path.mkdir()
    write_modules(path, TYPE)
    (path / "config.json").write_text("{}")
    (path / "model.safetensors").write_bytes(b"weights")
    return path


def write_modules(path: Path, kind: str, folder: str = "") -> None:
    modules = [{"idx": 0, "name": "0", "path": folder, "type": kind}]
    (path / "modules.json").write_text(json.dumps(modules))


def without_safetensors(path: Path) -> None:
    (path / "model.safetensors").rename(path / "pytorch_model.bin")


def pickle_in_a_subfolder(path: Path) -> None:
    (path / "2_Dense").mkdir()
    (path / "2_Dense" / "pytorch_model.bin").write_bytes(b"pickle")


def pickle_behind_a_decoy(path: Path) -> None:
    pickle_in_a_subfolder(path)
    (path / "2_Dense" / "decoy.safetensors").write_bytes(b"weights")


def model_within_the_model(path: Path) -> None:
    (path / "9_inner").mkdir()
    write_modules(path / "9_inner", TYPE)


def foreign_activation(path: Path) -> None:
    (path / "config.json").write_text('{"activation_function": "mine.Activation"}')


def foreign_link(path: Path) -> None:
    (path.parent / "secret.json").write_text("{}")
    (path / "vocab.json").symlink_to("../secret.json")


def foreign_router(path: Path) -> None:
    (path / "router_config.json").write_text(json.dumps({"types": {"a": "os.path.Query"}}))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without_safetensors, "model has weights as pickles only.*save_pretrained"),
        (pickle_in_a_subfolder, "2_Dense has weights as pickles only"),
        (lambda p: (p / "model.safetensors").unlink(), "has no .*safetensors"),
        (lambda p: (p / "config.json").unlink(), "no config.json"),
        (lambda p: (p / "modules.json").unlink(), "modules.json is missing"),
        (lambda p: (p / "modules.json").write_text("{"), "modules.json cannot be read as JSON"),
        (lambda p: (p / "modules.json").write_text("[]"), "not a list of modules"),
        (lambda p: (p / "modules.json").write_text('{"a": 1}'), "not a list of modules"),
        (lambda p: write_modules(p, "modeling_mine.Model"), "the class modeling_mine.Model"),
        (
            lambda p: write_modules(p, "sentence_transformers_evil.M"),
            "the class sentence_transformers_e",
        ),
        (lambda p: write_modules(p, TYPE, "../other"), r"folder \.\./other.*outside"),
        (foreign_router, "the class os.path.Query"),
        (lambda p: (p / "modeling_mine.py").write_text("1"), "modeling_mine.py is program code"),
        (foreign_link, "vocab.json is a link that leaves"),
        (lambda p: (p / "a.json").symlink_to("a.json"), "a.json is a link to nothing"),
        (lambda p: (p / "a.json").symlink_to("gone.json"), "a.json is a link to nothing"),
        (lambda p: os.mkfifo(p / "b.safetensors"), "b.safetensors is neither a file nor a folder"),
        (lambda p: (p / "modules.json").write_text("[" * 100_000), "cannot be read as JSON"),
        (pickle_behind_a_decoy, "2_Dense has weights as pickles only"),
        (model_within_the_model, "9_inner/modules.json makes a model within the model"),
        (lambda p: (p / "adapter_config.json").write_text("{}"), "an adapter of another model"),
        (foreign_activation, "the activation function mine.Activation"),
    ],
)
def test_what_could_run_something_or_is_not_whole_is_refused(
    directory: Path, spoil: Callable[[Path], object], message: str
) -> None:
    check_directory(directory)
    spoil(directory)

    with pytest.raises(EncoderError, match=message):
        load_encoder(str(directory), cache_dir=directory)


def test_code_beside_a_model_is_never_run(directory: Path) -> None:
    canary = directory / "ran"
    (directory / "modeling_mine.py").write_text(f"open({str(canary)!r}, 'w')\nclass Model: pass\n")
    write_modules(directory, "modeling_mine.Model")

    with pytest.raises(EncoderError):
        load_encoder(str(directory), cache_dir=directory)
    assert not canary.exists()


def test_links_inside_and_pickles_beside_safetensors_are_let_through(directory: Path) -> None:
    (directory / "again.json").symlink_to("config.json")
    (directory / "training_args.bin").write_bytes(b"")

    check_directory(directory)


def test_a_hub_cache_may_link_into_its_own_store(directory: Path) -> None:
    foreign_link(directory)

    check_directory(directory, links_within=directory.parent)


def test_a_directory_that_does_not_load_says_so(directory: Path) -> None:
    with pytest.raises(EncoderError, match="cannot be loaded by sentence-transformers"):
        load_encoder(str(directory), cache_dir=directory)


def test_the_hash_is_of_names_and_contents_of_all_weights(directory: Path) -> None:
    seen = {weights_hash(directory)}
    (directory / "config.json").write_text('{"a": 1}')
    assert weights_hash(directory) in seen

    (directory / "model.safetensors").write_bytes(b"weightz")
    seen.add(weights_hash(directory))
    (directory / "model.safetensors").rename(directory / "other.safetensors")
    seen.add(weights_hash(directory))
    (directory / "1_Dense").mkdir()
    (directory / "1_Dense" / "model.safetensors").write_bytes(b"")
    seen.add(weights_hash(directory))
    assert len(seen) == 4


@pytest.mark.parametrize("source", ["/no/such/dir", "./here", "a/b/c", "nothing", "", "dummy:x"])
def test_an_unknown_source_is_refused_with_what_would_be_right(source: str) -> None:
    with pytest.raises(EncoderError, match=r"'bundled', an existing .* or a hub id"):
        load_encoder(source, cache_dir=Path("unused"))


def test_an_unreachable_hub_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{port}")

    with pytest.raises(EncoderError, match=r"'acme/none'.* and revision v1 .*set HF_HOME"):
        load_encoder("acme/none", cache_dir=Path("unused"), revision="v1")


def test_a_silent_hub_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", endpoint)
        monkeypatch.setattr("marketplace_ai.encoding.hub.TIMEOUT_SECONDS", 0.2)

        with pytest.raises(EncoderError, match=r"acme/none.*set HF_HOME"):
            load_encoder("acme/none", cache_dir=Path("unused"))
