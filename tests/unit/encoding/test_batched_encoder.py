"""``BatchedEncoder``: device batches by length within a token budget, and lack of memory."""

from __future__ import annotations

from threading import Barrier

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from marketplace_ai.encoding import EncoderError, batched_encoder, encode_each
from marketplace_ai.encoding.backend import ATTENTION_MASK, Tokens, is_out_of_memory
from marketplace_ai.encoding.batched_encoder import BatchedEncoder
from marketplace_ai.encoding.token_batches import GOOD_BATCHES_TO_GROW, TokenBudget

from .fakes import FakeBackend, angle

LENGTHS = st.lists(st.integers(1, 60), min_size=1, max_size=80)


def texts_of(lengths: list[int]) -> list[str]:
    """Different texts of these lengths, as far as there are any."""
    return [chr(97 + number % 26) * length for number, length in enumerate(lengths)]


@settings(deadline=None)  # a busy machine is no failure
@given(LENGTHS, st.integers(50, 800), st.integers(1, 3))
def test_whatever_fits_on_the_device_every_text_gets_its_own_vector(
    lengths: list[int], memory: int, streams: int
) -> None:
    vectors = BatchedEncoder(FakeBackend(memory, num_streams=streams), "a/fake").encode(
        texts_of(lengths)
    )

    expected = angle([min(length, FakeBackend.max_tokens) for length in lengths])
    np.testing.assert_array_equal(vectors, expected)


def test_batches_stay_within_the_budget_and_each_text_is_tokenized_once() -> None:
    backend = FakeBackend()
    texts = [chr(97 + n % 26) * (n % 40 + 1) for n in range(300)]

    BatchedEncoder(backend, "fake", token_budget=200).encode(texts * 2)

    assert max(backend.costs) <= 200
    assert sum(backend.costs) < 1.3 * sum(map(len, set(texts)))  # hardly any padding
    assert sorted(backend.tokenized) == sorted(set(texts))


def test_very_many_texts_are_tokenized_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batched_encoder, "TOKENIZE_CHUNK", 7)
    lengths = [n % 30 + 1 for n in range(40)]

    vectors = BatchedEncoder(FakeBackend(), "fake").encode(texts_of(lengths))

    np.testing.assert_array_equal(vectors, angle(lengths))


def test_a_lack_of_memory_is_learned() -> None:
    backend = FakeBackend(memory=150)
    encoder = BatchedEncoder(backend, "fake")
    encoder.encode(texts_of([20] * 26))
    failed = [cost for cost in backend.costs if cost > 150]
    assert failed == [400, 200]
    assert backend.freed == 2

    backend.costs.clear()
    encoder.encode(texts_of([20] * 26))
    assert max(backend.costs) <= 100  # the next call starts with what fits


def test_the_full_budget_is_won_back_when_there_is_room_again() -> None:
    backend = FakeBackend(memory=150)
    encoder = BatchedEncoder(backend, "fake")
    encoder.encode(texts_of([20] * 26))
    backend.memory = 10**9

    for _ in range(GOOD_BATCHES_TO_GROW * 2):
        encoder.encode(texts_of([20] * 26))

    assert encoder.budget.now == 400


def test_a_budget_that_keeps_failing_is_tried_ever_more_rarely() -> None:
    def failures(batches: int) -> int:
        budget, failed = TokenBudget(1024), 0
        for _ in range(batches):
            if budget.now > 300:
                budget.ran_out(budget.now)
                failed += 1
            else:
                budget.fitted(budget.now)
        return failed

    assert failures(100 * GOOD_BATCHES_TO_GROW) <= 10


def test_small_batches_prove_nothing() -> None:
    budget = TokenBudget(1024)
    budget.ran_out(1024)
    for _ in range(GOOD_BATCHES_TO_GROW * 3):
        budget.fitted(12)
    assert budget.now == 512


def test_one_text_that_does_not_fit_is_the_text_that_fails() -> None:
    encoder = BatchedEncoder(FakeBackend(memory=40), "fake")

    results = encode_each(encoder, ["a" * 45, "b" * 10, "c" * 20])

    assert isinstance(results[0], torch.OutOfMemoryError)
    np.testing.assert_array_equal(np.stack(results[1:]), angle([10, 20]))


def test_another_fault_than_memory_is_not_retried() -> None:
    backend = FakeBackend(memory=30, error=ZeroDivisionError)

    with pytest.raises(ZeroDivisionError):
        BatchedEncoder(backend, "fake").encode(texts_of([10] * 8))
    assert len(backend.costs) == 1


def test_warming_up_asks_for_the_full_budget_and_learns() -> None:
    backend = FakeBackend()
    BatchedEncoder(backend, "fake").warm_up()
    assert backend.costs[0] == 400  # 8 texts of 50 tokens

    small = BatchedEncoder(FakeBackend(memory=150), "fake")
    small.warm_up()
    assert small.budget.now == 100


def test_a_device_too_small_for_one_text_is_reported_at_the_start() -> None:
    with pytest.raises(EncoderError, match=r"memory of cpu does not hold .* 50 tokens"):
        BatchedEncoder(FakeBackend(memory=30), "fake").warm_up()


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("Failed to allocate memory for requested buffer of size 4096"),
        RuntimeError("std::bad_alloc"),
    ],
)
def test_what_a_lack_of_memory_looks_like(error: Exception) -> None:
    assert is_out_of_memory(error)


@pytest.mark.parametrize("error", [RuntimeError("CUDA error: device-side assert"), ValueError()])
def test_what_a_lack_of_memory_does_not_look_like(error: Exception) -> None:
    assert not is_out_of_memory(error)


@pytest.mark.parametrize("left", [False, True])
def test_some_texts_are_padded_to_the_longest_of_them_alone(left: bool) -> None:
    mask = np.array([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0]])
    ids = np.array([[5, 6, 7, 8], [5, 6, 0, 0], [9, 0, 0, 0]])
    if left:
        mask, ids = mask[:, ::-1], ids[:, ::-1]

    taken = Tokens({"input_ids": ids, ATTENTION_MASK: mask}).take([2, 1])

    assert taken.columns["input_ids"].tolist() == ([[0, 9], [6, 5]] if left else [[9, 0], [5, 6]])
    assert taken.lengths.tolist() == [1, 2]


def test_streams_run_at_the_same_time() -> None:
    """Each batch waits until the other is under way, so one after the other would never end."""
    backend = FakeBackend(num_streams=2)
    both, run = Barrier(2), backend.run

    def meet(tokens: Tokens) -> NDArray[np.float32]:
        both.wait(timeout=60)
        return run(tokens)

    backend.run = meet  # type: ignore[method-assign]
    lengths = [10, 11, 12, 13]

    vectors = BatchedEncoder(backend, "fake").encode(texts_of(lengths))

    np.testing.assert_array_equal(vectors, angle(lengths))
    assert backend.concurrency == [2]


def test_one_batch_has_all_cores() -> None:
    backend = FakeBackend(num_streams=4)
    BatchedEncoder(backend, "fake").encode(["male"])
    assert backend.concurrency == [1]


def test_a_worker_on_the_same_cores_gets_larger_batches() -> None:
    backend = FakeBackend(num_streams=2)
    encoder = BatchedEncoder(backend, "fake", token_budget=100)
    assert encoder.tokens_at_once == 100 * 2 * batched_encoder.BATCHES_PER_STREAM
    backend.device = "cuda:0"
    assert BatchedEncoder(backend, "fake", token_budget=100).tokens_at_once == 200
