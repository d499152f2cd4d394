"""What the recipe's training gives, and what it costs beside a bare trainer."""

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
from typing import Any

import django
import numpy as np
from django.apps import apps
from django.core.management import call_command

from marketplace_ai.classifier import Classifier, LabeledTexts
from marketplace_ai.comparison.encoder_comparison import SMALLEST_FALL
from marketplace_ai.conf import conf
from marketplace_ai.encoding import load_encoder
from marketplace_ai.encoding.load import find_directory
from marketplace_ai.evaluation.evaluate import evaluate
from marketplace_ai.evaluation.inputs import Inputs
from marketplace_ai.evaluation.vectors import encode
from marketplace_ai.management.console import progress
from marketplace_ai.text.labeled_csv import LabeledRows, read_rows
from marketplace_ai.training.data.datasets import (
    TEST_TRIPLETS_FILE,
    read_pairs,
    read_scored,
    read_triplets,
)
from marketplace_ai.training.data.loading import Data
from marketplace_ai.training.recipe import Recipe
from marketplace_ai.training.run.triplet_accuracy import measure, triplet_accuracy

from .inputs import CATALOGUE, catalogue, encoder, public_split
from .rows import Benchmark, say

#: Rows of each file: 50 batches of each, so that a processor is through in minutes. The card has
#: 8,000 (``mine_training_data``'s default).
EACH = 1600
How = tuple[tuple[str, ...], tuple[str, ...]]
SETS = ("triplets", "pairs", "scored")
#: Data sets and options of the trainings: the card's, and the ranking loss alone with a learning
#: rate and epochs that were chosen on a split of the training texts (docs/training.md).
CARD: How = (SETS, ())
RANKING: How = (
    ("pairs",), ("--learning-rate", "2e-4", "--epochs", "3"),
)  # fmt: skip
HOWS: dict[str, How] = {"the card's three sets": CARD, "pairs alone": RANKING}
#: What looks at embeddings alone, by the name of the baseline.
ALONE = {"vote": "vote by embedding alone", "nearest": "nearest by embedding"}
#: Exemplars of each category of the public set, and of the catalogue.
SHOTS = 24
#: Steps that are timed of each data set.
STEPS = 5
CATALOGUE_FILE = str(CATALOGUE / "exemplars_nb.csv")
TREE = str(CATALOGUE / "home_services.csv")


def benchmarks() -> Iterator[Benchmark]:
    yield Benchmark(
        "training: steps a second, by a bare trainer's", "times", 0.9, "higher", throughput
    )
    yield Benchmark(
        "training: triplet accuracy on held-out exemplars, before", "share", None, "higher",
        partial(held_out, "before", CARD),
    )  # fmt: skip
    for name, how in HOWS.items():
        yield Benchmark(
            f"training: triplet accuracy on held-out exemplars, gained, {name}",
            "share", 0.20, "higher", partial(gained, how),
        )  # fmt: skip
    for who, made_how in (("untuned", None), ("pairs alone", RANKING)):
        yield Benchmark(
            f"training: triplet accuracy on held-out exemplars, whole classifier, {who}",
            "share", None, "higher", partial(known, made_how),
        )  # fmt: skip
    yield Benchmark(
        "training: triplet accuracy on paraphrases, before", "share", None, "higher",
        partial(paraphrases, None),
    )  # fmt: skip
    for name, how in HOWS.items():
        yield Benchmark(
            f"training: triplet accuracy on paraphrases, after, {name}", "share", 0.9725, "higher",
            partial(paraphrases, how),
        )  # fmt: skip
    for name, how in HOWS.items():
        for baseline, of in ALONE.items():
            yield Benchmark(
                f"training: first choice on postings_nb, {of}, points gained, {name}",
                "points", 5.0, "higher", partial(postings, baseline, how),
            )  # fmt: skip
        yield Benchmark(
            f"training: first choice on postings_nb, ours, rows gained, {name}",
            "rows", -2, "higher", partial(postings_rows, how),
        )  # fmt: skip
        yield Benchmark(
            f"training: promised without a person, by the untuned encoder's, {name}",
            "times", 1 - SMALLEST_FALL, "higher", partial(promised, how),
        )  # fmt: skip
    for name, of in (*ALONE.items(), ("accuracy", "ours")):
        yield Benchmark(
            f"training: first choice on massive_da-DK, 24 a category, {of}, points gained",
            "points", 0.0, "higher", partial(danish, name), public=True,
        )  # fmt: skip


def held_out(when: str, how: How) -> float:
    return float(trained(CATALOGUE_FILE, how)[1][when]["cosine_accuracy"])


def gained(how: How) -> float:
    return held_out("after", how) - held_out("before", how)


def known(how: How | None) -> float:
    """The held-out triplets told apart by the cosine of the whole classifier's probabilities, for
    which the texts that were learned from vote: about what there is in them to be learned."""
    mined, inputs = _mined(CATALOGUE_FILE), catalogue()
    made = encoder() if how is None else _load(trained(CATALOGUE_FILE, how)[0])
    files = [read_rows(str(mined / "train_rows.csv"), for_fitting=True), inputs.calibration]
    exemplars, labelled = (
        LabeledTexts(found.rows.texts, found.vectors, found.rows.labels)
        for found in encode(made, [rows for rows in files if rows], progress=progress)
    )
    classifier = Classifier.fit(exemplars, labelled, parents=inputs.parents)
    index = classifier.exemplar_model.index(exemplars)
    triplets = read_triplets(mined / TEST_TRIPLETS_FILE)
    none = classifier.classes.index(None)

    def said(texts: list[str]) -> Any:
        weighed = classifier.exemplar_model.score(index, np.asarray(made.encode(texts)), texts)
        return classifier.calibration.scores(weighed.model_scores, none).pooled

    found = triplet_accuracy(
        said([row.anchor for row in triplets]),
        said([row.positive for row in triplets]),
        said([row.negative for row in triplets]),
    )
    return float(found["cosine_accuracy"])


def paraphrases(how: How | None) -> float:
    """Triplets written by hand that no training saw; ``how`` None: of the untuned encoder."""
    rows = read_triplets(CATALOGUE / "paraphrases_nb.csv")
    made = encoder() if how is None else _load(trained(CATALOGUE_FILE, how)[0])
    return float(measure(made, rows)["cosine_accuracy"])


def postings(name: str, how: How) -> float:
    """All exemplars vote, the postings are asked; nothing but the encoder differs."""
    before = _figures(catalogue, None, None)
    after = _figures(catalogue, CATALOGUE_FILE, how)
    return 100 * (_first(after, name) - _first(before, name))


def postings_rows(how: How) -> float:
    before = _figures(catalogue, None, None)
    after = _figures(catalogue, CATALOGUE_FILE, how)
    answered = sum(1 for answers in catalogue().test.true_labels if answers)
    return float(round((after["accuracy"] - before["accuracy"]) * answered))


def promised(how: How) -> float:
    """Share of the labelled postings that are decided without a person at the promised precision,
    by that of the untuned encoder: what the gate asks (docs/promotion.md)."""
    before = _figures(catalogue, None, None)
    after = _figures(catalogue, CATALOGUE_FILE, how)
    return float(after["promised_coverage"] / before["promised_coverage"])


def danish(name: str) -> float:
    inputs = _danish()
    before = _figures(_danish, None, None)
    after = _figures(_danish, _written(inputs.train), RANKING)
    return 100 * (_first(after, name) - _first(before, name))


@cache
def _danish() -> Inputs:
    return public_split("massive_da-DK", "train", "test", shots=SHOTS)


def _first(figures: dict[str, Any], name: str) -> float:
    return float(
        figures["accuracy"] if name == "accuracy" else figures["baselines"][name]["accuracy"]
    )


@cache
def _figures(of: Callable[[], Inputs], file: str | None, how: How | None) -> dict[str, Any]:
    """``evaluate_classifier``'s figures with the encoder trained on ``file``, or untuned."""
    inputs = of()
    made = encoder() if file is None or how is None else _load(trained(file, how)[0])
    encoded = encode(made, inputs.files, progress=progress)
    return dict(evaluate(*encoded, parents=inputs.parents, progress=progress).figures)


@cache
def _load(directory: Path) -> Any:
    return load_encoder(str(directory), cache_dir=conf.cache_dir)


@cache
def _folder() -> Path:
    # For as long as this process lives.
    kept = tempfile.TemporaryDirectory(prefix="marketplace_ai-training-")
    _kept.append(kept)
    return Path(kept.name)


_kept: list[Any] = []


def _mined(file: str) -> Path:
    folder = _folder() / f"mined-{Path(file).stem}"
    if not folder.exists():
        tree = ["--catalog", TREE] if file == CATALOGUE_FILE else []
        _run("mine_training_data", "--out", str(folder), "--from", file, "--each", str(EACH), *tree)
    return folder


@cache
def trained(file: str, how: How) -> tuple[Path, dict[str, Any]]:
    """The embedded encoder trained by the recipe on what is mined from a file of exemplars."""
    sets, options = how
    mined = _mined(file)
    made = _folder() / f"encoder-{len(list(_folder().glob('encoder-*')))}"
    say(f"Training on the {', '.join(sets)} of {Path(file).name} {' '.join(options)} …")
    files = [part for name in sets for part in (f"--{name}", str(mined / f"{name}.jsonl"))]
    figures = _run(
        "train_encoder", *files, *options,
        "--eval-triplets", str(mined / "test_triplets.jsonl"), "--base", "embedded",
        "--output", str(made),
    )  # fmt: skip
    say(f"{figures['steps']} steps in {figures['seconds']:.0f} s")
    return made, figures


def _written(rows: LabeledRows) -> str:
    file = _folder() / "danish.csv"
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(("text", "category"))
        writer.writerows(zip(rows.texts, rows.labels, strict=True))
    return str(file)


def _run(command: str, *arguments: str) -> dict[str, Any]:
    if not apps.ready:
        django.setup()
    out = StringIO()
    call_command(command, *arguments, "--json", stdout=out)
    return dict(json.loads(out.getvalue()))


def throughput() -> float:
    """Seconds of a bare trainer's steps by those of ours, on the same rows in the same order of
    data sets; both on the table of word embeddings as it is. By turns of ``STEPS`` batches."""
    mined = _mined(CATALOGUE_FILE)
    rows = STEPS * Recipe().batch_size
    data = Data(
        read_triplets(mined / "triplets.jsonl")[:rows],
        read_pairs(mined / "pairs.jsonl")[:rows],
        read_scored(mined / "scored.jsonl")[:rows],
    )
    ours: list[float] = []
    bare: list[float] = []
    for turn in range(2):
        ours += _steps(_ours(data), turn)
        bare += _steps(_bare(data), turn)
    say(f"a step: ours {median(ours):.2f} s, a bare trainer's {median(bare):.2f} s")
    return sum(bare) / sum(ours)


def _steps(trainer: Any, turn: int) -> Sequence[float]:
    """Seconds of each step but those that warm up."""
    from transformers import TrainerCallback

    class Timer(TrainerCallback):
        def __init__(self) -> None:
            self.ends: list[float] = []

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.ends.append(time.perf_counter())

    timer = Timer()
    trainer.add_callback(timer)
    say(f"Turn {turn + 1}: {type(trainer).__name__} …")
    trainer.train()
    ends = timer.ends[2:]  # the first round of data sets
    return [after - before for before, after in pairwise(ends)]


def _ours(data: Data) -> Any:
    from marketplace_ai.training.model.base_model import load_base
    from marketplace_ai.training.run.callbacks import Watch
    from marketplace_ai.training.run.trainer import make_trainer

    found = find_directory("embedded", cache_dir=conf.cache_dir)
    return make_trainer(
        load_base(found, Recipe(), "cpu"), data, Recipe(), _folder() / "ours", device="cpu",
        evaluator=None, watch=Watch(lambda step: None),
    )  # fmt: skip


def _bare(data: Data) -> Any:
    """As the library's own guide makes one."""
    from datasets import Dataset, DatasetDict
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer import losses

    found = find_directory("embedded", cache_dir=conf.cache_dir)
    model: Any = SentenceTransformer(str(found.path), device="cpu", local_files_only=True)
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
