"""``encode_each`` and ``check_vectors``: bad texts, bad vectors and broken encoders."""

import subprocess
import sys
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from marketplace_ai.encoding import DummyEncoder, EncoderError, check_vectors, encode_each


class Fragile(DummyEncoder):
    """Fails on every call that holds a text with "poison", or more than ``max_texts`` texts."""

    def __init__(self, max_texts: int = 1000) -> None:
        super().__init__()
        self.max_texts = max_texts
        self.calls = 0

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.calls += 1
        if len(texts) > self.max_texts:
            raise MemoryError("no room")
        for text in texts:
            if "poison" in text:
                raise ValueError(text)
        return super().encode(texts)


class Broken(DummyEncoder):
    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        raise RuntimeError("device lost")


@given(st.lists(st.booleans(), max_size=40))
@pytest.mark.slow
def test_exactly_the_texts_that_fail_alone_get_their_exception(bad: list[bool]) -> None:
    texts = [f"{'poison' if b else 'paint'} {i}" for i, b in enumerate(bad)]

    results = encode_each(Fragile(), texts)

    assert len(results) == len(texts)
    for text, result in zip(texts, results, strict=True):
        if "poison" in text:
            assert isinstance(result, ValueError)
            assert result.args == (text,)
        else:
            np.testing.assert_array_equal(result, DummyEncoder().encode([text])[0])


def test_one_bad_text_among_many_costs_few_calls() -> None:
    encoder = Fragile()
    encode_each(encoder, [f"paint {i}" for i in range(63)] + ["poison"])

    assert encoder.calls <= 2 * 6 + 2


def test_too_many_at_once_are_encoded_in_parts() -> None:
    results = encode_each(Fragile(max_texts=10), [f"paint {i}" for i in range(64)])

    assert all(isinstance(result, np.ndarray) for result in results)


def test_a_broken_encoder_blames_no_text() -> None:
    with pytest.raises(EncoderError, match=r"fails on every text.*device lost"):
        encode_each(Broken(), ["a", "b", "c"])


def test_a_stop_is_not_swallowed() -> None:
    class Stopped(DummyEncoder):
        def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode_each(Stopped(), ["a"])


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, 1.01])
def test_vectors_that_must_not_be_stored_are_refused(value: float) -> None:
    vectors = np.eye(4, dtype=np.float32)
    check_vectors(vectors, 4, 4)
    vectors[2, 2] = value

    with pytest.raises(EncoderError, match=r"1 of 4 vectors.*row 2"):
        check_vectors(vectors, 4, 4)


def test_a_wrong_shape_is_refused() -> None:
    with pytest.raises(EncoderError, match=r"\(4, 4\) for 3 texts"):
        check_vectors(np.eye(4, dtype=np.float32), 3, 4)


@pytest.mark.slow
def test_importing_the_package_brings_neither_torch_nor_django() -> None:
    heavy = "torch transformers sentence_transformers huggingface_hub tokenizers django sklearn"
    heavy += " onnxruntime"
    code = (
        "import sys, marketplace_ai.encoding as e; e.load_encoder('dummy', cache_dir=None);"
        f"print([name for name in '{heavy}'.split() if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
