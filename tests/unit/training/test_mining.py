"""Properties of a mined dataset, for any corpus: no leaks, balance, reproducibility."""

from __future__ import annotations

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
from marketplace_ai.training.data import confusions, dataset_dir
from marketplace_ai.training.data.category_tree import CategoryTree
from marketplace_ai.training.data.corpus import (
    CorpusBuilder,
    LabeledCorpus,
    MiningError,
    read_corpus,
)
from marketplace_ai.training.data.mining import MinedDataset, mine_dataset
from marketplace_ai.training.data.sampling import TextPool, TextSampler, round_robin, shuffled_range
from marketplace_ai.training.data.split import held_out_mask
from marketplace_ai.training.data.training_data import TrainingData
from marketplace_ai.training.data.triplet_miner import FAR, NEAR, SAME

pytestmark = pytest.mark.slow

WORDS = ["male", "vegg", "kran", "rør", "gress", "plen", "tak", "dør", "vindu", "stein", "bad"]
PARENTS = {"a": "p", "b": "p", "c": "q", "d": "q", "e": None, "p": None, "q": None}
files = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25
)


@st.composite
def corpora(draw: st.DrawFn) -> LabeledCorpus:
    """Texts of few words, so that many are near-duplicates, in categories of any size."""
    sizes = draw(st.lists(st.integers(0, 12), min_size=5, max_size=5))
    assume(sum(size > 1 for size in sizes) > 1)
    builder = CorpusBuilder("a corpus")
    labels = [label for label, size in zip("abcde", sizes, strict=True) for _ in range(size)]
    for label in [*labels, *[None] * draw(st.integers(0, 4))]:
        words = draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=4))
        family = draw(st.sampled_from(["", "", "", *"klmnop"]))
        builder.add(" ".join(words), *([label] if label else []), family=family)
        if draw(st.booleans()):  # a near-duplicate
            builder.add(" ".join(reversed(words)), *([label] if label else []))
    people = draw(
        st.dictionaries(
            st.tuples(st.sampled_from([*"abcde", None]), st.sampled_from([*"abcde", None])),
            st.integers(1, 9),
            max_size=4,
        )
    )
    try:
        return builder.build(PARENTS, people)
    except MiningError:
        assume(False)
        raise


def mined(corpus: LabeledCorpus, **options: int) -> MinedDataset:
    try:
        return mine_dataset(corpus, **{"each": 60, **options})  # type: ignore[arg-type]
    except MiningError:
        assume(False)
        raise


def training_texts(dataset: MinedDataset) -> set[str]:
    return {
        text
        for rows in (
            [row[:3] for row in dataset.triplets],
            [row[:2] for row in dataset.pairs],
            [row[:2] for row in dataset.scored],
        )
        for row in rows
        for text in row
        if isinstance(text, str)
    }


@files
@given(corpus=corpora(), seed=st.integers(0, 3))
def test_no_held_out_text_is_in_the_training_data(
    tmp_path: Path, corpus: LabeledCorpus, seed: int
) -> None:
    dataset = mined(corpus, seed=seed)
    tested = {text for row in dataset.test_triplets for text in row[:3]}
    tested |= {text for text, is_out in zip(corpus.texts, dataset.held_out, strict=True) if is_out}
    learnt = training_texts(dataset)
    for kin in (near_duplicate_groups(corpus.texts).tolist(), corpus.families):
        group = dict(zip(corpus.texts, kin or corpus.texts, strict=True))
        assert not ({group[text] for text in tested} & {group[text] for text in learnt}) - {""}
    dataset_dir.save_dataset(dataset, tmp_path / "out", seed=seed, test_share=0.2)


@files
@given(corpus=corpora(), seed=st.integers(0, 3))
def test_rows_have_the_categories_that_they_claim(corpus: LabeledCorpus, seed: int) -> None:
    dataset = mined(corpus, seed=seed)
    label = dict(zip(corpus.texts, corpus.labels, strict=True))
    group = dict(zip(corpus.texts, dataset.groups.tolist(), strict=True))
    for row in (*dataset.triplets, *dataset.test_triplets):
        assert label[row.anchor] == label[row.positive] == row.category is not None
        assert label[row.negative] != row.category
        assert len({group[text] for text in row[:3]}) == 3
    assert all(label[row.negative] is not None for row in dataset.test_triplets)
    for pair in dataset.pairs:
        assert label[pair.anchor] == label[pair.positive] == pair.category is not None
        assert group[pair.anchor] != group[pair.positive]
    tree = CategoryTree(PARENTS)
    for one, other, score in dataset.scored:
        labels = label[one], label[other]
        assert None not in labels
        expected = SAME if labels[0] == labels[1] else NEAR if tree.is_near(*labels) else FAR
        assert score == expected
    # No row is repeated.
    assert len({frozenset(pair[:2]) for pair in dataset.pairs}) == len(dataset.pairs)
    assert len({row[:2] for row in dataset.triplets}) == len(dataset.triplets)
    assert len({frozenset(row[:2]) for row in dataset.scored}) == len(dataset.scored)


@files
@given(corpus=corpora())
def test_scores_and_categories_are_balanced(corpus: LabeledCorpus) -> None:
    dataset = mined(corpus)
    counts = Counter(score for _, _, score in dataset.scored)
    assert max(counts.values()) - min(counts.values()) <= 1
    # A category has fewer pairs than another only if it has no more.
    of = Counter(pair.category for pair in dataset.pairs)
    by_text = near_duplicate_groups(corpus.texts)
    # What nearly repeats a held-out text of another family is not learned either.
    is_out = np.isin(by_text, by_text[dataset.held_out]) | dataset.held_out
    learnt = [i for i in np.flatnonzero(~is_out) if corpus.labels[i]]
    possible = Counter(
        corpus.labels[one]
        for one, other in combinations(learnt, 2)
        if corpus.labels[one] == corpus.labels[other]
        and dataset.groups[one] != dataset.groups[other]
    )
    most = max(of.values())
    assert all(of[label] >= min(count, most - 1) for label, count in possible.items())
    assert len(dataset.pairs) == min(60, sum(possible.values()))


@files
@given(corpus=corpora(), seed=st.integers(0, 3))
def test_the_same_rows_and_seed_give_the_same_files(
    tmp_path: Path, corpus: LabeledCorpus, seed: int
) -> None:
    written = []
    for name in ("one", "other"):
        dataset_dir.save_dataset(
            mined(corpus, seed=seed), tmp_path / name, seed=seed, test_share=0.2
        )
        written.append({p.name: p.read_bytes() for p in (tmp_path / name).iterdir()})
    assert written[0] == written[1]
    assert set(written[0]) == dataset_dir.DATASET_FILES


def small_corpus(count: int = 12, **people: int) -> LabeledCorpus:
    """Four categories of ``count`` texts that share no word with one another, and none."""
    builder = CorpusBuilder("a corpus")
    for label in "abcd":
        for number in range(count):
            builder.add(f"{label * 4} {label}{number * 7919 % 1000}x{number}", label)
    for number in range(count):
        builder.add(f"zzzz z{number * 7919 % 1000}y{number}")
    return builder.build(PARENTS, {(key[0], key[1]): count for key, count in people.items()})


def negatives(dataset: MinedDataset, category: str) -> Counter[str]:
    return Counter(row.negative[0] for row in dataset.triplets if row.category == category)


def test_another_seed_gives_other_files_and_another_split() -> None:
    one, other = (mine_dataset(small_corpus(), each=100, seed=seed) for seed in (0, 1))
    assert one.triplets != other.triplets
    assert one.held_out.tolist() != other.held_out.tolist()
    assert one.corpus.sha256 == other.corpus.sha256 != small_corpus(11).sha256
    one, other = (mine_dataset(small_corpus(3), each=20, seed=seed) for seed in (0, 1))
    assert not one.held_out.any()
    assert one.pairs[:10] != other.pairs[:10]


def test_the_order_of_the_rows_does_not_matter() -> None:
    texts = [(f"{label} tekst {n}", label) for label in "ab" for n in range(5)]
    builder = [CorpusBuilder("x"), CorpusBuilder("x")]
    for text, label in texts:
        builder[0].add(text, label)
    for text, label in reversed(texts):
        builder[1].add(text, label)
    one, other = (builder.build({}) for builder in builder)
    assert (one.texts, one.labels, one.sha256) == (other.texts, other.labels, other.sha256)


def test_corrections_become_negatives_of_both_categories() -> None:
    dataset = mine_dataset(small_corpus(ad=95), each=400)
    for category, other in (("a", "d"), ("d", "a")):
        counts = negatives(dataset, category)
        # Half of the negatives are of confusable categories, 95 in 100 of the corrected one.
        assert counts[other] > 0.5 * counts.total()
    assert negatives(dataset, "b")["d"] < 0.5 * negatives(dataset, "b").total()


def test_without_corrections_similar_texts_make_categories_confusable() -> None:
    texts = ["male", "vegger", "stue", "hvit", "tapet", "tak"]
    builder = CorpusBuilder("x")
    for one, other in combinations(texts, 2):
        builder.add(f"{one} og {other} inne", "a")
        builder.add(f"{one} og {other} ute", "b")
        builder.add(f"{one[::-1]}q {other[::-1]}q", "c")
    corpus = builder.build({})
    similarity = confusions.text_similarity(
        corpus.texts, corpus.labels, near_duplicate_groups(corpus.texts)
    )
    others = confusions.confusable_categories({}, similarity, "abc", CategoryTree({}))
    assert others["a"].labels[0] == "b"
    assert others["b"].labels[0] == "a"
    assert others["a"].shares[0] > 0.9
    assert others["a"].shares.sum() == pytest.approx(1)


def test_an_ancestor_is_neither_a_negative_nor_confusable() -> None:
    builder = CorpusBuilder("x")
    for label in ("a", "p", "c"):
        for number in range(8):
            builder.add(f"{label} tekst nummer {number * 7919 % 1000}", label)
    dataset = mine_dataset(builder.build(PARENTS, {("a", "p"): 50}), each=200)
    assert set(negatives(dataset, "a")) == set(negatives(dataset, "p")) == {"c"}


def test_texts_that_fit_none_are_only_negatives() -> None:
    dataset = mine_dataset(small_corpus(), each=200)
    assert any(row.negative.startswith("zzzz") for row in dataset.triplets)
    others = [
        *(text for row in dataset.triplets for text in row[:2]),
        *(text for row in dataset.pairs for text in row[:2]),
        *(text for row in dataset.scored for text in row[:2]),
        *(text for row in dataset.test_triplets for text in row[:3]),
    ]
    assert not any(text.startswith("zzzz") for text in others)


def test_what_repeats_a_held_out_text_of_another_family_is_not_learned() -> None:
    builder = CorpusBuilder("x")
    for category in "ab":
        for number in range(12):
            text = " ".join(f"{category}{number}ord{place}" for place in range(14))
            builder.add(text, category, family=f"{category}{number}")
            builder.add(f"{text} nå", category, family=f"{category}{number} again")
    mined = mine_dataset(builder.build({}), each=50)
    assert any("nearly repeat a held-out text" in note for note in mined.notes)
    data = TrainingData(mined.triplets, mined.pairs, mined.scored, mined.test_triplets)
    assert data.test and data.sets
    assert data.leaked() == []


def test_a_shortfall_has_a_note() -> None:
    dataset = mine_dataset(small_corpus(), each=100)
    counts = [len(rows) for rows in (dataset.triplets, dataset.pairs, dataset.scored)]
    assert counts == [100, 100, 100]
    assert not dataset.notes
    few = mine_dataset(
        small_corpus(5), each=100
    )  # two of five are held out: three pairs, six ordered pairs
    assert [len(few.triplets), len(few.pairs)] == [24, 12]
    assert few.notes[0].startswith("24 triplets instead of 100: n texts of a category make n(n-1)")
    assert few.notes[1].startswith("12 pairs instead of 100")
    assert few.notes[2].startswith("36 scored pairs instead of 100: 12 of each score")


def test_without_parents_there_are_two_scores() -> None:
    corpus = small_corpus()
    flat = LabeledCorpus(corpus.texts, corpus.labels, {}, {}, "x", [])
    scores = Counter(score for _, _, score in mine_dataset(flat, each=100).scored)
    assert scores == {SAME: 50, FAR: 50}


def test_a_text_with_several_labels_is_left_out() -> None:
    builder = CorpusBuilder("x")
    for label in "ab":
        for number in range(3):
            builder.add(f"{label} {number * 7919}", label)
    builder.add("begge", "a", "b")
    builder.add("nå a", "a")
    builder.add("nå a")
    builder.add(" ... ", "a")
    corpus = builder.build({})
    assert (len(corpus), len(corpus.ambiguous)) == (6, 2)


@pytest.mark.parametrize("labels", [[], ["a"]])
def test_one_category_is_too_few(labels: list[str]) -> None:
    builder = CorpusBuilder("her")
    builder.add("hei")
    for label in labels:
        builder.add("male", label)
    with pytest.raises(MiningError, match=f"her: {'only one' if labels else 'no'} category"):
        builder.build({})


def test_without_two_texts_that_differ_there_is_nothing_to_mine() -> None:
    builder = CorpusBuilder("her")
    for label, text in (("a", "male hele huset"), ("b", "klippe plenen")):
        builder.add(text, label)
        builder.add(" ".join(reversed(text.split())), label)
    with pytest.raises(MiningError, match="her: no category has two texts that differ"):
        mine_dataset(builder.build({}))


def test_the_split_is_by_category_and_whole_groups() -> None:
    groups = np.array([0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 8, 9, 10, 11])
    labels = [*"aaaaaaaaa", *"bbb", *[None] * 2]
    for seed in range(20):
        out = held_out_mask(groups, labels, 0.25, seed)
        assert out[0] == out[1]
        assert len(set(groups[:9][out[:9]])) == 2  # of eight
        assert not out[9:].any()  # too few to learn from and to test with


def test_a_large_range_is_shuffled_without_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    assert sorted(shuffled_range(1000, random)) == list(range(1000))
    many = shuffled_range(10**12, random)
    assert len({next(many) for _ in range(1000)}) == 1000
    monkeypatch.setattr("marketplace_ai.training.data.sampling._MAX_LISTED", 10)
    assert sorted(shuffled_range(100, random)) == list(range(100))


def test_round_robin_takes_turns_until_streams_end() -> None:
    random = np.random.default_rng(0)
    streams = {"a": iter(range(3)), "b": iter(range(100)), "c": iter(range(100))}
    drawn = list(round_robin(streams, 21, random))
    assert Counter(name for name, _ in drawn) == {"a": 3, "b": 9, "c": 9}
    assert list(round_robin({}, 5, random)) == []


def test_all_texts_are_sampled_before_one_comes_again() -> None:
    pool = TextPool(np.arange(6), ["a"] * 6, np.array([0, 1, 2, 3, 4, 4]))
    sampler = TextSampler(pool, np.random.default_rng(0))
    assert sorted(sampler.draw("a") or 0 for _ in range(6)) == [0, 1, 2, 3, 4, 5]
    assert {sampler.draw("a", 0, 1, 4) for _ in range(20)} == {2, 3}
    single = TextSampler(
        TextPool(np.arange(2), ["a", "a"], np.array([7, 7])), np.random.default_rng(0)
    )
    assert single.draw("a", 1) is None


def test_near_categories_of_the_tree() -> None:
    tree = CategoryTree({"a": "p", "b": "p", "c": "q", "p": "top", "q": "top", "x": "y", "y": "x"})
    assert tree.is_near("a", "b")
    assert tree.is_near("a", "p")
    assert tree.is_near("a", "top")
    assert not tree.is_near("a", "c")
    assert not tree.is_near("a", None)
    assert tree.on_one_path(None, None)
    assert not tree.on_one_path("a", "b")
    assert tree.on_one_path("x", "y")


def test_a_large_corpus_is_sampled_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("marketplace_ai.training.data.mining.MAX_TEXTS", 30)
    dataset = mine_dataset(small_corpus(20), each=5)
    assert Counter(dataset.corpus.labels) == {"a": 6, "b": 6, "c": 6, "d": 6, None: 6}
    assert dataset.notes[0] == "The corpus was sampled: 30 of 100 texts."


def test_the_corpus_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("text,category,parent\nx y,a,p\nz,b,p\nw,a|b,p\nhei,none,\n", encoding="utf-8")
    corpus = read_corpus(str(file))
    assert (list(corpus.texts), list(corpus.labels)) == (["x y", "z", "hei"], ["a", "b", None])
    assert (corpus.parents, len(corpus.ambiguous)) == ({"a": "p", "b": "p"}, 1)
    catalog = tmp_path / "catalog.csv"
    catalog.write_text("slug,parent\na,\nb,\n", encoding="utf-8")
    assert read_corpus(str(file), catalog=str(catalog)).parents == {"a": None, "b": None}
    catalog.write_text("slug,parent\na,\n", encoding="utf-8")
    with pytest.raises(TableError, match=r"line 3: the category 'b' is not in"):
        read_corpus(str(file), catalog=str(catalog))
    file.write_text("text,category\nx y,a\nz,b\n", encoding="utf-8")
    assert read_corpus(str(file), parents=lambda: {"a": "q"}).parents == {"a": "q"}
    file.write_text("text,category\nx y,a\n...,b\n", encoding="utf-8")
    with pytest.raises(MiningError, match="only one category"):
        read_corpus(str(file))


def test_neither_torch_nor_django_is_imported() -> None:
    script = (
        "import marketplace_ai.training.data.dataset_dir, sys; "
        "print(*({'torch', 'sentence_transformers', 'django'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == ""


def test_a_family_is_on_one_side_of_the_split(tmp_path: Path) -> None:
    words = ["male", "vegger", "stue", "hvit", "tapet", "tak", "list", "dør"]
    builder = CorpusBuilder("x")
    for label in "ab":
        for number, (one, other) in enumerate(combinations(words, 2)):
            builder.add(f"{one} og {other} {label * 9}", label, family=f"{label}{number // 3}")
    corpus = builder.build({})
    dataset = mined(corpus)
    out = tmp_path / "out"
    dataset_dir.save_dataset(dataset, out, seed=0, test_share=0.2)
    train, test = (read_corpus(str(out / name)) for name in ("train_rows.csv", "test_rows.csv"))
    assert len(train) + len(test) == len(corpus)
    assert train.families
    assert not {*train.families} & {*test.families}
    family = dict(zip(corpus.texts, corpus.families, strict=True))
    assert all(family[row.anchor] != family[row.positive] for row in dataset.pairs)


def test_equal_corpora_of_other_families_differ() -> None:
    def corpus(*families: str) -> LabeledCorpus:
        builder = CorpusBuilder("x")
        for text, label, family in zip(("male", "klippe"), "ab", families, strict=True):
            builder.add(text, label, family=family)
        return builder.build({})

    assert corpus("", "").families == ()
    assert corpus("", "").sha256 != corpus("k", "").sha256 == corpus("k", "").sha256
    assert corpus("k", "").take([1, 0]).families == ["", "k"]


def test_a_text_of_several_families_is_of_one_whatever_the_order() -> None:
    for families in (("k", "l"), ("l", "k")):
        builder = CorpusBuilder("x")
        builder.add("klippe", "b")
        for family in families:
            builder.add("male", "a", family=family)
        assert builder.build({}).families == ["k", ""]
