"""What mined files promise, for any world of texts: no leak, balance, and the same twice."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections import Counter
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from marketplace_ai.classifier.near_duplicates import near_duplicate_groups
from marketplace_ai.text.csv_files import TableError
from marketplace_ai.training.data import confusions, data_card, dataset_dir, leaks
from marketplace_ai.training.data.category_tree import Tree
from marketplace_ai.training.data.datasets import (
    PAIRS_FILE,
    TRIPLETS_FILE,
    read_pairs,
    read_triplets,
)
from marketplace_ai.training.data.drawing import FAR, NEAR, SAME
from marketplace_ai.training.data.labeled_texts import (
    Gathered,
    MiningError,
    TrainingRows,
    from_file,
)
from marketplace_ai.training.data.mining import Mined, mine
from marketplace_ai.training.data.sampling import Decks, Stock, in_turn, shuffled
from marketplace_ai.training.data.split import held_out

WORDS = ["male", "vegg", "kran", "rør", "gress", "plen", "tak", "dør", "vindu", "stein", "bad"]
PARENTS = {"a": "p", "b": "p", "c": "q", "d": "q", "e": None, "p": None, "q": None}
files = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25
)


@st.composite
def worlds(draw: st.DrawFn) -> TrainingRows:
    """Texts of few words, so that many are near-duplicates, in categories of any size."""
    sizes = draw(st.lists(st.integers(0, 12), min_size=5, max_size=5))
    assume(sum(size > 1 for size in sizes) > 1)
    gathered = Gathered("a world")
    labels = [label for label, size in zip("abcde", sizes, strict=True) for _ in range(size)]
    for label in [*labels, *[None] * draw(st.integers(0, 4))]:
        words = draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=4))
        gathered.add(" ".join(words), *([label] if label else []))
        if draw(st.booleans()):  # in another order it says the same
            gathered.add(" ".join(reversed(words)), *([label] if label else []))
    people = draw(
        st.dictionaries(
            st.tuples(st.sampled_from([*"abcde", None]), st.sampled_from([*"abcde", None])),
            st.integers(1, 9),
            max_size=4,
        )
    )
    try:
        return gathered.rows(PARENTS, people)
    except MiningError:
        assume(False)
        raise


def mined(rows: TrainingRows, **options: int) -> Mined:
    try:
        return mine(rows, **{"each": 60, **options})  # type: ignore[arg-type]
    except MiningError:
        assume(False)
        raise


def texts_learnt_from(found: Mined) -> set[str]:
    return {
        text
        for rows in (
            [row[:3] for row in found.triplets],
            [row[:2] for row in found.pairs],
            [row[:2] for row in found.scored],
        )
        for row in rows
        for text in row
        if isinstance(text, str)
    }


@files
@given(rows=worlds(), seed=st.integers(0, 3))
def test_nothing_that_is_held_out_is_learnt_from(
    tmp_path: Path, rows: TrainingRows, seed: int
) -> None:
    found = mined(rows, seed=seed)
    tested = {text for row in found.test_triplets for text in row[:3]}
    tested |= {text for text, out in zip(rows.texts, found.held_out, strict=True) if out}
    learnt = texts_learnt_from(found)
    group = dict(zip(rows.texts, near_duplicate_groups(rows.texts).tolist(), strict=True))
    assert not {group[text] for text in tested} & {group[text] for text in learnt}
    dataset_dir.save(found, tmp_path / "out", seed=seed, test_share=0.2)


@files
@given(rows=worlds(), seed=st.integers(0, 3))
def test_what_stands_together_belongs_together(rows: TrainingRows, seed: int) -> None:
    found = mined(rows, seed=seed)
    label = dict(zip(rows.texts, rows.labels, strict=True))
    group = dict(zip(rows.texts, found.groups.tolist(), strict=True))
    for row in (*found.triplets, *found.test_triplets):
        assert label[row.anchor] == label[row.positive] == row.category is not None
        assert label[row.negative] != row.category
        assert len({group[text] for text in row[:3]}) == 3
    assert all(label[row.negative] is not None for row in found.test_triplets)
    for pair in found.pairs:
        assert label[pair.anchor] == label[pair.positive] == pair.category is not None
        assert group[pair.anchor] != group[pair.positive]
    tree = Tree(PARENTS)
    for one, other, score in found.scored:
        labels = label[one], label[other]
        assert None not in labels
        expected = SAME if labels[0] == labels[1] else NEAR if tree.near(*labels) else FAR
        assert score == expected
    # Nothing is repeated.
    assert len({frozenset(pair[:2]) for pair in found.pairs}) == len(found.pairs)
    assert len({row[:2] for row in found.triplets}) == len(found.triplets)
    assert len({frozenset(row[:2]) for row in found.scored}) == len(found.scored)


@files
@given(rows=worlds())
def test_scores_and_categories_are_balanced(rows: TrainingRows) -> None:
    found = mined(rows)
    counts = Counter(score for _, _, score in found.scored)
    assert max(counts.values()) - min(counts.values()) <= 1
    # A category has fewer pairs than another only where it has no more.
    of = Counter(pair.category for pair in found.pairs)
    learnt = [i for i, out in enumerate(found.held_out) if not out and rows.labels[i]]
    possible = Counter(
        rows.labels[one]
        for one, other in combinations(learnt, 2)
        if rows.labels[one] == rows.labels[other] and found.groups[one] != found.groups[other]
    )
    most = max(of.values())
    assert all(of[label] >= min(count, most - 1) for label, count in possible.items())
    assert len(found.pairs) == min(60, sum(possible.values()))


@files
@given(rows=worlds(), seed=st.integers(0, 3))
def test_the_same_rows_and_seed_give_the_same_files(
    tmp_path: Path, rows: TrainingRows, seed: int
) -> None:
    written = []
    for name in ("one", "other"):
        dataset_dir.save(mined(rows, seed=seed), tmp_path / name, seed=seed, test_share=0.2)
        written.append({p.name: p.read_bytes() for p in (tmp_path / name).iterdir()})
    assert written[0] == written[1]
    assert set(written[0]) == dataset_dir.WRITTEN


def world(count: int = 12, **people: int) -> TrainingRows:
    """Four categories of ``count`` texts that share no word with one another, and none."""
    gathered = Gathered("a world")
    for label in "abcd":
        for number in range(count):
            gathered.add(f"{label * 4} {label}{number * 7919 % 1000}x{number}", label)
    for number in range(count):
        gathered.add(f"zzzz z{number * 7919 % 1000}y{number}")
    return gathered.rows(PARENTS, {(key[0], key[1]): count for key, count in people.items()})


def negatives(found: Mined, category: str) -> Counter[str]:
    return Counter(row.negative[0] for row in found.triplets if row.category == category)


def test_another_seed_gives_other_files_and_another_split() -> None:
    one, other = (mine(world(), each=100, seed=seed) for seed in (0, 1))
    assert one.triplets != other.triplets
    assert one.held_out.tolist() != other.held_out.tolist()
    assert one.rows.sha256 == other.rows.sha256 != world(11).sha256
    one, other = (mine(world(3), each=20, seed=seed) for seed in (0, 1))
    assert not one.held_out.any()
    assert one.pairs[:10] != other.pairs[:10]


def test_the_order_of_the_rows_does_not_matter() -> None:
    texts = [(f"{label} tekst {n}", label) for label in "ab" for n in range(5)]
    gathered = [Gathered("x"), Gathered("x")]
    for text, label in texts:
        gathered[0].add(text, label)
    for text, label in reversed(texts):
        gathered[1].add(text, label)
    one, other = (rows.rows({}) for rows in gathered)
    assert (one.texts, one.labels, one.sha256) == (other.texts, other.labels, other.sha256)


def test_corrections_become_negatives_of_both_categories() -> None:
    found = mine(world(ad=95), each=400)
    for category, other in (("a", "d"), ("d", "a")):
        counts = negatives(found, category)
        # Half of the negatives are rivals, of which 95 in 100 are the one that people named.
        assert counts[other] > 0.5 * counts.total()
    assert negatives(found, "b")["d"] < 0.5 * negatives(found, "b").total()


def test_without_corrections_texts_that_are_alike_tell_the_rivals() -> None:
    texts = ["male", "vegger", "stue", "hvit", "tapet", "tak"]
    gathered = Gathered("x")
    for one, other in combinations(texts, 2):
        gathered.add(f"{one} og {other} inne", "a")
        gathered.add(f"{one} og {other} ute", "b")
        gathered.add(f"{one[::-1]}q {other[::-1]}q", "c")
    rows = gathered.rows({})
    likeness = confusions.by_text(rows.texts, rows.labels, near_duplicate_groups(rows.texts))
    found = confusions.rivals({}, likeness, "abc", Tree({}))
    assert found["a"].labels[0] == "b"
    assert found["b"].labels[0] == "a"
    assert found["a"].shares[0] > 0.9
    assert found["a"].shares.sum() == pytest.approx(1)


def test_a_category_above_is_no_negative_and_no_rival() -> None:
    gathered = Gathered("x")
    for label in ("a", "p", "c"):
        for number in range(8):
            gathered.add(f"{label} tekst nummer {number * 7919 % 1000}", label)
    found = mine(gathered.rows(PARENTS, {("a", "p"): 50}), each=200)
    assert set(negatives(found, "a")) == set(negatives(found, "p")) == {"c"}


def test_texts_that_fit_none_are_negatives_and_nothing_else() -> None:
    found = mine(world(), each=200)
    assert any(row.negative.startswith("zzzz") for row in found.triplets)
    others = [
        *(text for row in found.triplets for text in row[:2]),
        *(text for row in found.pairs for text in row[:2]),
        *(text for row in found.scored for text in row[:2]),
        *(text for row in found.test_triplets for text in row[:3]),
    ]
    assert not any(text.startswith("zzzz") for text in others)


def test_what_is_asked_for_is_reached_or_it_is_said_why() -> None:
    found = mine(world(), each=100)
    counts = [len(rows) for rows in (found.triplets, found.pairs, found.scored)]
    assert counts == [100, 100, 100]
    assert not found.notes
    few = mine(world(5), each=100)  # two of five are held out: three pairs, six both ways
    assert [len(few.triplets), len(few.pairs)] == [24, 12]
    assert few.notes[0].startswith("24 triplets instead of 100: n texts of a category make n(n-1)")
    assert few.notes[1].startswith("12 pairs instead of 100")
    assert few.notes[2].startswith("36 scored pairs instead of 100: 12 of each score")


def test_without_parents_there_are_two_scores() -> None:
    rows = world()
    flat = TrainingRows(rows.texts, rows.labels, {}, {}, "x", 0)
    scores = Counter(score for _, _, score in mine(flat, each=100).scored)
    assert scores == {SAME: 50, FAR: 50}


def test_a_text_with_several_answers_is_left_out() -> None:
    gathered = Gathered("x")
    for label in "ab":
        for number in range(3):
            gathered.add(f"{label} {number * 7919}", label)
    gathered.add("begge", "a", "b")
    gathered.add("nå a", "a")
    gathered.add("nå a")
    gathered.add(" ... ", "a")
    rows = gathered.rows({})
    assert (len(rows), rows.left_out) == (6, 2)


@pytest.mark.parametrize("labels", [[], ["a"]])
def test_one_category_is_too_few(labels: list[str]) -> None:
    gathered = Gathered("her")
    gathered.add("hei")
    for label in labels:
        gathered.add("male", label)
    with pytest.raises(MiningError, match=f"her: {'only one' if labels else 'no'} category"):
        gathered.rows({})


def test_without_two_texts_that_differ_there_is_nothing_to_mine() -> None:
    gathered = Gathered("her")
    for label, text in (("a", "male hele huset"), ("b", "klippe plenen")):
        gathered.add(text, label)
        gathered.add(" ".join(reversed(text.split())), label)
    with pytest.raises(MiningError, match="her: no category has two texts that differ"):
        mine(gathered.rows({}))


def test_the_split_is_by_category_and_whole_groups() -> None:
    groups = np.array([0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 8, 9, 10, 11])
    labels = [*"aaaaaaaaa", *"bbb", *[None] * 2]
    for seed in range(20):
        out = held_out(groups, labels, 0.25, seed)
        assert out[0] == out[1]
        assert len(set(groups[:9][out[:9]])) == 2  # of eight
        assert not out[9:].any()  # too few to learn from and to test with


def test_numbers_are_shuffled_without_a_list_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    assert sorted(shuffled(1000, random)) == list(range(1000))
    many = shuffled(10**12, random)
    assert len({next(many) for _ in range(1000)}) == 1000
    monkeypatch.setattr("marketplace_ai.training.data.sampling._LISTED", 10)
    assert sorted(shuffled(100, random)) == list(range(100))


def test_streams_take_turns_until_they_end() -> None:
    random = np.random.default_rng(0)
    streams = {"a": iter(range(3)), "b": iter(range(100)), "c": iter(range(100))}
    drawn = list(in_turn(streams, 21, random))
    assert Counter(name for name, _ in drawn) == {"a": 3, "b": 9, "c": 9}
    assert list(in_turn({}, 5, random)) == []


def test_a_deck_is_drawn_out_before_a_text_comes_again() -> None:
    stock = Stock(np.arange(6), ["a"] * 6, np.array([0, 1, 2, 3, 4, 4]))
    decks = Decks(stock, np.random.default_rng(0))
    assert sorted(decks.draw("a") or 0 for _ in range(6)) == [0, 1, 2, 3, 4, 5]
    assert {decks.draw("a", 0, 1, 4) for _ in range(20)} == {2, 3}
    alone = Decks(Stock(np.arange(2), ["a", "a"], np.array([7, 7])), np.random.default_rng(0))
    assert alone.draw("a", 1) is None


def test_near_in_the_tree() -> None:
    tree = Tree({"a": "p", "b": "p", "c": "q", "p": "top", "q": "top", "x": "y", "y": "x"})
    assert tree.near("a", "b")
    assert tree.near("a", "p")
    assert tree.near("a", "top")
    assert not tree.near("a", "c")
    assert not tree.near("a", None)
    assert tree.in_line(None, None)
    assert not tree.in_line("a", "b")
    assert tree.in_line("x", "y")


def test_a_leak_is_found_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = mine(world(), each=50)
    leaked = next(text for text, out in zip(found.rows.texts, found.held_out, strict=True) if out)

    def write_all_and_one(path: Path, rows: list[object]) -> None:
        folder_write(path, rows)  # type: ignore[arg-type]
        if path.name == PAIRS_FILE:
            with path.open("a", encoding="utf-8") as file:
                file.write(f'{{"anchor": "{leaked}", "positive": "x1"}}\n')

    folder_write = dataset_dir.write  # type: ignore[attr-defined]
    monkeypatch.setattr(dataset_dir, "write", write_all_and_one)
    with pytest.raises(leaks.LeakError, match="held out"):
        dataset_dir.save(found, tmp_path / "out", seed=0, test_share=0.2)
    assert list(tmp_path.iterdir()) == []


def test_a_near_duplicate_of_a_held_out_text_is_a_leak(tmp_path: Path) -> None:
    gathered = Gathered("x")
    for label in "ab":
        for number in range(6):
            gathered.add(f"{label} tekst nummer {number * 7919 % 1000}", label)
    rows = gathered.rows({})
    found = mine(rows, each=20)
    groups = found.groups.copy()
    groups[np.flatnonzero(~found.held_out)[0]] = groups[np.flatnonzero(found.held_out)[0]]
    twin = Mined(
        rows, groups, found.held_out, {}, found.triplets, found.pairs, found.scored,
        found.test_triplets,
    )  # fmt: skip
    with pytest.raises(leaks.LeakError):
        dataset_dir.save(twin, tmp_path / "out", seed=0, test_share=0.2)


def test_the_folder_of_others_is_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "out"
    dataset_dir.check(out, force=False)
    dataset_dir.save(mine(world(), each=20), out, seed=0, test_share=0.2)
    with pytest.raises(dataset_dir.FolderError, match="mined before"):
        dataset_dir.check(out, force=False)
    dataset_dir.check(out, force=True)
    before = (out / TRIPLETS_FILE).read_bytes()
    dataset_dir.save(mine(world(), each=20, seed=1), out, seed=1, test_share=0.2)
    assert (out / TRIPLETS_FILE).read_bytes() != before
    (out / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(dataset_dir.FolderError, match=r"holds 'thesis\.txt'"):
        dataset_dir.check(out, force=True)
    with pytest.raises(dataset_dir.FolderError, match="a file of that name"):
        dataset_dir.check(out / "thesis.txt", force=True)
    with pytest.raises(dataset_dir.FolderError, match=r"thesis\.txt"):
        dataset_dir.save(mine(world(), each=20), out, seed=0, test_share=0.2)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_failed_write_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    dataset_dir.save(mine(world(), each=20), out, seed=0, test_share=0.2)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    rename = Path.rename

    def full(self: Path, target: Path) -> Path:
        if self.name == "data":
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(dataset_dir.FolderError, match="No space left on device"):
        dataset_dir.save(mine(world(), each=20, seed=1), out, seed=1, test_share=0.2)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_the_card_says_what_was_mined() -> None:
    rows = world(ad=3)
    found = mine(rows, each=50)
    card = data_card.text(found, seed=7, test_share=0.2, compared=60)
    assert "60 texts that people labelled, of 4 categories. 12 of the texts fit no category" in card
    assert "- seed: 7, held-out share: 0.2" in card
    assert rows.sha256 in card
    assert "| `triplets.jsonl` | 50 |" in card
    assert "| `test_triplets.jsonl` | 8 |" in card
    assert "| a | d | 3 |" in card
    assert "0.1: 16, 0.5: 17, 0.9: 17" in card
    assert "Leak check: 60 texts" in card
    assert found.triplets[0].anchor in card
    assert "without a pair" not in card


def test_the_card_names_a_file_without_the_folders_above_it() -> None:
    rows = dataclasses.replace(world(), source="/home/someone/exemplars.csv")
    card = data_card.text(mine(rows, each=50), seed=7, test_share=0.2, compared=60)
    assert "from exemplars.csv: 60 texts" in card
    assert "someone" not in card


def test_the_card_names_categories_without_a_pair_and_no_markup_gets_through() -> None:
    gathered = Gathered("x")
    for label in "ab":
        for number in range(6):
            gathered.add(f"<script>{label}|{number * 7919}</script>\n# hei", label)
    gathered.add("bare én", "c_d")
    card = data_card.text(mine(gathered.rows({}), each=9), seed=0, test_share=0.2, compared=1)
    assert "are negatives only: c\\_d." in card
    assert "<script>" not in card
    assert "\\|" in card
    assert "\n# hei" not in card
    assert all(
        line.replace("\\|", "").count("|") in (3, 4, 5)
        for line in card.splitlines()
        if line.startswith("|")
    )


def test_very_many_texts_are_drawn_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("marketplace_ai.training.data.mining.MOST_TEXTS", 30)
    found = mine(world(20), each=5)
    assert Counter(found.rows.labels) == {"a": 6, "b": 6, "c": 6, "d": 6, None: 6}
    assert found.notes[0] == "30 of 100 texts were drawn to be mined from."


def test_rows_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("text,category,parent\nx y,a,p\nz,b,p\nw,a|b,p\nhei,none,\n", encoding="utf-8")
    rows = from_file(str(file))
    assert (list(rows.texts), list(rows.labels)) == (["x y", "z", "hei"], ["a", "b", None])
    assert (rows.parents, rows.left_out) == ({"a": "p", "b": "p"}, 1)
    catalog = tmp_path / "catalog.csv"
    catalog.write_text("slug,parent\na,\nb,\n", encoding="utf-8")
    assert from_file(str(file), catalog=str(catalog)).parents == {"a": None, "b": None}
    catalog.write_text("slug,parent\na,\n", encoding="utf-8")
    with pytest.raises(TableError, match=r"line 3: the category 'b' is not in"):
        from_file(str(file), catalog=str(catalog))
    file.write_text("text,category\nx y,a\nz,b\n", encoding="utf-8")
    assert from_file(str(file), parents=lambda: {"a": "q"}).parents == {"a": "q"}
    file.write_text("text,category\nx y,a\n...,b\n", encoding="utf-8")
    with pytest.raises(TableError, match=r"rows\.csv, line 3: the text has no letter"):
        from_file(str(file))


def test_the_written_files_are_read_back(tmp_path: Path) -> None:
    found = mine(world(), each=30)
    dataset_dir.save(found, tmp_path / "out", seed=0, test_share=0.2)
    assert read_triplets(tmp_path / "out" / TRIPLETS_FILE) == list(found.triplets)
    assert read_pairs(tmp_path / "out" / PAIRS_FILE) == list(found.pairs)
    rows = from_file(str(tmp_path / "out" / dataset_dir.TRAIN_ROWS))
    assert set(rows.texts) == {
        text for text, out in zip(found.rows.texts, found.held_out, strict=True) if not out
    }
    assert rows.parents == {label: PARENTS[label] for label in "abcd"}


def test_neither_torch_nor_django_is_imported() -> None:
    script = (
        "import marketplace_ai.training.data.dataset_dir, sys; "
        "print(*({'torch', 'sentence_transformers', 'django'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == ""
