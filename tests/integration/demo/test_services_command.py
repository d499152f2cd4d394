"""The command that starts the servers, and what it says where one cannot be started."""

from pathlib import Path

import pytest
import redis

from demo.services import (
    EmbeddedPostgres,
    EmbeddedRedis,
    ServiceError,
    find_running,
    running,
)
from demo.services import __main__ as command_line

pytestmark = pytest.mark.slow


def test_commands(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--root", str(home)]
    assert command_line.main(["status", *given]) == 1
    assert "Nothing runs" in capsys.readouterr().err
    assert command_line.main(["start", *given]) == 0
    urls = find_running(home)
    assert urls is not None
    shown = f"DATABASE_URL={urls.database_url}\nREDIS_URL={urls.redis_url}\n"
    assert capsys.readouterr().out == shown
    assert command_line.main(["status", *given]) == 0
    assert capsys.readouterr().out == shown
    assert command_line.main(["stop", *given]) == 0
    assert command_line.main(["status", *given]) == 1


@pytest.mark.parametrize(
    ("module", "server", "words"),
    [
        ("data_dir", EmbeddedPostgres, ["PostgreSQL >= 15", "pgvector >= 0.8.4", "DATABASE_URL"]),
        ("redis", EmbeddedRedis, ["Python 3.12", "redis-server", "REDIS_URL"]),
    ],
)
def test_a_missing_server_is_named_with_its_cure(
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: str,
    server: type[EmbeddedPostgres | EmbeddedRedis],
    words: list[str],
) -> None:
    monkeypatch.setattr(f"demo.services.{module}.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(root))
    with pytest.raises(ServiceError) as caught:
        server(root).start()
    for word in words:
        assert word in str(caught.value)


def test_redis_of_the_system_serves_where_there_is_no_wheel(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from demo.services.redis import find_binary

    binary = find_binary()
    monkeypatch.setattr("demo.services.redis.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(binary.parent))
    with running(root, postgres=False) as urls:
        assert redis.from_url(urls.redis_url).ping()


def test_a_server_that_does_not_start_shows_its_log(root: Path) -> None:
    with running(root, redis=False):
        data = EmbeddedPostgres(root)._data
    (data / "global" / "pg_control").unlink()
    with pytest.raises(ServiceError, match=r"pg_control[\s\S]*delete"):
        EmbeddedPostgres(root).start()
    assert find_running(root) is None
