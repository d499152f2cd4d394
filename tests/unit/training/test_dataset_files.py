"""The files of a mined dataset: what is written, what is refused, and the card beside them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from marketplace_ai.training.data import data_card, dataset_dir, leaks
from marketplace_ai.training.data.corpus import (
    CorpusBuilder,
    read_corpus,
)
from marketplace_ai.training.data.mining import MinedDataset, mine_dataset
from marketplace_ai.training.data.row_files import (
    PAIRS_FILE,
    TRIPLETS_FILE,
    read_pairs,
    read_triplets,
)
from tests.unit.training.test_mining import PARENTS, small_corpus

pytestmark = pytest.mark.slow


def test_a_leak_is_found_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = mine_dataset(small_corpus(), each=50)
    leaked = next(
        text for text, is_out in zip(dataset.corpus.texts, dataset.held_out, strict=True) if is_out
    )

    def write_with_a_leak(path: Path, rows: list[object]) -> None:
        original_write(path, rows)  # type: ignore[arg-type]
        if path.name == PAIRS_FILE:
            with path.open("a", encoding="utf-8") as file:
                file.write(f'{{"anchor": "{leaked}", "positive": "x1"}}\n')

    original_write = dataset_dir.write  # type: ignore[attr-defined]
    monkeypatch.setattr(dataset_dir, "write", write_with_a_leak)
    with pytest.raises(leaks.LeakError, match="held out"):
        dataset_dir.save_dataset(dataset, tmp_path / "out", seed=0, test_share=0.2)
    assert list(tmp_path.iterdir()) == []


def test_a_near_duplicate_of_a_held_out_text_is_a_leak(tmp_path: Path) -> None:
    builder = CorpusBuilder("x")
    for label in "ab":
        for number in range(6):
            builder.add(f"{label} tekst nummer {number * 7919 % 1000}", label)
    corpus = builder.build({})
    dataset = mine_dataset(corpus, each=20)
    groups = dataset.groups.copy()
    groups[np.flatnonzero(~dataset.held_out)[0]] = groups[np.flatnonzero(dataset.held_out)[0]]
    leaking = MinedDataset(
        corpus, groups, dataset.held_out, {}, dataset.triplets, dataset.pairs, dataset.scored,
        dataset.test_triplets,
    )  # fmt: skip
    with pytest.raises(leaks.LeakError):
        dataset_dir.save_dataset(leaking, tmp_path / "out", seed=0, test_share=0.2)


def test_a_foreign_directory_is_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "out"
    dataset_dir.check_directory(out, force=False)
    dataset_dir.save_dataset(mine_dataset(small_corpus(), each=20), out, seed=0, test_share=0.2)
    with pytest.raises(dataset_dir.DatasetDirError, match="mined before"):
        dataset_dir.check_directory(out, force=False)
    dataset_dir.check_directory(out, force=True)
    before = (out / TRIPLETS_FILE).read_bytes()
    dataset_dir.save_dataset(
        mine_dataset(small_corpus(), each=20, seed=1), out, seed=1, test_share=0.2
    )
    assert (out / TRIPLETS_FILE).read_bytes() != before
    (out / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(dataset_dir.DatasetDirError, match=r"contains 'thesis\.txt'"):
        dataset_dir.check_directory(out, force=True)
    with pytest.raises(dataset_dir.DatasetDirError, match="is a file"):
        dataset_dir.check_directory(out / "thesis.txt", force=True)
    with pytest.raises(dataset_dir.DatasetDirError, match=r"thesis\.txt"):
        dataset_dir.save_dataset(mine_dataset(small_corpus(), each=20), out, seed=0, test_share=0.2)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_failed_write_leaves_the_earlier_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    dataset_dir.save_dataset(mine_dataset(small_corpus(), each=20), out, seed=0, test_share=0.2)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    rename = Path.rename

    def full(self: Path, target: Path) -> Path:
        if self.name == "data":
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(dataset_dir.DatasetDirError, match="No space left on device"):
        dataset_dir.save_dataset(
            mine_dataset(small_corpus(), each=20, seed=1), out, seed=1, test_share=0.2
        )
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_the_data_card() -> None:
    corpus = small_corpus(ad=3)
    dataset = mine_dataset(corpus, each=50)
    card = data_card.render_data_card(dataset, seed=7, test_share=0.2, num_compared=60)
    assert "60 texts labeled by people, of 4 categories. 12 of the texts fit no category" in card
    assert "- seed: 7, held-out share: 0.2" in card
    assert corpus.sha256 in card
    assert "| `triplets.jsonl` | 50 |" in card
    assert "| `test_triplets.jsonl` | 8 |" in card
    assert "| a | d | 3 |" in card
    assert "0.1: 16, 0.5: 17, 0.9: 17" in card
    assert "Leak check: 60 texts" in card
    assert dataset.triplets[0].anchor in card
    assert "without a pair" not in card


def test_the_card_names_a_file_without_its_path() -> None:
    corpus = dataclasses.replace(small_corpus(), source="/home/someone/exemplars.csv")
    card = data_card.render_data_card(
        mine_dataset(corpus, each=50), seed=7, test_share=0.2, num_compared=60
    )
    assert "from exemplars.csv: 60 texts" in card
    assert "someone" not in card


def test_the_card_names_categories_without_a_pair_and_no_markup_gets_through() -> None:
    builder = CorpusBuilder("x")
    for label in "ab":
        for number in range(6):
            builder.add(f"<script>{label}|{number * 7919}</script>\n# hei", label)
    builder.add("bare én", "c_d")
    card = data_card.render_data_card(
        mine_dataset(builder.build({}), each=9), seed=0, test_share=0.2, num_compared=1
    )
    assert "are negatives only: c\\_d." in card
    assert "<script>" not in card
    assert "\\|" in card
    assert "\n# hei" not in card
    assert all(
        line.replace("\\|", "").count("|") in (3, 4, 5)
        for line in card.splitlines()
        if line.startswith("|")
    )


def test_written_files_are_read_back(tmp_path: Path) -> None:
    dataset = mine_dataset(small_corpus(), each=30)
    dataset_dir.save_dataset(dataset, tmp_path / "out", seed=0, test_share=0.2)
    assert read_triplets(tmp_path / "out" / TRIPLETS_FILE) == list(dataset.triplets)
    assert read_pairs(tmp_path / "out" / PAIRS_FILE) == list(dataset.pairs)
    corpus = read_corpus(str(tmp_path / "out" / dataset_dir.TRAIN_ROWS))
    assert set(corpus.texts) == {
        text
        for text, is_out in zip(dataset.corpus.texts, dataset.held_out, strict=True)
        if not is_out
    }
    assert corpus.parents == {label: PARENTS[label] for label in "abcd"}
