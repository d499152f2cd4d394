"""``DummyEncoder``: unit vectors, equal for equal texts and close for similar ones."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace_ai.encoding import DummyEncoder, EncoderError, check_vectors, load_encoder


@given(st.lists(st.text(st.characters(codec=None))), st.sampled_from([2, 64, 384]))
def test_any_text_has_a_unit_vector_that_does_not_depend_on_the_batch(
    texts: list[str], dimension: int
) -> None:
    encoder = DummyEncoder(dimension)
    vectors = encoder.encode(texts)

    check_vectors(vectors, len(texts), dimension)
    assert vectors.dtype == np.float32
    for text, vector in zip(texts, vectors, strict=True):
        np.testing.assert_array_equal(encoder.encode([text])[0], vector)


def test_vectors_are_the_same_in_every_process_and_release() -> None:
    vector = DummyEncoder(4).encode(["Male stue"])[0]

    np.testing.assert_allclose(vector, np.array([-6, 3, -1, 0]) / 46**0.5, atol=1e-6)


def test_texts_that_share_words_are_nearer_than_those_that_do_not() -> None:
    a, b, c = DummyEncoder(256).encode(
        ["Male soverom og gang", "male et soverom", "Felle stort bjørketre"]
    )
    assert a @ b > 0.5 > 0.25 > abs(a @ c)


def test_blank_texts_share_a_fixed_vector() -> None:
    np.testing.assert_array_equal(DummyEncoder(3).encode(["", " \n"]), [[1, 0, 0], [1, 0, 0]])


def test_more_texts_than_one_chunk_keep_their_order() -> None:
    encoder, texts = DummyEncoder(), [f"posting {number}" for number in range(2500)]
    vectors = encoder.encode(texts)

    np.testing.assert_array_equal(
        vectors[[0, 1024, 2499]], encoder.encode([texts[0], texts[1024], texts[2499]])
    )


def test_loading_by_name() -> None:
    default = load_encoder("dummy", cache_dir=Path("unused"))
    wide = load_encoder("dummy:128", cache_dir=Path("unused"))

    assert (default.dimension, wide.dimension) == (64, 128)
    assert (default.source, wide.source) == ("dummy:64", "dummy:128")
    assert default.weights_hash != wide.weights_hash
    assert default.weights_hash == DummyEncoder(64).weights_hash
    with pytest.raises(EncoderError, match="dimension of 2 or more, not 0"):
        load_encoder("dummy:0", cache_dir=Path("unused"))
