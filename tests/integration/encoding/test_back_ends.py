"""Exporting an encoder and choosing a back end with the commands, settings and checks."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.checks import run_checks
from django.core.management import CommandError, call_command

from marketplace_ai.adapter import get_adapter
from marketplace_ai.doctor import backend_benchmark, diagnose
from marketplace_ai.encoders import active
from marketplace_ai.encoding import TextEncoder, backend_registry, benchmark, gpu
from marketplace_ai.encoding.backend import Problem
from marketplace_ai.encoding.backend_registry import BackendSpec
from marketplace_ai.encoding.dtype import Device
from marketplace_ai.encoding.gpu import GpuStatus
from marketplace_ai.encoding.onnx import loading
from marketplace_ai.encoding.sources import ModelPath
from marketplace_ai.management.encoder_options import registered_name
from marketplace_ai.models import (
    Encoder,
    EncoderState,
    Exemplar,
    ExemplarEmbedding,
    JobPosting,
    PostingEmbedding,
)
from tests.integration.worker_runs import drain
from tests.unit.encoding.fakes import WORDS, FakeBackend, save

pytestmark = pytest.mark.django_db


def run(name: str, *arguments: str) -> tuple[str, str]:
    """Standard output and error of a command."""
    out, err = io.StringIO(), io.StringIO()
    call_command(name, *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def are_vectors_of(encoder: TextEncoder, stored: dict[str, Any]) -> bool:
    """Whether stored vectors, by text, are those of an encoder, within half precision."""
    vectors = np.array([np.array(vector) for vector in stored.values()])
    return np.allclose(vectors, encoder.encode(list(stored)), atol=5e-4)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model in ``model``, labeled texts in ``labeled.csv``, an empty cache folder."""
    path = tmp_path_factory.mktemp("backends")
    save(path, pooling="mean")
    # Far apart, since the cost of int8 on untrained weights would be random otherwise.
    lines = [
        f"{' '.join([WORDS[n % 8]] * 5)} {WORDS[n // 8 % 8]},{WORDS[n % 8]}" for n in range(240)
    ]
    (path / "labeled.csv").write_text("\n".join(["text,category", *lines]) + "\n")
    return path


@pytest.fixture
def chosen(world: Path, settings: Any) -> Path:
    settings.MARKETPLACE_AI_CACHE_DIR = world / "cache"
    settings.MARKETPLACE_AI_ENCODER = str(world / "model")
    return world


@pytest.mark.slow
def test_export_check_tune_and_use(
    chosen: Path, exemplars: None, posting: JobPosting, settings: Any, monkeypatch: Any
) -> None:
    settings.MARKETPLACE_AI_BACKEND = "onnx"
    (before,) = run_checks(tags=["marketplace_ai"])
    assert before.id == "marketplace_ai.W003"
    assert "export_encoder" in str(before.hint)

    out, err = run("export_encoder", "--int8", "--labelled", str(chosen / "labeled.csv"), "--json")
    exported = json.loads(out)
    assert exported["encoder"] == str(chosen / "model")
    assert exported["exports"]["float32"]["smallest_cosine"] > 0.9999
    assert exported["exports"]["int8"]["rows"] == 240
    assert "Comparing it with torch" in err

    assert run_checks(tags=["marketplace_ai"]) == []
    encoder, onnx = active.ensure_active()
    assert (onnx.backend.name, onnx.weights_hash) == ("onnx", encoder.weights_hash)
    # Another back end is the same registered encoder.
    for name, dtype in (("torch", "float32"), ("onnx-int8", "int8")):
        settings.MARKETPLACE_AI_BACKEND = name
        assert active.load(encoder).dtype == dtype
    assert {"back end"} <= {finding.name for finding in diagnose.examine()}
    # Vectors of postings are rounded; those of exemplars, which all workers compare with, are not.
    drain()
    int8 = active.load(encoder)
    exemplar_vectors = dict(ExemplarEmbedding.objects.values_list("exemplar__text", "vector"))
    posting_vectors = {get_adapter().encoder_input(posting): PostingEmbedding.objects.get().vector}
    assert len(exemplar_vectors) == Exemplar.objects.values("text").distinct().count() > 16
    assert are_vectors_of(onnx, exemplar_vectors) and not are_vectors_of(int8, exemplar_vectors)
    assert are_vectors_of(int8, posting_vectors) and not are_vectors_of(onnx, posting_vectors)

    monkeypatch.setattr(benchmark, "ROUNDS", 1)
    found = json.loads(run("doctor", "--tune", "--json")[0])
    assert found["encoder"] == str(chosen / "model")
    assert found["back_ends"]["torch"]["times_torch"] == 1
    assert all(row["texts_a_second"] > 0 for row in found["back_ends"].values())
    assert found["fastest"] in found["back_ends"]

    settings.MARKETPLACE_AI_CACHE_DIR = chosen / "elsewhere"
    report, _ = run("doctor", "--tune")
    assert report.count("not measured: There is no") == 2
    assert "→ MARKETPLACE_AI_BACKEND = 'torch' is fastest." in report


def test_the_exemplars_are_what_int8_is_measured_on(chosen: Path, exemplars: None) -> None:
    with pytest.raises(CommandError, match="12 labeled texts cannot tell") as error:
        run("export_encoder", "--int8")
    assert error.value.returncode == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--encoder", "nobody"], "--encoder nobody: neither .* not registered either"),
        (["--encoder", "dummy"], "There is no encoder 'dummy'"),
        (["--labeled", "x.csv"], "--labeled is what --int8 is measured on"),
        (["--int8", "--labelled", "/no/such.csv"], "/no/such.csv"),
    ],
)
def test_bad_usage_is_one_sentence(chosen: Path, arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message) as error:
        run("export_encoder", *arguments)
    assert error.value.returncode == 2


def test_a_registered_name_is_its_source(chosen: Path) -> None:
    from marketplace_ai.management.commands.export_encoder import _registered

    encoder, _ = active.ensure_active()
    assert _registered(encoder.name) == (str(chosen / "model"), None)
    assert _registered(None) == (str(chosen / "model"), None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BACKEND", "tensorrt"),
        ("DTYPE", "int8"),
        ("MAX_BATCH_TOKENS", 0),
        ("MAX_BATCH_TOKENS", "1024"),
        ("MAX_BATCH_TOKENS", True),
    ],
)
def test_e006_an_invalid_setting(settings: Any, name: str, value: Any) -> None:
    setattr(settings, f"MARKETPLACE_AI_{name}", value)
    (message,) = run_checks(tags=["marketplace_ai"])
    assert (message.id, message.msg) == (
        "marketplace_ai.E006",
        f"MARKETPLACE_AI_{name} is {value!r}.",
    )
    assert message.hint


def test_w003_without_the_package(settings: Any, monkeypatch: Any) -> None:
    settings.MARKETPLACE_AI_BACKEND = "onnx-int8"
    monkeypatch.setattr(loading, "find_spec", lambda name: None)
    (message,) = run_checks(tags=["marketplace_ai"])
    assert message.id == "marketplace_ai.W003"
    assert "onnxruntime is not installed" in message.msg


def test_doctor_checks_the_gpu(monkeypatch: Any, settings: Any) -> None:
    assert "gpu" not in {finding.name for finding in diagnose.examine()} or gpu.has_driver()
    monkeypatch.setattr(gpu, "has_driver", lambda: True)
    monkeypatch.setattr(gpu, "detect_gpus", lambda: GpuStatus(2, Device("cuda", (8, 0)), "A100"))
    messages = [finding.message for finding in diagnose.examine() if finding.name == "gpu"]
    assert messages == [
        "A100: bfloat16 with SDPA",
        "2 GPUs are visible; a worker uses the first.",
    ]


# -- the report of measurements ----------------------------------------------------------


def measured(**ratios: float) -> dict[str, Any]:
    names = {name.replace("_", "-"): ratio for name, ratio in ratios.items()}
    return {
        "encoder": "bundled",
        "back_ends": {
            name: {
                "texts_a_second": 100 * ratio,
                "times_torch": ratio,
                "device": "cpu",
                "dtype": "float32",
            }
            for name, ratio in names.items()
        },
        "fastest": max(names, key=lambda name: names[name]),
        "fastest_exact": max((n for n in names if n != "onnx-int8"), key=lambda n: names[n]),
        "token_budget_now": 1024,
        "token_budget": None,
        "setting": "auto",
    }


def test_int8_is_suggested_with_its_cost() -> None:
    report = "\n".join(backend_benchmark.report_lines(measured(torch=1, onnx=1.5, onnx_int8=2.2)))
    assert "2.20 times torch" in report
    assert "'onnx-int8' is fastest; then run fit_classifier" in report
    assert "'onnx' is fastest among the exact ones" in report


def test_a_better_budget_is_suggested() -> None:
    found = {**measured(torch=1), "token_budget": 2048}
    assert (
        "MARKETPLACE_AI_MAX_BATCH_TOKENS = 2048 is faster than 1024"
        in backend_benchmark.report_lines(found)[-1]
    )


def test_rounds_are_interleaved_and_compared_with_the_first() -> None:
    order: list[str] = []
    speeds = benchmark.compare(
        {name: lambda texts, name=name: order.append(name) for name in "ab"}, ["x"] * 8, rounds=3
    )
    assert order == ["a", "b"] * 4
    assert speeds["a"].ratio == 1


def test_a_budget_is_better_when_it_is_a_tenth_faster(monkeypatch: Any) -> None:
    from marketplace_ai.encoding.batched_encoder import BatchedEncoder

    encoder = BatchedEncoder(FakeBackend(), "fake")
    speeds = {400: 1.0, 256: 0.9, 512: 1.05, 1024: 1.3, 2048: 1.2, 4096: 1.0}
    tried: list[int] = []

    def compare(encode: Any, texts: Any) -> Any:
        for work in encode.values():
            work(texts)
            tried.append(encoder.budget.full)
        return {name: benchmark.Speed(1.0, speeds[int(name)]) for name in encode}

    monkeypatch.setattr(benchmark, "compare", compare)
    assert benchmark.best_budget(encoder) == (400, 1024)
    assert tried == [400, 256, 512, 1024, 2048, 4096]
    assert encoder.budget.full == 400
    speeds[1024] = speeds[2048] = 1.05
    assert benchmark.best_budget(encoder) == (400, None)


# -- another back end ----------------------------------------------------------------------


class RemoteBackend(FakeBackend):
    """An invented back end: vectors of a server, rounded, with those of torch as reference."""

    name = "remote"

    def __init__(self, model: ModelPath) -> None:
        super().__init__()
        self.source = model.source


def load_remote(model: ModelPath, *, cache_dir: Path, dtype: str) -> RemoteBackend:
    return RemoteBackend(model)


def find_remote_problem(cache_dir: Path) -> Problem | None:
    return None if (cache_dir / "server").exists() else Problem("no server is set", "start one")


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend_registry, "_specs", dict(backend_registry._specs))
    backend_registry.register(
        BackendSpec("remote", load=load_remote, find_problem=find_remote_problem, reference="torch")
    )


@pytest.mark.usefixtures("remote")
def test_a_registered_back_end_is_checked_loaded_and_measured(
    chosen: Path, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MARKETPLACE_AI_CACHE_DIR = tmp_path
    settings.MARKETPLACE_AI_BACKEND = "remote"
    (warning,) = run_checks(tags=["marketplace_ai"])
    assert warning.id == "marketplace_ai.W003"
    assert "'remote', but no server is set" in warning.msg
    assert "start one" in str(warning.hint)
    (tmp_path / "server").touch()
    assert run_checks(tags=["marketplace_ai"]) == []

    encoder = active.load_source(str(chosen / "model"))
    assert isinstance(encoder.backend, RemoteBackend)
    assert encoder.backend.source == str(chosen / "model")
    assert encoder.reference_encoder.backend.name == "torch"
    messages = {finding.message for finding in diagnose.examine()}
    assert "The back end 'remote' rounds vectors." in messages

    monkeypatch.setattr(benchmark, "ROUNDS", 1)
    measured = json.loads(run("doctor", "--tune", "--json")[0])
    assert measured["back_ends"]["remote"]["times_torch"] > 0
    assert measured["fastest_exact"] == "torch"


def test_a_back_end_that_is_not_registered_is_refused(settings: Any) -> None:
    settings.MARKETPLACE_AI_BACKEND = "remote"
    (message,) = run_checks(tags=["marketplace_ai"])
    assert (message.id, "'onnx-int8'" in str(message.hint)) == ("marketplace_ai.E006", True)


# -- the former name of the bundled encoder ------------------------------------------------


@pytest.mark.parametrize(
    ("registered", "typed"), [("bundled", "embedded"), ("embedded", "bundled")]
)
def test_commands_take_both_names_of_the_bundled_encoder(registered: str, typed: str) -> None:
    Encoder.objects.create(
        name=registered, source=registered, dimension=384, max_tokens=512, dtype="float32",
        weights_hash="0" * 64, state=EncoderState.ACTIVE,
    )  # fmt: skip

    assert registered_name(typed) == registered
    assert registered_name(registered) == registered
    out, _ = run("activate_encoder", typed)
    assert registered in out


def test_a_name_that_is_registered_is_never_replaced_by_its_alias() -> None:
    for name in ("bundled", "embedded"):
        Encoder.objects.create(
            name=name, source=name, dimension=384, max_tokens=512, weights_hash="0" * 64
        )

    assert [registered_name(name) for name in ("bundled", "embedded", "v2")] == (
        ["bundled", "embedded", "v2"]
    )


def test_doctor_takes_the_former_name_for_the_same_encoder(settings: Any) -> None:
    Encoder.objects.create(
        name="embedded", source="embedded", dimension=384, max_tokens=512,
        weights_hash="0" * 64, state=EncoderState.ACTIVE,
    )  # fmt: skip
    settings.MARKETPLACE_AI_ENCODER = "bundled"
    assert "encoder setting" not in {finding.name for finding in diagnose.examine()}
    settings.MARKETPLACE_AI_ENCODER = "dummy"
    assert "encoder setting" in {finding.name for finding in diagnose.examine()}
