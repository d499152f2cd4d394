"""Exporting an encoder and choosing a back end, as a person does it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.checks import run_checks
from django.core.management import CommandError, call_command

from marketplace_ai import checks
from marketplace_ai.adapter import get_adapter
from marketplace_ai.doctor import backend_benchmark, diagnose
from marketplace_ai.encoders import active
from marketplace_ai.encoding import TextEncoder, benchmark, gpu
from marketplace_ai.encoding.dtype import Device
from marketplace_ai.encoding.gpu import Gpus
from marketplace_ai.models import ExemplarEmbedding, JobPosting, PostingEmbedding
from marketplace_ai.queue.write import prepared_text
from tests.integration.worker_runs import drain
from tests.unit.encoding.fakes import WORDS, Room, save

pytestmark = pytest.mark.django_db


def run(name: str, *arguments: str) -> tuple[str, str]:
    """Standard output and error of a command."""
    out, err = io.StringIO(), io.StringIO()
    call_command(name, *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def are_of(encoder: TextEncoder, stored: dict[str, Any]) -> bool:
    """Whether vectors by text are this encoder's, but for the half precision they are stored in."""
    vectors = np.array([np.array(vector) for vector in stored.values()])
    return np.allclose(vectors, encoder.encode(list(stored)), atol=5e-4)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model in ``model``, labelled texts in ``labelled.csv``, an empty cache folder."""
    path = tmp_path_factory.mktemp("backends")
    save(path, pooling="mean")
    # Far apart: what int8 costs weights that were never trained would be a matter of chance.
    lines = [
        f"{' '.join([WORDS[n % 8]] * 5)} {WORDS[n // 8 % 8]},{WORDS[n % 8]}" for n in range(240)
    ]
    (path / "labelled.csv").write_text("\n".join(["text,category", *lines]) + "\n")
    return path


@pytest.fixture
def chosen(world: Path, settings: Any) -> Path:
    settings.MARKETPLACE_AI_CACHE_DIR = world / "cache"
    settings.MARKETPLACE_AI_ENCODER = str(world / "model")
    return world


def test_export_check_tune_and_use(
    chosen: Path, exemplars: None, posting: JobPosting, settings: Any, monkeypatch: Any
) -> None:
    settings.MARKETPLACE_AI_BACKEND = "onnx"
    (before,) = run_checks(tags=["marketplace_ai"])
    assert before.id == "marketplace_ai.W003"
    assert "export_encoder" in str(before.hint)

    out, err = run("export_encoder", "--int8", "--labelled", str(chosen / "labelled.csv"), "--json")
    made = json.loads(out)
    assert made["encoder"] == str(chosen / "model")
    assert made["exports"]["float32"]["smallest_cosine"] > 0.9999
    assert made["exports"]["int8"]["rows"] == 240
    assert "Comparing it with torch" in err

    assert run_checks(tags=["marketplace_ai"]) == []
    encoder, texts = active.ensure_active()
    assert (texts.backend.name, texts.weights_hash) == ("onnx", encoder.weights_hash)
    # Another back end is the same registered encoder.
    for name, precision in (("torch", "float32"), ("onnx-int8", "int8")):
        settings.MARKETPLACE_AI_BACKEND = name
        assert active.load(encoder).precision == precision
    assert {"back end"} <= {finding.name for finding in diagnose.examine()}
    # Its postings are rounded; what every worker compares with is not.
    drain()
    rounded = active.load(encoder)
    kept = dict(ExemplarEmbedding.objects.values_list("exemplar__text", "vector"))
    new = {prepared_text(get_adapter(), posting): PostingEmbedding.objects.get().vector}
    assert len(kept) == 19  # with the descriptions of categories
    assert are_of(texts, kept) and not are_of(rounded, kept)
    assert are_of(rounded, new) and not are_of(texts, new)

    monkeypatch.setattr(benchmark, "ROUNDS", 1)
    found = json.loads(run("doctor", "--tune", "--json")[0])
    assert found["encoder"] == str(chosen / "model")
    assert found["back_ends"]["torch"]["times_torch"] == 1
    assert all(row["texts_a_second"] > 0 for row in found["back_ends"].values())
    assert found["fastest"] in found["back_ends"]

    settings.MARKETPLACE_AI_CACHE_DIR = chosen / "elsewhere"
    said, _ = run("doctor", "--tune")
    assert said.count("not measured: There is no") == 2
    assert "→ MARKETPLACE_AI_BACKEND = 'torch' is fastest." in said


def test_the_exemplars_are_what_int8_is_measured_on(chosen: Path, exemplars: None) -> None:
    with pytest.raises(CommandError, match="12 labelled texts cannot tell") as error:
        run("export_encoder", "--int8")
    assert error.value.returncode == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--encoder", "nobody"], "--encoder nobody: neither .* not registered either"),
        (["--encoder", "dummy"], "There is no encoder 'dummy'"),
        (["--labelled", "x.csv"], "--labelled is what --int8 is measured on"),
        (["--int8", "--labelled", "/no/such.csv"], "/no/such.csv"),
    ],
)
def test_bad_usage_is_one_sentence(chosen: Path, arguments: list[str], said: str) -> None:
    with pytest.raises(CommandError, match=said) as error:
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
        ("PRECISION", "int8"),
        ("TOKEN_BUDGET", 0),
        ("TOKEN_BUDGET", "1024"),
        ("TOKEN_BUDGET", True),
    ],
)
def test_e006_a_setting_that_there_is_not(settings: Any, name: str, value: Any) -> None:
    setattr(settings, f"MARKETPLACE_AI_{name}", value)
    (message,) = run_checks(tags=["marketplace_ai"])
    assert (message.id, message.msg) == (
        "marketplace_ai.E006",
        f"MARKETPLACE_AI_{name} is {value!r}.",
    )
    assert message.hint


def test_w003_without_the_package(settings: Any, monkeypatch: Any) -> None:
    settings.MARKETPLACE_AI_BACKEND = "onnx-int8"
    monkeypatch.setattr(checks, "find_spec", lambda name: None)
    (message,) = run_checks(tags=["marketplace_ai"])
    assert message.id == "marketplace_ai.W003"
    assert "onnxruntime is not installed" in message.msg


def test_doctor_looks_at_a_gpu(monkeypatch: Any, settings: Any) -> None:
    assert "gpu" not in {finding.name for finding in diagnose.examine()} or gpu.has_driver()
    monkeypatch.setattr(gpu, "has_driver", lambda: True)
    monkeypatch.setattr(gpu, "gpus_here", lambda: Gpus(2, Device("cuda", (8, 0)), "A100"))
    messages = [finding.message for finding in diagnose.examine() if finding.name == "gpu"]
    assert messages == [
        "A100: bfloat16 with SDPA",
        "2 GPUs are visible; a worker uses the first.",
    ]


# -- what is said of measurements ----------------------------------------------------------


def measured(**ratios: float) -> dict[str, Any]:
    names = {name.replace("_", "-"): ratio for name, ratio in ratios.items()}
    return {
        "encoder": "embedded",
        "back_ends": {
            name: {
                "texts_a_second": 100 * ratio,
                "times_torch": ratio,
                "device": "cpu",
                "precision": "float32",
            }
            for name, ratio in names.items()
        },
        "fastest": max(names, key=lambda name: names[name]),
        "fastest_exact": max((n for n in names if n != "onnx-int8"), key=lambda n: names[n]),
        "token_budget_now": 1024,
        "token_budget": None,
        "setting": "auto",
    }


def test_int8_is_suggested_with_its_price() -> None:
    said = "\n".join(backend_benchmark.lines(measured(torch=1, onnx=1.5, onnx_int8=2.2)))
    assert "2.20 times torch" in said
    assert "'onnx-int8' is fastest; then run fit_classifier" in said
    assert "'onnx' is fastest among the exact ones" in said


def test_a_better_budget_is_suggested() -> None:
    found = {**measured(torch=1), "token_budget": 2048}
    assert (
        "MARKETPLACE_AI_TOKEN_BUDGET = 2048 is faster than 1024"
        in backend_benchmark.lines(found)[-1]
    )


def test_turns_are_interleaved_and_compared_with_the_first() -> None:
    order: list[str] = []
    speeds = benchmark.compare(
        {name: lambda texts, name=name: order.append(name) for name in "ab"}, ["x"] * 8, rounds=3
    )
    assert order == ["a", "b"] * 4
    assert speeds["a"].ratio == 1


def test_a_budget_is_better_when_it_is_a_tenth_faster(monkeypatch: Any) -> None:
    from marketplace_ai.encoding.batched_encoder import BatchedEncoder

    encoder = BatchedEncoder(Room(), "fake")
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
