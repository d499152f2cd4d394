"""What doctor says of exemplars that contradict each other, and of categories in a circle."""

from __future__ import annotations

import pytest

from marketplace_ai.doctor import classifier
from marketplace_ai.models import Category, Exemplar, ExemplarSource
from marketplace_ai.text.normalize import digest
from tests.integration.admin.factories import exemplar

pytestmark = pytest.mark.django_db


def test_texts_that_vote_for_several_labels_are_named(catalog: dict[str, Category]) -> None:
    exemplar("Male stue", catalog["maling"])
    assert not list(classifier.contradictions())
    exemplar("male  stue!", None)
    [finding] = classifier.contradictions()
    assert finding.ok
    assert "1 text has several labels; 'male stue!' is none" in finding.message.replace("  ", " ")
    Exemplar.objects.filter(is_none=True).update(state="quarantined")
    assert not list(classifier.contradictions())


def test_a_circle_of_parents_is_named(catalog: dict[str, Category]) -> None:
    assert not list(classifier.category_tree())
    Category.objects.filter(slug="bygg").update(parent=catalog["maling"])
    [finding] = classifier.category_tree()
    assert not finding.ok
    assert "The parents of 2 categories go in a circle" in finding.message
    assert "'maling' under 'bygg'" in finding.message


def test_an_exemplar_that_has_the_name_of_another_category_is_told(
    catalog: dict[str, Category],
) -> None:
    exemplar("LAWNS!", catalog["maling"])
    assert not list(classifier.contradictions())
    Exemplar.objects.create(
        text="Plen / Lawns\nklippe gress",
        text_digest=digest("Plen / Lawns\nklippe gress"),
        category=catalog["plen"],
        category_key="plen",
        source=ExemplarSource.DESCRIPTION,
    )
    [finding] = classifier.contradictions()
    assert "'LAWNS!' is maling (exemplar" in finding.message
    assert "plen (the description of plen)" in finding.message
