"""The directory of a mined dataset: written and checked elsewhere, then moved into place."""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path

from marketplace_ai.encoding.atomic_dir import replace_dir

from . import data_card, leaks
from .mining import MinedDataset
from .row_files import PAIRS_FILE, SCORED_FILE, TEST_TRIPLETS_FILE, TRIPLETS_FILE, write

TRAIN_ROWS, TEST_ROWS, DATA_CARD = "train_rows.csv", "test_rows.csv", "README.md"
DATASET_FILES = frozenset(
    {TRIPLETS_FILE, PAIRS_FILE, SCORED_FILE, TEST_TRIPLETS_FILE, TRAIN_ROWS, TEST_ROWS, DATA_CARD}
)


class DatasetDirError(Exception):
    """The directory cannot be written; the message says why and what to do."""


def check_directory(directory: Path, *, force: bool) -> None:
    """Raise DatasetDirError if writing there would destroy anything; ``force`` allows a dataset."""
    try:
        names = {path.name for path in directory.iterdir()}
    except FileNotFoundError:
        return
    except NotADirectoryError:
        raise DatasetDirError(f"{directory} is a file. Name a directory.") from None
    except OSError as error:
        raise DatasetDirError(f"{directory}: {error.strerror}. Name another directory.") from None
    if foreign := sorted(names - DATASET_FILES):
        raise DatasetDirError(
            f"{directory} contains {foreign[0]!r}, which is not a file of a mined dataset. Name a "
            "new or an empty directory."
        )
    if names and not force:
        raise DatasetDirError(
            f"{directory} contains a dataset that was mined before. Name another directory, or "
            "replace it with --force."
        )


def save_dataset(dataset: MinedDataset, directory: Path, *, seed: int, test_share: float) -> int:
    """Write all files or none, replacing an earlier dataset; the number of texts leak-checked.

    Raises LeakError and DatasetDirError.
    """
    directory = directory.resolve()
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".mining-", dir=directory.parent) as parent:
            building = Path(parent) / "data"
            building.mkdir()
            for name, rows in (
                (TRIPLETS_FILE, dataset.triplets),
                (PAIRS_FILE, dataset.pairs),
                (SCORED_FILE, dataset.scored),
                (TEST_TRIPLETS_FILE, dataset.test_triplets),
            ):
                write(building / name, rows)
            _write_texts(building / TRAIN_ROWS, dataset, held_out=False)
            _write_texts(building / TEST_ROWS, dataset, held_out=True)
            num_compared = leaks.check_leaks(building, dataset)
            card = data_card.render_data_card(
                dataset, seed=seed, test_share=test_share, num_compared=num_compared
            )
            (building / DATA_CARD).write_text(card, encoding="utf-8")
            check_directory(directory, force=True)  # a foreign file may have appeared meanwhile
            replace_dir(building, directory)
    except OSError as error:
        raise DatasetDirError(
            f"The files cannot be written to {directory}: {error.strerror or error}. Nothing was "
            "written."
        ) from error
    return num_compared


def _write_texts(path: Path, dataset: MinedDataset, *, held_out: bool) -> None:
    """Write the labeled texts of one side of the split, as ``evaluate_classifier`` reads them."""
    corpus = dataset.corpus
    parents = corpus.parents
    families = corpus.families or [""] * len(corpus)
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        header = [*(["parent"] if parents else []), *(["family"] if corpus.families else [])]
        table.writerow(["text", "category", *header])
        for text, label, family, is_out in zip(
            corpus.texts, corpus.labels, families, dataset.held_out, strict=True
        ):
            if is_out == held_out:
                parent = [parents.get(label or "") or ""] if parents else []
                table.writerow(
                    [text, label or "none", *parent, *([family] if corpus.families else [])]
                )
