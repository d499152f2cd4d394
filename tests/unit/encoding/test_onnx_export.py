"""ONNX exports: their vectors, the parity check, and exports that are refused or stale."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from marketplace_ai.encoding import EncoderError, TextEncoder, load_encoder, weights_hash
from marketplace_ai.encoding.onnx import export, quantize
from marketplace_ai.encoding.onnx.exported import MANIFEST, MODEL, export_folder
from marketplace_ai.encoding.onnx.parity import PROBE_TEXTS, first_choice, smallest_cosine

from .fakes import TEXTS, WORDS, save

pytestmark = pytest.mark.slow

#: As many short texts as the parity check of int8 needs, each labeled with its first word.
LABELED = [
    (" ".join([WORDS[n % 8]] * 3 + [WORDS[n // 8 % 8], WORDS[n // 64 % 8]]), WORDS[n % 8])
    for n in range(256)
]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model in ``model`` and both its exports, as its own cache folder."""
    path = tmp_path_factory.mktemp("exported")
    save(path, pooling="mean", prompts={"a": "spor : "}, default_prompt_name="a")
    export.export(path / "model", path, labeled=LABELED)
    return path


@pytest.fixture
def copy(exported: Path, tmp_path: Path) -> Path:
    """A copy of ``exported`` for tests that change its files."""
    for file in exported.rglob("*"):
        if file.is_file():
            place = tmp_path / file.relative_to(exported)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(file.read_bytes())
    return tmp_path


def load(path: Path, backend: str) -> TextEncoder:
    return load_encoder(str(path / "model"), cache_dir=path, backend=backend)


def folder(path: Path, kind: Any = "float32") -> Path:
    return export_folder(path, weights_hash(path / "model"), kind)


def reuse_graph(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reuse the exported graph, to save the time of exporting it again."""
    place = folder(path)

    def write_graph(backend: Any, file: Path) -> list[str]:
        for part in place.glob(f"{MODEL}*"):
            (file.parent / part.name).write_bytes(part.read_bytes())
        return list(backend.tokenize(["male"]).columns)

    monkeypatch.setattr(export, "write_graph", write_graph)


# -- what it encodes -----------------------------------------------------------------------


def test_its_vectors_are_those_of_torch_on_padded_batches(exported: Path) -> None:
    texts = [*TEXTS, *PROBE_TEXTS, "male </s> [SEP] stue", "spor : male"]

    torchs, onnxs = load(exported, "torch"), load(exported, "onnx")

    assert smallest_cosine(onnxs.encode(texts), torchs.encode(texts)) > 1 - 1e-5
    for name in ("dimension", "max_tokens", "prompts", "dtype", "weights_hash", "source"):
        assert getattr(onnxs, name) == getattr(torchs, name), name


def test_a_single_text_and_a_single_token(exported: Path) -> None:
    torchs, onnxs = load(exported, "torch"), load(exported, "onnx")

    for text in ("", "male", "male " * 30):
        assert smallest_cosine(onnxs.encode([text]), torchs.encode([text])) > 1 - 1e-5


def test_another_pooling_and_a_truncated_dimension_are_in_the_graph(tmp_path: Path) -> None:
    save(tmp_path, pooling="cls", normalize=True, truncate_dim=16)

    export.export(tmp_path / "model", tmp_path)

    torchs, onnxs = load(tmp_path, "torch"), load(tmp_path, "onnx")
    assert torchs.dimension == onnxs.dimension == 16
    assert smallest_cosine(onnxs.encode(TEXTS), torchs.encode(TEXTS)) > 1 - 1e-5


def test_int8_reports_its_dtype_and_its_cost(exported: Path) -> None:
    encoder = load(exported, "onnx-int8")
    manifest = json.loads((folder(exported, "int8") / MANIFEST).read_text())

    assert encoder.dtype == "int8"
    assert smallest_cosine(encoder.encode(TEXTS), load(exported, "onnx").encode(TEXTS)) > 0.9
    assert manifest["parity"]["rows"] == len(LABELED)
    assert manifest["parity"]["points_lost"] <= 0.5
    assert (folder(exported, "int8") / MODEL).stat().st_size > 0


def test_the_reference_encoder_of_int8_is_float32(
    exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []
    read = export.OnnxBackend.__init__

    def counted(self: Any, folder: Path, manifest: Any) -> None:
        loaded.append(manifest.kind)
        read(self, folder, manifest)

    monkeypatch.setattr(export.OnnxBackend, "__init__", counted)
    rounded, onnxs = load(exported, "onnx-int8"), load(exported, "onnx")
    assert loaded == ["int8", "float32"]

    assert rounded.reference_encoder is rounded.reference_encoder
    assert loaded == ["int8", "float32", "float32"]
    assert rounded.reference_encoder.dtype == "float32"
    assert rounded.reference_encoder.weights_hash == rounded.weights_hash
    assert np.array_equal(rounded.reference_encoder.encode(TEXTS), onnxs.encode(TEXTS))
    assert not np.allclose(rounded.encode(TEXTS), onnxs.encode(TEXTS))
    assert onnxs.reference_encoder is onnxs
    assert (torchs := load(exported, "torch")).reference_encoder is torchs


def test_int8_is_not_used_without_the_float32_export(copy: Path) -> None:
    shutil.rmtree(folder(copy))
    with pytest.raises(EncoderError, match=r"no float32 export of .*Run manage.py export_encoder"):
        load(copy, "onnx-int8")


def test_a_worker_on_it_imports_neither_torch_nor_transformers(exported: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from marketplace_ai.encoding import load_encoder;"
        f"p = Path({str(exported)!r});"
        "e = load_encoder(str(p / 'model'), cache_dir=p, backend='onnx'); e.warm_up();"
        "print([n for n in ('torch', 'transformers', 'sentence_transformers') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_onnx_runtime_sends_no_telemetry(tmp_path: Path) -> None:
    code = "import marketplace_ai.encoding, onnxruntime"
    inherited = {name: os.environ[name] for name in os.environ if name != "ORT_DISABLE_TELEMETRY"}
    subprocess.run(
        [sys.executable, "-c", code], env={**inherited, "HOME": str(tmp_path)}, check=True
    )
    # Its telemetry would start with an id of this machine and a database of what to send.
    assert list(tmp_path.rglob("*")) == []


# -- which back end ------------------------------------------------------------------------


def test_auto_takes_the_float32_export_where_there_is_one_and_no_gpu(exported: Path) -> None:
    wanted = "torch" if torch.cuda.is_available() else "onnx"
    assert load(exported, "auto").backend.name == wanted


def test_auto_is_torch_where_nothing_was_exported_or_it_is_stale(copy: Path) -> None:
    manifest = folder(copy) / MANIFEST
    manifest.write_text(manifest.read_text().replace('"format": 2', '"format": 0'))
    assert load(copy, "auto").backend.name == "torch"
    manifest.unlink()
    assert load(copy, "auto").backend.name == "torch"


def test_auto_never_chooses_int8(copy: Path) -> None:
    (folder(copy) / MANIFEST).unlink()
    assert load(copy, "auto").backend.name == "torch"


def test_an_unknown_back_end_is_refused(exported: Path) -> None:
    with pytest.raises(EncoderError, match="no back end 'tensorrt'"):
        load(exported, "tensorrt")


# -- what is refused -----------------------------------------------------------------------


def test_a_graph_that_lost_the_padding_mask_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, pooling="mean")
    vectors = export.TorchBackend.vectors

    def without_mask(self: Any, features: dict[str, Any]) -> Any:
        if torch.compiler.is_exporting():
            mask = features["attention_mask"]
            features = {**features, "attention_mask": torch.ones_like(mask)}
        return vectors(self, features)

    monkeypatch.setattr(export.TorchBackend, "vectors", without_mask)

    with pytest.raises(EncoderError, match=r"refused: on padded batches .* 0\.999 is needed"):
        export.export(tmp_path / "model", tmp_path)
    assert not folder(tmp_path).exists()
    assert list((tmp_path / "onnx").rglob("*.onnx")) == []


def test_a_model_with_data_dependent_control_flow_is_refused(tmp_path: Path) -> None:
    save(
        tmp_path,
        pooling="mean",
        include_prompt=False,
        prompts={"a": "spor : "},
        default_prompt_name="a",
    )

    with pytest.raises(EncoderError, match=r"cannot be exported \(.*be 'torch'"):
        export.export(tmp_path / "model", tmp_path)


def test_another_prompt_or_length_makes_it_stale(copy: Path) -> None:
    settings = copy / "model" / "config_sentence_transformers.json"
    settings.write_text(settings.read_text().replace("spor : ", "kran : "))

    with pytest.raises(EncoderError, match=r"is stale: .*Run manage.py export_encoder"):
        load(copy, "onnx")


def test_other_weights_have_no_export(copy: Path) -> None:
    weights = next((copy / "model").rglob("*.safetensors"))
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)

    with pytest.raises(EncoderError, match=r"There is no float32 export of .*export_encoder"):
        load(copy, "onnx")


def test_the_export_of_another_model_is_stale(copy: Path) -> None:
    manifest = folder(copy) / MANIFEST
    content = json.loads(manifest.read_text())
    content["source_weights"] = "0" * 64
    manifest.write_text(json.dumps(content))

    with pytest.raises(EncoderError, match="is stale"):
        load(copy, "onnx")


@pytest.mark.parametrize("name", ["tokenizer.json", MODEL])
def test_files_that_changed_after_the_parity_check_are_refused(copy: Path, name: str) -> None:
    file = folder(copy) / name
    file.write_bytes(file.read_bytes() + b" ")

    with pytest.raises(EncoderError, match="is damaged or was changed"):
        load(copy, "onnx")


def test_an_unreadable_manifest_is_refused(copy: Path) -> None:
    (folder(copy) / MANIFEST).write_text("{")
    with pytest.raises(EncoderError, match="cannot be read"):
        load(copy, "onnx")


def test_int8_that_costs_too_much_is_refused_and_changes_nothing(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (folder(copy, "int8") / MANIFEST).read_bytes()
    run = export.OnnxBackend.run
    random = np.random.default_rng(0)

    def noisy(self: Any, tokens: Any) -> Any:
        vectors = run(self, tokens)
        if self.dtype == "int8":
            vectors = vectors + random.normal(size=vectors.shape) * 0.3
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors

    monkeypatch.setattr(export.OnnxBackend, "run", noisy)
    reuse_graph(copy, monkeypatch)

    with pytest.raises(EncoderError, match=r"int8 export is refused: .*points of first choice"):
        export.export(copy / "model", copy, labeled=LABELED)
    assert (folder(copy, "int8") / MANIFEST).read_bytes() == before


def test_too_few_labeled_texts_are_refused(exported: Path) -> None:
    with pytest.raises(EncoderError, match="199 labeled texts cannot tell"):
        export.export(exported / "model", exported, labeled=LABELED[:199])


def test_packages_that_are_missing_are_named(
    exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "_PACKAGES", ("onnxruntime", "no_such_package"))
    with pytest.raises(EncoderError, match=r"Not installed: no_such_package.*\[onnx\]"):
        export.export(exported / "model", exported)

    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(EncoderError, match="ONNX Runtime is not installed"):
        load(exported, "onnx")


def test_products_with_much_rounding_noise_stay_in_float32(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reuse_graph(copy, monkeypatch)
    noise: dict[str, float] = {}
    measure = quantize.rounding_noise

    def worst_named(*arguments: Any) -> dict[str, float]:
        noise.update(measure(*arguments))
        worst = max(noise, key=lambda name: noise[name])
        return {name: 0.2 if name == worst else share for name, share in noise.items()}

    monkeypatch.setattr(quantize, "rounding_noise", worst_named)

    made = export.export(copy / "model", copy, labeled=LABELED)

    assert len(noise) == 12  # two layers of six products
    assert all(0 < share < 0.1 for share in noise.values())
    assert made["int8"].parity["kept_in_float32"] == [max(noise, key=lambda name: noise[name])]


def test_rounding_noise_is_that_of_256_steps() -> None:
    random = np.random.default_rng(0)
    is_token = np.ones((2, 50), dtype=bool)
    is_token[1, 20:] = False
    even = random.uniform(-1, 1, size=(2, 50, 64)).astype(np.float32)
    step = (even.max() - even.min()) / 255
    rounded = np.round(even / step) * step
    expected = np.sqrt(np.square(rounded - even).mean() / np.square(even).mean())

    assert quantize._noise(even, is_token) == pytest.approx(expected, rel=0.02)
    even[0, 0, 0] = 50
    assert quantize._noise(even, is_token) > 0.05
    even[0, 0, 0], even[1, 30, 0] = 0, 50  # in the padding, which counts for the range
    assert quantize._noise(even, is_token) > 0.05


# -- accuracy of the first choice -----------------------------------------------------------


@pytest.fixture
def clusters() -> Iterator[tuple[Any, list[str]]]:
    random = np.random.default_rng(1)
    centers = random.normal(size=(6, 16))
    codes = np.arange(240) % 6
    vectors = centers[codes] + random.normal(size=(240, 16)) * 0.2
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    yield vectors.astype(np.float32), [f"c{code}" for code in codes]


def test_first_choice_is_right_where_categories_lie_apart(clusters: Any) -> None:
    vectors, labels = clusters
    assert first_choice(vectors, vectors, labels) == 1


def test_first_choice_is_chance_where_labels_say_nothing(clusters: Any) -> None:
    vectors, labels = clusters
    shuffled = list(np.random.default_rng(2).permutation(labels))
    assert first_choice(vectors, vectors, shuffled) < 0.4


def test_first_choice_falls_with_noise_in_either_side(clusters: Any) -> None:
    vectors, labels = clusters
    noise = vectors + np.random.default_rng(3).normal(size=vectors.shape).astype(np.float32)
    assert first_choice(noise, vectors, labels) < 0.95
    assert first_choice(noise, noise, labels) < 0.95
