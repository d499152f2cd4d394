"""An encoder whose files are damaged is refused by name; the postings wait for it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from marketplace_ai.conf import conf
from marketplace_ai.encoders import active
from marketplace_ai.encoding import EncoderError, load_encoder
from marketplace_ai.models import Decision, Encoder, EncoderState, JobPosting, PostingEmbedding
from marketplace_ai.serving.active_model import ModelLoader
from marketplace_ai.worker.loop import Worker
from tests.acceptance import ledger, workers
from tests.faults.postings import create
from tests.faults.scale import scaled
from tests.unit.encoding.test_sentence_transformer import save

pytestmark = pytest.mark.django_db(transaction=True)

WEIGHTS = "model.safetensors"


@pytest.fixture
def directory(automatic: None, tmp_path: Path) -> Path:
    """A small real encoder, registered and active."""
    save(tmp_path, normalize=True)
    path = tmp_path / "model"
    Encoder.objects.update(state=EncoderState.RETIRED)
    loaded = load_encoder(str(path), cache_dir=conf.cache_dir)
    active.activate(active.create_encoder("small", loaded))
    return path


def deleted(path: Path) -> None:
    shutil.rmtree(path)


def truncated(path: Path) -> None:
    content = (path / WEIGHTS).read_bytes()
    (path / WEIGHTS).write_bytes(content[: len(content) // 2])


def one_byte_flipped(path: Path) -> None:
    content = bytearray((path / WEIGHTS).read_bytes())
    content[-1000] ^= 1
    (path / WEIGHTS).write_bytes(content)


def not_numbers(path: Path) -> None:
    tensors = load_file(path / WEIGHTS)
    save_file({name: np.full_like(t, np.nan) for name, t in tensors.items()}, path / WEIGHTS)


def other_dimension(path: Path) -> None:
    (path / "1_Pooling" / "config.json").write_text(
        '{"word_embedding_dimension": 48, "pooling_mode_cls_token": true}'
    )


DAMAGES = [deleted, truncated, one_byte_flipped, not_numbers, other_dimension]


def replaced(path: Path, damage: Callable[[Path], None]) -> Path:
    """Damage the directory as a copy over it does, by new files; returns the undamaged one."""
    whole = path.with_name("whole")
    shutil.move(path, whole)
    shutil.copytree(whole, path)
    damage(path)
    return whole


def run() -> None:
    Worker(ModelLoader()).run(until_empty=True)


@pytest.mark.parametrize("damage", scaled(DAMAGES[1:4], DAMAGES), ids=lambda d: d.__name__)
def test_damaged_at_the_start(damage: Callable[[Path], None], directory: Path) -> None:
    whole, postings = replaced(directory, damage), create(0, each=2)
    with pytest.raises(EncoderError, match=str(directory)):
        run()
    left = ledger.queue(workers.database())
    assert (left.logged + left.queued, left.failed) == (postings, 0)
    assert not Decision.objects.exists()
    shutil.rmtree(directory, ignore_errors=True)
    shutil.move(whole, directory)
    run()
    assert_all_decided(postings)


def test_damaged_while_it_is_running(directory: Path) -> None:
    """What was loaded goes on; the files are looked at when a worker starts."""
    models, postings = ModelLoader(), 0
    models.refresh()
    whole = replaced(directory, lambda path: None)
    for damage in DAMAGES:
        shutil.rmtree(directory, ignore_errors=True)
        shutil.copytree(whole, directory)
        damage(directory)
        postings += create(postings, each=1)
        Worker(models).run(until_empty=True)
        assert_all_decided(postings)


def test_what_is_not_a_unit_vector_is_refused_by_the_database_too(directory: Path) -> None:
    job = JobPosting.objects.create(title="Male stue").pk
    encoder: Any = Encoder.objects.active()
    with pytest.raises(Exception, match=r"NaN|dimension|violates"):
        PostingEmbedding.objects.create(
            posting_id=job, encoder=encoder, vector=[float("nan")] * 32, text_digest=b"1"
        )


def assert_all_decided(postings: int) -> None:
    assert ledger.queue(workers.database()) == ledger.Queue(0, 0, 0)
    assert Decision.objects.filter(is_current=True).count() == postings
    vectors = np.array(PostingEmbedding.objects.values_list("vector", flat=True), dtype=np.float64)
    assert len(vectors) == postings
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=2e-3)
