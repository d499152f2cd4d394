"""A drainer on a device: what it decides, and that it keeps to the device it is given."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import torch
from django.db import connection

from marketplace_ai.models import Encoder, JobPosting, PostingEmbedding
from tests.acceptance import ledger, workers
from tests.gpu import models, needs_cuda

pytestmark = [*needs_cuda, pytest.mark.django_db(transaction=True)]

#: More than this of a device's memory is a CUDA context with an encoder; less is another's noise.
IN_USE = 200 << 20


@pytest.mark.usefixtures("exemplars")
def test_a_worker_drains_on_the_device(tmp_path: Path) -> None:
    directory = models.embedded(tmp_path, torch.bfloat16)
    url = workers.database()
    texts = [f"{number}: {text}" for number in range(25) for text in models.TEXTS]
    JobPosting.objects.bulk_create([JobPosting(title="", description=text) for text in texts])

    with workers.celery(tmp_path / "worker", environment(url, directory)) as worker:
        worker.wait_for(lambda: ledger.queue(url).settled, "the queue is not worked off")
        worker.process.terminate()
        assert worker.wait_for_end() == 0, worker.text()

    ledger.assert_exactly_once(url, len(texts))
    # On a processor it would have computed in float32.
    assert Encoder.objects.get().precision == "bfloat16"
    found = dict(PostingEmbedding.objects.values_list("posting_id", "vector"))
    some = JobPosting.objects.order_by("pk")[: len(models.TEXTS)]
    expected = models.reference(directory, [job.description for job in some])
    vectors = np.stack([found[job.pk].to_numpy() for job in some]).astype(np.float32)
    assert (vectors * expected).sum(axis=1).min() >= 0.99


def test_a_drainer_keeps_to_the_device_it_is_given(tmp_path: Path) -> None:
    """One drainer a device, as many as there are; and one that is given none uses none."""
    directory = models.embedded(tmp_path, torch.float16)
    url = workers.database()
    names = visible_devices()
    unused = free_memory()
    with ExitStack() as running:
        for number, name in enumerate(["", *names]):
            folder = tmp_path / f"drainer-{number}"
            given = environment(url, directory, CUDA_VISIBLE_DEVICES=name)
            drainer = running.enter_context(workers.drainer(folder, given))
            drainer.wait_for(lambda: idle() > number, "it does not start")  # noqa: B023
            used = [
                before - now > IN_USE for before, now in zip(unused, free_memory(), strict=True)
            ]
            assert used == [place < number for place in range(len(names))]


def idle() -> int:
    """Drainers that are warm and wait for work: only then is their listener opened."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND application_name LIKE 'marketplace_ai listener %'"
        )
        return int(cursor.fetchone()[0])


def environment(url: str, directory: Path, **more: str) -> dict[str, str]:
    """For a worker of the demo project, whose encoder is a directory."""
    return workers.environment(
        url,
        os.environ["REDIS_URL"],
        DJANGO_SETTINGS_MODULE="config.settings",
        MARKETPLACE_AI_ENCODER=str(directory),
        **more,
    )


def visible_devices() -> list[str]:
    """What each of this process's devices is called in CUDA_VISIBLE_DEVICES."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    count = torch.cuda.device_count()
    return given.split(",")[:count] if given else [str(number) for number in range(count)]


def free_memory() -> list[int]:
    """Bytes that are free on each device, whoever uses the others."""
    return [torch.cuda.mem_get_info(number)[0] for number in range(torch.cuda.device_count())]
