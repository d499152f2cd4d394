"""Every command of the images is run as the images run it, against real servers."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from demo.processes import free_port
from tests.images.containers import PATIENCE, Container, Tree, container, make_tree
from tests.integration.databases import fresh_database, url_of

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/environ").exists(), reason="the images are of Linux"
)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    return make_tree(tmp_path_factory.mktemp("image"))


@pytest.fixture(scope="module")
def given(tree: Tree, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Variables of the compose file, with a database that its own service has migrated."""
    with fresh_database("images") as url:
        given = {
            "DATABASE_URL": url,
            "REDIS_URL": os.environ["REDIS_URL"],
            "DJANGO_SECRET_KEY": "a secret of this test",
            "DJANGO_ALLOWED_HOSTS": "shop.example",
            "MARKETPLACE_AI_CACHE_DIR": os.environ["MARKETPLACE_AI_CACHE_DIR"],
        }
        with container("migrate", tree, tmp_path_factory.mktemp("images") / "m", given) as migrate:
            assert migrate.process.wait(PATIENCE) == 0, migrate.text()
        yield given


def test_migrate_makes_the_tables_and_the_triggers(given: dict[str, str]) -> None:
    with psycopg.connect(given["DATABASE_URL"]) as own:
        triggers = own.execute(
            "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal "
            "AND tgrelid = 'marketplace_ai_jobposting'::regclass"
        ).fetchone()
    assert triggers == (2,)


def test_web_serves_tells_of_its_database_and_ends(
    tree: Tree, given: dict[str, str], tmp_path: Path
) -> None:
    port = free_port(18000)
    with container("web", tree, tmp_path / "web", {**given, "PORT": str(port)}) as web:
        web.wait_for_health()
        assert len(web.pids("gunicorn")) == 3  # WEB_CONCURRENCY, and their parent

        status, login = get(port, "/admin/login/")
        assert (status, "csrfmiddlewaretoken" in login) == (200, True)
        # The package's own files are served, from the wheel.
        assert get(port, "/static/marketplace_ai/admin.css")[0] == 200
        assert get(port, "/admin/login/", host="elsewhere.example")[0] == 400
        # A load balancer asks by address.
        assert get(port, "/health/", host="10.0.0.1") == (200, "ok\n")

        with locked_out(given["DATABASE_URL"]):
            web.wait_for_health(False)
            assert get(port, "/health/")[0] == 503
        web.wait_for_health()
        assert web.stop() == 0, web.text()


def test_a_worker_decides_tells_of_its_drainer_and_ends(
    tree: Tree, given: dict[str, str], tmp_path: Path
) -> None:
    # The encoder is the one that the compose file names, loaded from the image's packages.
    with container("worker", tree, tmp_path / "worker", given) as worker:
        worker.wait_for_health()
        with psycopg.connect(given["DATABASE_URL"], autocommit=True) as own:
            own.execute("INSERT INTO marketplace_ai_jobposting (title) VALUES ('Male stue')")

            def decided() -> bool:
                found = own.execute(
                    "SELECT count(*) FROM marketplace_ai_decision AS decision "
                    "JOIN marketplace_ai_postingembedding AS vector USING (posting_id)"
                ).fetchone()
                return found == (1,)

            worker.wait_for(decided)
            encoders = own.execute("SELECT source, dimension FROM marketplace_ai_encoder")
            assert encoders.fetchall() == [("embedded", 384)]

        without_drainer(worker)
        assert worker.stop() == 0, worker.text()


def without_drainer(worker: Container) -> None:
    """For a moment, in which its health check must fail: the parent cannot start another one."""
    (drainer,) = worker.pids("process_pending")
    worker.process.send_signal(signal.SIGSTOP)
    try:
        os.kill(drainer, signal.SIGKILL)
        worker.wait_for_health(False)
    finally:
        worker.process.send_signal(signal.SIGCONT)


def test_beat_starts_and_ends(tree: Tree, given: dict[str, str], tmp_path: Path) -> None:
    with container("beat", tree, tmp_path / "beat", given) as beat:
        beat.wait_for(lambda: "beat: Starting" in beat.text())
        # Its schedule is kept where a container with a read-only root may write.
        beat.wait_for(lambda: any((tmp_path / "beat").glob("beat*")))
        assert beat.stop() == 0, beat.text()


def get(port: int, path: str, host: str = "shop.example") -> tuple[int, str]:
    request = Request(f"http://127.0.0.1:{port}{path}", headers={"Host": host})
    try:
        with urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


@contextmanager
def locked_out(url: str) -> Iterator[None]:
    """Nobody reaches a database for the block, as when its server is gone."""
    name = url.rsplit("/", 1)[-1]
    statement = SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    with psycopg.connect(url_of("postgres"), autocommit=True) as server:
        server.execute(statement.format(Identifier(name), SQL("false")))
        try:
            server.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
            )
            yield
        finally:
            server.execute(statement.format(Identifier(name), SQL("true")))
