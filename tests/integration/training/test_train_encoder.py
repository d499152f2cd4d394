"""train_encoder and evaluate_encoder with a small model: recipe, result, failures."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from safetensors.numpy import load_file
from sentence_transformers import SentenceTransformer

from marketplace_ai.encoding import load_encoder
from marketplace_ai.encoding.model_directory import weights_hash
from marketplace_ai.encoding.sources import ModelPath
from marketplace_ai.training.data import row_files
from marketplace_ai.training.data.training_data import TrainingData
from marketplace_ai.training.model import weight_interpolation
from marketplace_ai.training.recipe import Recipe
from marketplace_ai.training.run import callbacks, trainer
from marketplace_ai.training.train import train
from tests.integration.training.conftest import EACH, TEXTS, rows

pytestmark = pytest.mark.slow


def file_options(files: Path, *names: str) -> list[str]:
    return [part for name in names for part in (f"--{name}", str(files / f"{name}.jsonl"))]


ALL = ("triplets", "pairs", "scored")


def run(files: Path, output: Path, *more: str, names: tuple[str, ...] = ALL) -> dict[str, Any]:
    """The command with --json: what it printed."""
    out, err = StringIO(), StringIO()
    call_command(
        "train_encoder", *file_options(files, *names), "--base", str(files / "model"), "--output",
        str(output), "--batch-size", "4", "--json", *more, stdout=out, stderr=err,
    )  # fmt: skip
    assert all(line.startswith(str(files)) for line in err.getvalue().splitlines())
    return dict(json.loads(out.getvalue()))


def refused(files: Path, output: Path, *more: str, code: int = 2) -> str:
    with pytest.raises(CommandError) as caught:
        run(files, output, *more)
    assert caught.value.returncode == code
    return str(caught.value)


def weights(directory: Path) -> dict[str, Any]:
    return load_file(directory / "model.safetensors")


@pytest.fixture(scope="module")
def trained(files: Path) -> Path:
    """The whole recipe, with the test measured before and after."""
    output = files / "trained"
    figures = run(files, output, "--eval-triplets", str(files / "test.jsonl"))
    assert figures["steps"] == 3 * EACH // 4
    assert figures["unused"] == {"triplets": 0, "pairs": 0, "scored": 0}
    assert figures["before"].keys() == figures["after"].keys()
    return output


def test_the_result_serves_like_any_directory(trained: Path, files: Path, tmp_path: Path) -> None:
    base = load_encoder(str(files / "model"), cache_dir=tmp_path)
    made = load_encoder(str(trained), cache_dir=tmp_path)
    assert (made.dimension, made.max_tokens) == (base.dimension, base.max_tokens)
    assert made.prompts == base.prompts
    assert not np.allclose(made.encode(["male stue"]), base.encode(["male stue"]))
    assert not [*trained.rglob("*.bin"), *trained.rglob("*.pt"), *trained.rglob("*.pkl")]
    assert not list(files.glob(".trained*"))
    out = StringIO()
    call_command(
        "evaluate_encoder", "--encoder", str(trained), "--triplets", str(files / "test.jsonl"),
        "--json", stdout=out,
    )  # fmt: skip
    figures = json.loads(out.getvalue())
    metadata = json.loads((trained / "training.json").read_text())
    assert figures["n"] == 1
    for name in ("cosine_accuracy", "dot_accuracy", "euclidean_accuracy", "manhattan_accuracy"):
        assert figures[name] == metadata["figures"]["after"][name]
    assert metadata["weights"] == weights_hash(trained) != metadata["base"]["weights"]


def test_the_card_has_every_section_of_the_published_one(trained: Path, files: Path) -> None:
    card = (trained / "README.md").read_text()
    sections = [line for line in card.splitlines() if line.startswith("#")]
    for heading in (
        "## Model Details", "### Model Description", "### Full Model Architecture", "## Usage",
        "## Evaluation", "#### Triplet", "### Training Datasets",
        "### Training Hyperparameters", "#### Non-Default Hyperparameters",
        "#### All Hyperparameters", "### Framework Versions", "## How It Was Made",
    ):  # fmt: skip
        assert heading in sections, heading
    head = card.split("---")[1]
    for line in (
        "library_name: sentence-transformers", "pipeline_tag: sentence-similarity",
        f"- dataset_size:{3 * EACH}", "- loss:TripletLoss", "- loss:MultipleNegativesRankingLoss",
        "- loss:CoSENTLoss", "- source_sentence:", "- cosine_accuracy", "- dot_accuracy",
        "- manhattan_accuracy", "- euclidean_accuracy", "- max_accuracy",
        "type: test-triplet-evaluation",
    ):  # fmt: skip
        assert line in head, line
    for line in (
        "SentenceTransformer(", "(1): Pooling(", "(2): Normalize(", "model.encode(sentences)",
        '"distance_metric": "TripletDistanceMetric.EUCLIDEAN"', '"triplet_margin": 5.0',
        '"scale": 20.0', '"similarity_fct": "cos_sim"', '"similarity_fct": "pairwise_cos_sim"',
        f"* Size: {EACH} training samples", "* Samples:", "<ul><li>min: ",
        "- `per_device_train_batch_size`: 4", "- `num_train_epochs`: 1\n",
        "- `multi_dataset_batch_sampler`: round_robin", "- `learning_rate`: 5e-05",
        "- Sentence Transformers: 6.", "**Maximum Sequence Length:** 24 tokens",
        "**Output Dimensionality:** 32 dimensions", "**Similarity Function:** Cosine Similarity",
        f"| triplets | {EACH} | 0 |", "| cosine |",
    ):  # fmt: skip
        assert line in card, line
    # The card is published: no paths of this machine.
    for path in (str(files), str(Path.cwd())):
        assert path not in card and path not in (trained / "training.json").read_text()


def test_the_data_sets_take_turns(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    step = trainer.RecipeTrainer.compute_loss
    category = {
        " ".join(text.split()): name for name, texts in TEXTS.items() for text in texts
    }  # fmt: skip

    def watched(self: Any, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append(inputs["dataset_name"])
        if inputs["dataset_name"] == "pairs":
            words = self.processing_class.batch_decode(
                inputs["anchor_input_ids"], skip_special_tokens=True
            )
            assert len({category[text] for text in words}) == len(words)
        return step(self, model, dict(inputs), *args, **kwargs)

    monkeypatch.setattr(trainer.RecipeTrainer, "compute_loss", watched)
    run(files, tmp_path / "out")
    assert seen == [*ALL] * (EACH // 4)


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ("model", {"triplets": "", "pairs": "query: ", "scored": ""}),
        ("prompted/model", {"triplets": "spor : ", "pairs": "spor : ", "scored": "spor : "}),
    ],
)
def test_the_cards_prompt_is_only_for_bases_without_prompts(
    base: str, expected: dict[str, str], files: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    positives: dict[str, set[str | None]] = {}
    anchors: dict[str, set[str | None]] = {}
    collate = trainer.RecipeTrainer.data_collator_class.__call__

    def watched(self: Any, features: Any) -> Any:
        name = features[0]["dataset_name"]
        prompts = self._resolve_prompts({"dataset_name": name})
        anchors.setdefault(name, set()).add(self._get_prompt_for_column(prompts, "anchor"))
        positives.setdefault(name, set()).add(self._get_prompt_for_column(prompts, "positive"))
        return collate(self, features)

    monkeypatch.setattr(trainer.RecipeTrainer.data_collator_class, "__call__", watched)
    run(files, tmp_path / "out", "--base", str(files / base))
    assert {name: {(p or "") for p in used} for name, used in positives.items()} == {
        name: {prompt} for name, prompt in expected.items()
    }
    own = "spor : " if "prompted" in base else ""
    assert all({(p or "") for p in used} == {own} for used in anchors.values())


def test_word_embeddings_are_frozen_on_a_cpu_by_default(
    trained: Path, files: Path, tmp_path: Path
) -> None:
    run(files, tmp_path / "out", "--embeddings", "train")
    name = "embeddings.word_embeddings.weight"
    before, frozen, learned = (
        weights(where)[name] for where in (files / "model", trained, tmp_path / "out")
    )
    assert np.array_equal(before, frozen)
    assert not np.array_equal(before, learned)


@pytest.mark.parametrize(
    "options",
    [
        ["--matryoshka", "16,8"],
        ["--gradcache-mini-batch-size", "2"],
        ["--hard-negatives"],
        ["--lora", "2"],
        ["--gradient-checkpointing"],
        ["--max-tokens", "4"],
        ["--patience", "1", "--eval-triplets", "TEST"],
        ["--epochs", "0.5"],
        ["--embeddings", "train", "--matryoshka", "16", "--cached", "2", "--hard-negatives"],
    ],
    ids=lambda options: options[0].strip("-") + ("+" if len(options) > 4 else ""),
)
def test_further_options_make_a_plain_directory_too(
    options: list[str], files: Path, tmp_path: Path
) -> None:
    options = [str(files / "test.jsonl") if part == "TEST" else part for part in options]
    run(files, tmp_path / "out", *options)
    made = load_encoder(str(tmp_path / "out"), cache_dir=tmp_path)
    assert made.max_tokens == 24
    base = load_encoder(str(files / "model"), cache_dir=tmp_path)
    assert not np.allclose(made.encode(["male stue"]), base.encode(["male stue"]))
    assert weights(tmp_path / "out").keys() == weights(files / "model").keys()


def test_weights_are_interpolated_between_base_and_fine_tuned(files: Path, tmp_path: Path) -> None:
    tuned = {}
    for share in ("1", "0.5", "0.25"):
        option = "--blend" if share == "0.25" else "--interpolate"  # the former name is an alias
        run(files, tmp_path / share, option, share, names=("pairs",))
        tuned[share] = weights(tmp_path / share)
    moved = 0.0
    for name, base in weights(files / "model").items():
        way = tuned["1"][name] - base
        moved = max(moved, float(np.abs(way).max()))
        for share in (0.5, 0.25):
            assert np.allclose(tuned[str(share)][name] - base, share * way, atol=1e-6)
    assert moved > 1e-4
    card = (tmp_path / "0.25" / "README.md").read_text()
    assert "The weights are interpolated: 75% base and 25% fine-tuned" in card
    assert "interpolated" not in (tmp_path / "1" / "README.md").read_text()


@pytest.mark.parametrize("name", ALL)
def test_each_data_set_can_be_used_alone(name: str, files: Path, tmp_path: Path) -> None:
    assert run(files, tmp_path / "out", names=(name,))["rows"] == {name: EACH}


def test_a_hard_negative_is_of_another_category(files: Path) -> None:
    from marketplace_ai.training.data.hard_negatives import hard_negatives

    model = SentenceTransformer(str(files / "model"), device="cpu")
    pairs = row_files.read_pairs(files / "pairs.jsonl")
    for row, other in enumerate(hard_negatives(model, TrainingData(pairs=pairs))):
        assert pairs[row].category != pairs[other].category


# -- failures -------------------------------------------------------------------------


def test_a_resumed_training_ends_as_if_it_had_not_been_interrupted(
    files: Path, trained: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    command = [
        sys.executable, "-c", SLOW_TRAINING, str(tmp_path / "stepping"), "train_encoder",
        *file_options(files, *ALL), "--base", str(files / "model"), "--output", str(output),
        "--batch-size", "4",
    ]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    _wait_until(lambda: (tmp_path / "stepping").exists())
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 1, said
    assert "--resume continues" in said
    assert not output.exists()
    (checkpoint,) = (tmp_path / ".out.unfinished").glob("checkpoint-*")
    assert 0 < int(checkpoint.name.partition("-")[2]) < 3 * EACH // 4

    assert "add --resume" in refused(files, output, code=1)
    assert "another recipe" in refused(files, output, "--resume", "--margin", "1", code=1)
    run(files, output, "--resume")
    for name, value in weights(trained).items():
        assert np.allclose(weights(output)[name], value, atol=1e-6), name
    assert not list(tmp_path.glob(".out*"))


@pytest.mark.parametrize("options", [["--lora", "2"], ["--lora", "2", "--patience", "9"]])
def test_a_training_of_adapters_is_resumed_too(
    options: list[str], files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = [*options, "--learning-rate", "1e-2", "--eval-triplets", str(files / "test.jsonl")]
    run(files, tmp_path / "whole", *options)
    with monkeypatch.context() as patched:
        patched.setattr(callbacks, "stop_signals", lambda: _signal_in_step(7))
        assert "--resume continues" in refused(files, tmp_path / "out", *options, code=1)
    run(files, tmp_path / "out", "--resume", *options)
    for name, value in weights(tmp_path / "whole").items():
        assert np.allclose(weights(tmp_path / "out")[name], value, atol=1e-6), name


@contextmanager
def _signal_in_step(number: int) -> Iterator[Callable[[], bool]]:
    """In place of ``stop_signals``: a signal arrives in this step."""
    steps = iter(range(1, number))
    yield lambda: next(steps, None) is None


@pytest.mark.parametrize("options", [[], ["--epochs", "0.5"], ["--patience", "9"]])
def test_a_failure_after_the_last_step_repeats_no_step(
    options: list[str], files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = [*options, "--eval-triplets", str(files / "test.jsonl")]
    steps = run(files, tmp_path / "whole", *options)["steps"]

    def stopped(*args: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(weight_interpolation, "interpolate_weights", stopped)
        assert "--resume continues" in refused(files, tmp_path / "out", *options, code=1)
    with monkeypatch.context() as patched:
        patched.setattr(trainer.RecipeTrainer, "training_step", stopped)
        assert run(files, tmp_path / "out", "--resume", *options)["steps"] == steps
    for name, value in weights(tmp_path / "whole").items():
        assert np.array_equal(weights(tmp_path / "out")[name], value), name
    assert not list(tmp_path.glob(".out*"))


#: Runs manage.py with slow steps, the first of which creates a file.
SLOW_TRAINING = """
import pathlib, sys, time
from marketplace_ai.training.run.callbacks import StepCallback
sign, on_step_end = pathlib.Path(sys.argv.pop(1)), StepCallback.on_step_end
def slow(self, *args, **kwargs):
    sign.touch()
    time.sleep(0.2)
    return on_step_end(self, *args, **kwargs)
StepCallback.on_step_end = slow
from django.core.management import execute_from_command_line
execute_from_command_line(["manage.py", *sys.argv[1:]])
"""


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_dry_run_trains_nothing(files: Path, tmp_path: Path) -> None:
    estimate = run(files, tmp_path / "out", "--dry-run")
    assert estimate["steps"] == 3 * EACH // 4
    assert estimate["here"]["trained"] < estimate["here"]["parameters"]
    large = estimate["bge_m3"]
    # What the hub says of bge-m3: 568 million parameters.
    assert large["parameters"] == pytest.approx(568e6, rel=0.01)
    assert large["bytes"] == large["state_bytes"] + large["activation_bytes"]
    halved = run(files, tmp_path / "out", "--dry-run", "--bf16")["bge_m3"]
    assert halved["bytes_a_token_and_layer"] < large["bytes_a_token_and_layer"]
    assert not list(tmp_path.iterdir())
    out = StringIO()
    call_command(
        "train_encoder", *file_options(files, *ALL), "--base", str(files / "model"), "--output",
        str(tmp_path / "out"), "--dry-run", stdout=out,
    )  # fmt: skip
    assert "BAAI/bge-m3 on a GPU of 80 GB" in out.getvalue()


def test_training_triplets_are_learned(files: Path, tmp_path: Path) -> None:
    """After training, positives are nearer than negatives."""
    triplets = [
        row_files.Triplet(row["anchor"], row["positive"], row["negative"])
        for row in rows()["triplets"]
    ]
    base = ModelPath(files / "model", str(files / "model"))
    recipe = Recipe(batch_size=4, epochs=20, learning_rate=2e-3, embeddings="train")
    data = TrainingData(triplets, test=triplets)
    figures = train(base, data, recipe, tmp_path / "out").figures
    assert figures["after"]["cosine_accuracy"] > figures["before"]["cosine_accuracy"] + 0.2


def test_a_result_is_only_replaced_with_overwrite(
    files: Path, trained: Path, tmp_path: Path
) -> None:
    before = weights_hash(trained)
    assert "--overwrite" in refused(files, trained)
    assert weights_hash(trained) == before
    # A foreign directory is never replaced.
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "file").touch()
    assert "not replaced" in refused(files, tmp_path / "theirs", "--overwrite")
    assert (tmp_path / "theirs" / "file").exists()
