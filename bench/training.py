"""Benchmarks of training: accuracy gained, and speed against a bare trainer."""

from __future__ import annotations

import csv
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from io import StringIO
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import django
import numpy as np
from django.apps import apps
from django.core.management import call_command

from marketplace_ai.classifier import Classifier
from marketplace_ai.conf import conf
from marketplace_ai.encoding import load_encoder
from marketplace_ai.encoding.sources import find_directory
from marketplace_ai.evaluation.evaluate import evaluate
from marketplace_ai.evaluation.inputs import Inputs
from marketplace_ai.evaluation.vectors import encode, encode_inputs
from marketplace_ai.management.console import progress
from marketplace_ai.promotion.checks import NEGLIGIBLE_COVERAGE_DROP
from marketplace_ai.text.labeled_csv import read_rows
from marketplace_ai.training.data.row_files import (
    TEST_TRIPLETS_FILE,
    read_pairs,
    read_scored,
    read_triplets,
)
from marketplace_ai.training.data.training_data import TrainingData
from marketplace_ai.training.recipe import Recipe
from marketplace_ai.training.run.triplet_accuracy import evaluate_triplets, triplet_accuracy

from .inputs import CATALOGUE, catalogue, encoder, public_split
from .rows import Benchmark, say

#: Rows of each data set: 50 batches, so that a CPU needs minutes. The model card has 8,000, the
#: default of ``mine_training_data``.
ROWS_PER_SET = 1600
SETS = ("triplets", "pairs", "scored")


class Setup(NamedTuple):
    """A training: its data sets, and further options of ``train_encoder``."""

    sets: tuple[str, ...]
    options: tuple[str, ...] = ()


#: The training of the model card.
CARD = Setup(SETS)
#: The ranking loss alone, with a learning rate and epochs that were chosen on a split of the
#: training texts (docs/training.md).
RANKING = Setup(("pairs",), ("--learning-rate", "2e-4", "--epochs", "3"))
SETUPS = {"the card's three sets": CARD, "pairs alone": RANKING}
#: Baselines that use embeddings alone, by the name of their figure.
EMBEDDING_BASELINES = {"vote": "vote by embedding alone", "nearest": "nearest by embedding"}
#: Exemplars of each category of the public set, and of the catalogue.
SHOTS = 24
#: Timed steps of each data set.
STEPS = 5
CATALOGUE_FILE = str(CATALOGUE / "exemplars_nb.csv")
CATALOG_TREE = str(CATALOGUE / "home_services.csv")


def benchmarks() -> Iterator[Benchmark]:
    yield Benchmark(
        "training: steps a second, by a bare trainer's", "times", 0.9, "higher", relative_throughput
    )
    yield Benchmark(
        "training: triplet accuracy on held-out exemplars, before", "share", None, "higher",
        partial(held_out_accuracy, "before", CARD),
    )  # fmt: skip
    for name, setup in SETUPS.items():
        yield Benchmark(
            f"training: triplet accuracy on held-out exemplars, gained, {name}",
            "share", 0.20, "higher", partial(accuracy_gain, setup),
        )  # fmt: skip
    for who, classifier_setup in (("untuned", None), ("pairs alone", RANKING)):
        yield Benchmark(
            f"training: triplet accuracy on held-out exemplars, whole classifier, {who}",
            "share", None, "higher", partial(classifier_accuracy, classifier_setup),
        )  # fmt: skip
    yield Benchmark(
        "training: triplet accuracy on paraphrases, before", "share", None, "higher",
        partial(paraphrase_accuracy, None),
    )  # fmt: skip
    for name, setup in SETUPS.items():
        yield Benchmark(
            f"training: triplet accuracy on paraphrases, after, {name}", "share", 0.9725, "higher",
            partial(paraphrase_accuracy, setup),
        )  # fmt: skip
    for name, setup in SETUPS.items():
        for baseline, of in EMBEDDING_BASELINES.items():
            yield Benchmark(
                f"training: first choice on postings_nb, {of}, points gained, {name}",
                "points", 5.0, "higher", partial(points_gained, baseline, setup),
            )  # fmt: skip
        yield Benchmark(
            f"training: first choice on postings_nb, ours, rows gained, {name}",
            "rows", -2, "higher", partial(rows_gained, setup),
        )  # fmt: skip
        yield Benchmark(
            f"training: promised without a person, by the untuned encoder's, {name}",
            "times", 1 - NEGLIGIBLE_COVERAGE_DROP, "higher", partial(coverage_ratio, setup),
        )  # fmt: skip
    for name, of in (*EMBEDDING_BASELINES.items(), ("accuracy", "ours")):
        yield Benchmark(
            f"training: first choice on massive_da-DK, 24 a category, {of}, points gained",
            "points", 0.0, "higher", partial(danish_points_gained, name), public=True,
        )  # fmt: skip


def held_out_accuracy(when: str, setup: Setup) -> float:
    return float(trained(CATALOGUE_FILE, setup)[1][when]["cosine_accuracy"])


def accuracy_gain(setup: Setup) -> float:
    return held_out_accuracy("after", setup) - held_out_accuracy("before", setup)


def classifier_accuracy(setup: Setup | None) -> float:
    """Accuracy on the held-out triplets by the cosine of the whole classifier's probabilities.

    The training texts vote, so this is about the most that can be learned from them.
    """
    mined, inputs = _mined(CATALOGUE_FILE), catalogue()
    text_encoder = encoder() if setup is None else load_trained(trained(CATALOGUE_FILE, setup)[0])
    files = [read_rows(str(mined / "train_rows.csv"), for_fitting=True), inputs.calibration]
    rows, *postings = (part for part in files if part)
    exemplars, labeled = (
        encoded.labeled
        for encoded in (
            *encode(text_encoder.reference_encoder, [rows], progress=progress),
            *encode(text_encoder, postings, progress=progress),
        )
    )
    classifier = Classifier.fit(exemplars, labeled, parents=inputs.parents)
    index = classifier.exemplar_model.index(exemplars)
    triplets = read_triplets(mined / TEST_TRIPLETS_FILE)
    none = classifier.classes.index(None)

    def probabilities(texts: list[str]) -> Any:
        weighed = classifier.exemplar_model.score(
            index, np.asarray(text_encoder.encode(texts)), texts
        )
        return classifier.calibration.scores(weighed.model_scores, none).pooled

    figures = triplet_accuracy(
        probabilities([row.anchor for row in triplets]),
        probabilities([row.positive for row in triplets]),
        probabilities([row.negative for row in triplets]),
    )
    return float(figures["cosine_accuracy"])


def paraphrase_accuracy(setup: Setup | None) -> float:
    """Accuracy on handwritten triplets that no training saw; ``setup`` None: untuned encoder."""
    rows = read_triplets(CATALOGUE / "paraphrases_nb.csv")
    text_encoder = encoder() if setup is None else load_trained(trained(CATALOGUE_FILE, setup)[0])
    return float(evaluate_triplets(text_encoder, rows)["cosine_accuracy"])


def points_gained(name: str, setup: Setup) -> float:
    """First choice on the postings, with all exemplars; only the encoder differs."""
    before = _figures(catalogue, None, None)
    after = _figures(catalogue, CATALOGUE_FILE, setup)
    return 100 * (_first(after, name) - _first(before, name))


def rows_gained(setup: Setup) -> float:
    before = _figures(catalogue, None, None)
    after = _figures(catalogue, CATALOGUE_FILE, setup)
    answered = sum(1 for answers in catalogue().test.true_labels if answers)
    return float(round((after["accuracy"] - before["accuracy"]) * answered))


def coverage_ratio(setup: Setup) -> float:
    """Coverage at the target precision, relative to the untuned encoder: what the promotion check
    looks at (docs/promotion.md)."""
    before = _figures(catalogue, None, None)
    after = _figures(catalogue, CATALOGUE_FILE, setup)
    return float(after["promised_coverage"] / before["promised_coverage"])


def danish_points_gained(name: str) -> float:
    inputs = _danish()
    before = _figures(_danish, None, None)
    file = write_rows("danish", inputs.train.texts, inputs.train.labels)
    after = _figures(_danish, file, RANKING)
    return 100 * (_first(after, name) - _first(before, name))


@cache
def _danish() -> Inputs:
    return public_split("massive_da-DK", "train", "test", shots=SHOTS)


def _first(figures: dict[str, Any], name: str) -> float:
    return float(
        figures["accuracy"] if name == "accuracy" else figures["baselines"][name]["accuracy"]
    )


@cache
def _figures(of: Callable[[], Inputs], file: str | None, setup: Setup | None) -> dict[str, Any]:
    """The figures of ``evaluate_classifier`` with the encoder trained on ``file``, or untuned."""
    inputs = of()
    text_encoder = (
        encoder() if file is None or setup is None else load_trained(trained(file, setup)[0])
    )
    encoded = encode_inputs(text_encoder, inputs, progress=progress)
    return dict(evaluate(*encoded, parents=inputs.parents, progress=progress).figures)


@cache
def load_trained(directory: Path) -> Any:
    return load_encoder(str(directory), cache_dir=conf.cache_dir)


@cache
def _folder() -> Path:
    folder = tempfile.TemporaryDirectory(prefix="marketplace_ai-training-")
    _folders.append(folder)
    return Path(folder.name)


#: Keeps the folder from being deleted before the process ends.
_folders: list[Any] = []


def _mined(file: str) -> Path:
    folder = _folder() / f"mined-{Path(file).stem}"
    if not folder.exists():
        tree = ["--catalog", CATALOG_TREE] if file == CATALOGUE_FILE else []
        size = ["--each", str(ROWS_PER_SET)]
        _run("mine_training_data", "--out", str(folder), "--from", file, *size, *tree)
    return folder


@cache
def trained(file: str, setup: Setup) -> tuple[Path, dict[str, Any]]:
    """The bundled encoder trained on data mined from a file: its directory and the figures."""
    sets, options = setup
    mined = _mined(file)
    output = _folder() / f"encoder-{len(list(_folder().glob('encoder-*')))}"
    say(f"Training on the {', '.join(sets)} of {Path(file).name} {' '.join(options)} …")
    files = [part for name in sets for part in (f"--{name}", str(mined / f"{name}.jsonl"))]
    figures = _run(
        "train_encoder", *files, *options,
        "--eval-triplets", str(mined / "test_triplets.jsonl"), "--base", "bundled",
        "--output", str(output),
    )  # fmt: skip
    say(f"{figures['steps']} steps in {figures['seconds']:.0f} s")
    return output, figures


def write_rows(name: str, texts: Sequence[str], labels: Sequence[str | None]) -> str:
    """The path of a new table of labeled texts, for ``trained``."""
    file = _folder() / f"{name}.csv"
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(("text", "category"))
        writer.writerows((text, label or "none") for text, label in zip(texts, labels, strict=True))
    return str(file)


def _run(command: str, *arguments: str) -> dict[str, Any]:
    if not apps.ready:
        django.setup()
    out = StringIO()
    call_command(command, *arguments, "--json", stdout=out)
    return dict(json.loads(out.getvalue()))


def relative_throughput() -> float:
    """Seconds of a bare trainer's steps divided by ours, on the same rows in the same order of data
    sets, both with frozen word embeddings; in alternating rounds of ``STEPS`` batches."""
    mined = _mined(CATALOGUE_FILE)
    rows = STEPS * Recipe().batch_size
    data = TrainingData(
        read_triplets(mined / "triplets.jsonl")[:rows],
        read_pairs(mined / "pairs.jsonl")[:rows],
        read_scored(mined / "scored.jsonl")[:rows],
    )
    ours: list[float] = []
    bare: list[float] = []
    for number in range(2):
        ours += _steps(_ours(data), number)
        bare += _steps(_bare(data), number)
    say(f"a step: ours {median(ours):.2f} s, a bare trainer's {median(bare):.2f} s")
    return sum(bare) / sum(ours)


def _steps(trainer: Any, number: int) -> Sequence[float]:
    """Seconds of each step, without the warm-up."""
    from transformers import TrainerCallback

    class Timer(TrainerCallback):
        def __init__(self) -> None:
            self.ends: list[float] = []

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.ends.append(time.perf_counter())

    timer = Timer()
    trainer.add_callback(timer)
    say(f"Round {number + 1}: {type(trainer).__name__} …")
    trainer.train()
    ends = timer.ends[2:]  # the first round of data sets
    return [after - before for before, after in pairwise(ends)]


def _ours(data: TrainingData) -> Any:
    from marketplace_ai.training.model.base_model import load_base
    from marketplace_ai.training.run.callbacks import StepCallback
    from marketplace_ai.training.run.trainer import make_trainer

    directory = find_directory("bundled", cache_dir=conf.cache_dir)
    return make_trainer(
        load_base(directory, Recipe(), "cpu"), data, Recipe(), _folder() / "ours", device="cpu",
        evaluator=None, callback=StepCallback(lambda step: None),
    )  # fmt: skip


def _bare(data: TrainingData) -> Any:
    """A trainer as in the library's own guide."""
    from datasets import Dataset, DatasetDict
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer import losses

    directory = find_directory("bundled", cache_dir=conf.cache_dir)
    model: Any = SentenceTransformer(str(directory.path), device="cpu", local_files_only=True)
    model[0].model.get_input_embeddings().requires_grad_(False)
    fields = {
        "triplets": ("anchor", "positive", "negative"),
        "pairs": ("anchor", "positive"),
        "scored": ("sentence1", "sentence2", "score"),
    }
    sets = {
        name: Dataset.from_dict({f: [getattr(row, f) for row in rows] for f in fields[name]})
        for name, rows in data.sets.items()
    }
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(_folder() / "bare"), num_train_epochs=1, per_device_train_batch_size=32,
        multi_dataset_batch_sampler="round_robin", prompts=model.prompts["query"],
        save_strategy="no", report_to="none", disable_tqdm=True, use_cpu=True,
    )  # fmt: skip
    return SentenceTransformerTrainer(
        model=model,
        args=arguments,
        train_dataset=DatasetDict(sets),
        loss={
            "triplets": losses.TripletLoss(model, triplet_margin=5),
            "pairs": losses.MultipleNegativesRankingLoss(model),
            "scored": losses.CoSENTLoss(model),
        },
    )
