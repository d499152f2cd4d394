"""Near-duplicates stay together, whatever they are compared for."""

from __future__ import annotations

import numpy as np
import pytest

from marketplace_ai.classifier import near_duplicates
from marketplace_ai.classifier.near_duplicates import group_folds, near_duplicate_groups


def test_the_same_text_retyped_is_one_group_and_others_are_not() -> None:
    texts = [
        "Male stue og gang på 40 kvm",
        "Bytte blandebatteri på kjøkken",
        "MALE stue og gang på 40 kvm ",
        "Bytte blandebatteri på kjøkken!",
        "Male stue",
    ]
    groups = near_duplicate_groups(texts)
    assert groups[0] == groups[2]
    assert groups[1] == groups[3]
    assert len(set(groups)) == 3


def test_near_duplicates_find_each_other_across_blocks() -> None:
    texts = [f"oppdrag nummer {n} i rekken {n * 7919}" for n in range(600)]
    texts += [texts[0], texts[599]]
    groups = near_duplicate_groups(texts)
    assert groups[600] == groups[0]
    assert groups[601] == groups[599]
    assert groups[0] != groups[599]


def test_texts_without_letters_are_alike() -> None:
    groups = near_duplicate_groups(["", "Felle tre", "   "])
    assert groups[0] == groups[2] != groups[1]
    assert len(near_duplicate_groups([])) == 0


def test_folds_deal_every_row_once_and_never_part_a_group() -> None:
    groups = np.random.default_rng(0).integers(0, 40, 200)
    answers = groups % 3
    dealt = group_folds(groups, answers, 5, seed=3)
    assert sorted(np.concatenate(dealt)) == list(range(200))
    for fold in dealt:
        others = np.setdiff1d(np.arange(200), fold)
        assert not set(groups[fold]) & set(groups[others])
    assert max(map(len, dealt)) - min(map(len, dealt)) <= 10
    assert [list(f) for f in group_folds(groups, answers, 5, seed=3)] == [list(f) for f in dealt]


def test_fewer_groups_than_folds_give_as_many_folds_as_groups() -> None:
    assert len(group_folds(np.array([4, 4, 9]), np.zeros(3, np.intp), 5, seed=0)) == 2


def test_folds_spread_every_answer_evenly() -> None:
    answers = np.random.default_rng(1).permutation(np.repeat(np.arange(6), [50, 20, 10, 5, 5, 2]))
    for fold in group_folds(np.arange(len(answers)), answers, 5, seed=0):
        counts = np.bincount(answers[fold], minlength=6)
        np.testing.assert_allclose(counts, [10, 4, 2, 1, 1, 0.4], atol=1)


FORM = """Forespørsel fra nettskjema
Jobb: {}
Skjemaet er sendt inn fra nettsiden.
Kunden har godtatt vilkårene.
Svar kunden innen to virkedager.
Med vennlig hilsen kundesenteret"""
FOOTER = "{}\n" + "Personopplysninger behandles i samsvar med vilkårene på nettsidene. " * 6
HTML = '<div class="job"><h1>{}</h1><p style="margin:0">&nbsp;</p></div>'


@pytest.mark.parametrize("template", [FORM, FOOTER, HTML])
def test_what_a_template_says_joins_nothing(template: str) -> None:
    things = ["stue", "kran", "hekk", "tak", "bod", "dør", "flis", "ovn", "gulv", "port"]
    titles = [f"{what} {thing}" for what in ("Male", "Bytte", "Fjerne") for thing in things]
    groups = near_duplicate_groups([template.format(title) for title in titles])
    assert len(set(groups)) == len(titles)
    assert len(set(near_duplicate_groups([template.format("Male stue!"), *titles]))) == 31


def test_no_chain_joins_what_is_not_alike() -> None:
    words = [f"ord{n * 7919 % 1009}" for n in range(80)]
    chain = [" ".join(words[start : start + 40]) for start in range(40)]
    groups = near_duplicate_groups(chain)
    assert groups[0] != groups[-1]
    assert len(set(groups)) < len(chain)


def test_looking_by_rare_ngrams_finds_what_a_comparison_of_all_pairs_finds() -> None:
    """Texts of few words, with footers that most of them have."""
    random = np.random.default_rng(5)
    words = np.array([f"ord{n}" for n in range(30)])
    texts = [
        " ".join(random.choice(words, random.integers(1, 9))) + "\nMed vennlig hilsen" * (n % 3 > 0)
        for n in range(700)
    ]
    texts += [f"{text} ord{n % 30}" for n, text in enumerate(texts[:300])]
    counts = near_duplicates.count_ngrams(texts)
    grams = near_duplicates._weighted(counts, near_duplicates._rarity(counts))
    plain = (grams @ grams.T).toarray() > near_duplicates.NEAR_DUPLICATE
    found = near_duplicates._links(grams, grams).toarray()
    assert plain.sum() > 1.2 * len(texts)
    np.testing.assert_array_equal(found, plain)


def test_only_texts_within_one_part_are_joined() -> None:
    texts = ["Male stue i Oslo", "male stue i oslo!", "Male stue i Oslo", "Bytte kran"]
    together = near_duplicate_groups(texts)
    assert len(set(together[:3].tolist())) == 1
    apart = near_duplicate_groups(texts, np.array([0, 0, 1, 1]))
    assert apart[0] == apart[1] != apart[2]
