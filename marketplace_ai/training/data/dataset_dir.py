"""The mined files on disk: written beside their place, checked there, and moved as a whole."""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path

from marketplace_ai.encoding.atomic_dir import replace_dir

from . import data_card, leaks
from .datasets import PAIRS_FILE, SCORED_FILE, TEST_TRIPLETS_FILE, TRIPLETS_FILE, write
from .mining import Mined

TRAIN_ROWS, TEST_ROWS, CARD = "train_rows.csv", "test_rows.csv", "README.md"
WRITTEN = frozenset(
    {TRIPLETS_FILE, PAIRS_FILE, SCORED_FILE, TEST_TRIPLETS_FILE, TRAIN_ROWS, TEST_ROWS, CARD}
)


class FolderError(Exception):
    """The folder cannot be written to; the message says why, and the cure."""


def check(out: Path, *, force: bool) -> None:
    """Refuse before any work is done a place where something is that must not be lost."""
    try:
        there = {path.name for path in out.iterdir()}
    except FileNotFoundError:
        return
    except NotADirectoryError:
        raise FolderError(f"{out}: a file of that name is there. Name a folder.") from None
    except OSError as error:
        raise FolderError(f"{out}: {error.strerror}. Name another folder.") from None
    if foreign := sorted(there - WRITTEN):
        raise FolderError(
            f"{out} holds {foreign[0]!r}, which is none of the files that are written there. "
            "Name a new or an empty folder."
        )
    if there and not force:
        raise FolderError(
            f"{out} holds what was mined before. Name another folder, or replace it with --force."
        )


def save(mined: Mined, out: Path, *, seed: int, test_share: float) -> int:
    """Write all files, or none; how many texts the check for leaks compared.

    What was mined before into the same folder is replaced. Raises LeakError and FolderError.
    """
    out = out.resolve()
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".mining-", dir=out.parent) as name:
            building = Path(name) / "data"
            building.mkdir()
            for file, rows in (
                (TRIPLETS_FILE, mined.triplets),
                (PAIRS_FILE, mined.pairs),
                (SCORED_FILE, mined.scored),
                (TEST_TRIPLETS_FILE, mined.test_triplets),
            ):
                write(building / file, rows)
            _write_rows(building / TRAIN_ROWS, mined, held_out=False)
            _write_rows(building / TEST_ROWS, mined, held_out=True)
            compared = leaks.check(building, mined)
            card = data_card.text(mined, seed=seed, test_share=test_share, compared=compared)
            (building / CARD).write_text(card, encoding="utf-8")
            check(out, force=True)  # what may have come meanwhile is nobody's to delete
            replace_dir(building, out)
    except OSError as error:
        raise FolderError(
            f"The files cannot be written to {out}: {error.strerror or error}. Nothing was written."
        ) from error
    return compared


def _write_rows(path: Path, mined: Mined, *, held_out: bool) -> None:
    """The labelled texts of one side, as ``evaluate_classifier`` reads them."""
    parents = mined.rows.parents
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["text", "category", *(["parent"] if parents else [])])
        for text, label, out in zip(
            mined.rows.texts, mined.rows.labels, mined.held_out, strict=True
        ):
            if out == held_out:
                parent = [parents.get(label or "") or ""] if parents else []
                table.writerow([text, label or "none", *parent])
