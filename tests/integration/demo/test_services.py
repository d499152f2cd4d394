"""The embedded servers, real ones: what they offer, whom they leave alone, what they survive."""

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
import redis

from demo.services import (
    EmbeddedPostgres,
    EmbeddedRedis,
    ServiceUrls,
    find_running,
    remove,
    running,
    start,
    stop,
)

pytestmark = pytest.mark.slow

CHECKOUT = Path(__file__).parents[3]


def ask(url: str, sql: str) -> object:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(sql)
        row = cursor.fetchone() if cursor.description else None
    return row[0] if row else None


def answers(urls: ServiceUrls) -> bool:
    return ask(urls.database_url, "SELECT 1") == 1 and redis.from_url(urls.redis_url).ping()


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.005)


@contextmanager
def process(root: Path, body: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that runs `body` with running, root and time at hand."""
    code = "import time\nfrom pathlib import Path\nfrom demo.services import *\n"
    code += f"root = Path({str(root)!r})\n{textwrap.dedent(body)}"
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def line(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


KEPT = "DROP TABLE IF EXISTS kept; CREATE TABLE kept AS SELECT 7 AS number"
OWNER = """
    with running(root) as urls:
        print(urls.database_url, flush=True)
        input()
"""


def test_postgres_and_redis_serve_what_the_app_needs(root: Path) -> None:
    with running(root, durable=False) as urls:
        ask(urls.database_url, "CREATE EXTENSION vector")
        assert ask(urls.database_url, "SELECT '[1,2]'::halfvec(2)::text") == "[1,2]"
        version = ask(
            urls.database_url, "SELECT extversion FROM pg_extension WHERE extname='vector'"
        )
        assert tuple(map(int, str(version).split("."))) >= (0, 8, 4)
        # The collation is the one of Unicode code points, upper() knows all letters.
        assert ask(urls.database_url, "SELECT upper('é') || ('Z' < 'a')") == "Étrue"
        settings = {
            "server_encoding": "UTF8",
            "TimeZone": "UTC",
            "lc_messages": "C",
            "max_connections": "100",
            "fsync": "off",
        }
        for name, value in settings.items():
            assert ask(urls.database_url, f"SHOW {name}") == value
        assert redis.from_url(urls.redis_url).set("key", "value")
        assert find_running(root) == urls
        data = Path(str(ask(urls.database_url, "SHOW data_directory")))
        assert data.exists()
    assert find_running(root) is None
    assert not data.exists()
    with pytest.raises(psycopg.OperationalError):
        ask(urls.database_url, "SELECT 1")
    with pytest.raises(redis.ConnectionError):
        redis.from_url(urls.redis_url).ping()


def test_data_and_urls_outlive_a_stop_when_durable(home: Path) -> None:
    with running(home) as first:
        assert ask(first.database_url, "SHOW fsync") == "on"
        ask(first.database_url, KEPT)
    with running(home) as second:
        assert second == first
        assert ask(second.database_url, "SELECT number FROM kept") == 7


def test_nobody_gets_in_without_the_password(home: Path) -> None:
    with running(home) as urls:
        secret = urls.database_url.split(":")[2].split("@")[0]
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            ask(urls.database_url.replace(secret, "guess"), "SELECT 1")
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(
                port=redis.from_url(urls.redis_url).connection_pool.connection_kwargs["port"]
            ).ping()
        for file in [*home.glob("*.json"), *home.glob("*.log"), home / "redis" / "redis.conf"]:
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
        lines = [
            path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()
        ]
        assert not [text for text in lines if secret.encode() in text]


def test_two_checkouts_side_by_side(home: Path, neighbor: Path) -> None:
    with running(home) as here:
        with running(neighbor) as there:
            assert not {here.database_url, here.redis_url} & {there.database_url, there.redis_url}
            ask(here.database_url, "CREATE TABLE mine ()")
            assert ask(there.database_url, "SELECT to_regclass('mine')") is None
        assert answers(here)


def test_a_copied_root_leaves_the_original_alone(home: Path, other: Path) -> None:
    with running(home) as original:
        shutil.copytree(home, other)
        with running(other) as copy:
            assert copy.database_url != original.database_url
            assert answers(copy)
        stop(other)
        assert answers(original)


def test_a_taken_port_is_given_up(root: Path) -> None:
    with running(root, postgres=False) as first:
        port = int(first.redis_url.rsplit(":", 1)[1].split("/")[0])
    with socket.create_server(("127.0.0.1", port)), running(root, postgres=False) as second:
        assert second.redis_url != first.redis_url
        assert redis.from_url(second.redis_url).ping()


def test_a_deep_checkout_with_an_awkward_name(tmp_path: Path) -> None:
    deep = tmp_path / "it's a $HOME" / ("d" * 120) / "é"
    try:
        with running(deep, durable=False) as urls:
            assert answers(urls)
    finally:
        remove(deep)


def test_the_last_one_out_stops_the_servers(home: Path) -> None:
    first, second = running(home), running(home)
    urls = first.__enter__()
    assert second.__enter__() == urls
    first.__exit__(None, None, None)
    assert answers(urls)
    second.__exit__(None, None, None)
    assert find_running(home) is None


def test_processes_that_come_together_share_one_server(root: Path) -> None:
    with process(root, OWNER) as one, process(root, OWNER) as two:
        url = line(one)
        assert url == line(two)
        one.communicate("\n")
        assert ask(url, "SELECT 1") == 1
        two.communicate("\n")
    assert find_running(root) is None


def test_who_comes_while_the_last_one_leaves_is_not_left_without(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    came = threading.Event()

    def come() -> bool:
        with running(root, postgres=False) as urls:
            came.set()
            while leaving.is_alive():
                time.sleep(0.01)
            return bool(redis.from_url(urls.redis_url).ping())

    def leave() -> None:
        with running(root, postgres=False):
            pass

    def stop_while_another_comes(server: EmbeddedRedis) -> None:
        monkeypatch.undo()
        futures.append(pool.submit(come))
        came.wait(0.5)
        server.stop()

    futures: list[Future[bool]] = []
    monkeypatch.setattr(EmbeddedRedis, "stop", stop_while_another_comes)
    leaving = threading.Thread(target=leave)
    with ThreadPoolExecutor(1) as pool:
        leaving.start()
        leaving.join()
        assert futures[0].result()


def test_servers_of_a_killed_owner_are_taken_over(home: Path) -> None:
    with process(home, OWNER) as owner:
        url = line(owner)
    with running(home) as urls:
        assert urls.database_url == url
        assert answers(urls)
    assert find_running(home) is None


def test_ctrl_c_reaches_the_owner_only(home: Path) -> None:
    body = """
        import psycopg, redis
        with running(root) as urls:
            try:
                print("ready", flush=True)
                time.sleep(60)
            except KeyboardInterrupt:
                time.sleep(0.5)
                psycopg.connect(urls.database_url).close()
                print(redis.from_url(urls.redis_url).ping(), flush=True)
    """
    with process(home, body) as owner:
        assert line(owner) == "ready"
        os.killpg(owner.pid, signal.SIGINT)
        assert line(owner) == "True"
        assert owner.wait(30) == 0
    assert find_running(home) is None


def test_a_killed_postmaster_is_replaced_and_its_children_cleared(home: Path) -> None:
    server = EmbeddedPostgres(home)
    url = server.start()
    ask(url, KEPT)
    # A busy backend does not notice that its postmaster died, and keeps the data in use.
    busy = threading.Thread(target=run_endless_query, args=(url,))
    busy.start()
    wait_for(
        lambda: ask(url, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'DO %'") == 1,
        "the endless query never began",
    )
    pid = server.pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: server.url() is None, "a dead server counts as running")
    assert EmbeddedPostgres(home).start() == url
    assert ask(url, "SELECT number FROM kept") == 7
    busy.join()


def run_endless_query(url: str) -> None:
    with suppress(psycopg.OperationalError):
        ask(url, "DO $$ BEGIN LOOP PERFORM 1; END LOOP; END $$")


@pytest.mark.parametrize("end", ["fast", "immediate", "kill"])
def test_postgres_keeps_url_and_data_over_a_restart(home: Path, end: str) -> None:
    server = EmbeddedPostgres(home)
    url = server.start()
    ask(url, KEPT)
    if end == "kill":
        server.kill()
    else:
        server.stop("fast" if end == "fast" else "immediate")
    assert server.url() is None
    assert server.start() == url
    assert ask(url, "SELECT number FROM kept") == 7


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_redis_keeps_its_url_over_a_restart(root: Path, end: str) -> None:
    server = EmbeddedRedis(root)
    url = server.start()
    pid = server.pid()
    getattr(server, end)()
    assert server.url() is None
    with pytest.raises(redis.ConnectionError):
        redis.from_url(url).ping()
    assert server.start() == url
    assert server.pid() != pid
    assert redis.from_url(url).ping()


def test_a_stale_pid_file_never_hits_a_stranger(home: Path, neighbor: Path) -> None:
    server, beside = EmbeddedPostgres(home), EmbeddedPostgres(neighbor)
    url, other_url = server.start(), beside.start()
    data = Path(str(ask(url, "SHOW data_directory")))
    lines = (data / "postmaster.pid").read_text().splitlines()
    server.stop()
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        for pid in (stranger.pid, beside.pid()):
            (data / "postmaster.pid").write_text("\n".join([str(pid), *lines[1:]]) + "\n")
            assert find_running(home) is None
            server.stop()
            server.kill()
            assert server.start() == url
            assert server.pid() != pid
            assert ask(url, "SELECT 1") == 1
            server.stop()
        assert stranger.poll() is None
        assert ask(other_url, "SELECT 1") == 1
    finally:
        stranger.kill()
        stranger.wait()


def test_a_pid_file_that_names_a_stranger_while_the_lock_is_held(root: Path) -> None:
    """What a reused pid looks like in the moment between a crash and the end of the children."""
    server = EmbeddedRedis(root)
    server.start()
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        (root / "redis" / "redis.pid").write_text(str(stranger.pid))
        stop(root)
        assert find_running(root) is None
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_first_start_that_was_killed_is_begun_anew(root: Path) -> None:
    place = EmbeddedPostgres(root)._data_dir.path
    with process(root, OWNER):
        wait_for((place / "data.new" / "base").exists, "initdb never began")
    assert not (place / "data").exists()
    with running(root, durable=False) as urls:
        assert answers(urls)
        assert not (place / "data.new").exists()


def test_remains_of_a_first_start_are_not_taken_for_a_database(root: Path) -> None:
    server = EmbeddedPostgres(root, durable=False)
    ask(server.start(), KEPT)
    server.stop()
    server._data.rename(server._data.with_suffix(".new"))
    assert ask(server.start(), "SELECT to_regclass('kept')") is None


def test_a_root_deleted_under_running_servers(root: Path) -> None:
    postgres, cache = EmbeddedPostgres(root), EmbeddedRedis(root)
    postgres.start(), cache.start()
    ask(str(postgres.url()), "CREATE TABLE gone ()")
    old = [postgres.pid(), cache.pid()]
    shutil.rmtree(root)
    with running(root) as urls:
        assert answers(urls)
        assert ask(urls.database_url, "SELECT to_regclass('gone')") is None
        assert not set(old) & {*postgres._processes(), *cache._processes()}
    for pid in old:
        assert pid is not None
        assert not command_line_of(pid)


def command_line_of(pid: int) -> bytes:
    """Empty for a process that is gone, or dead and not yet reaped."""
    with suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


@pytest.mark.skipif(os.geteuid() == 0, reason="as root such data are discarded with the root")
def test_data_without_the_saved_password_get_a_new_one(home: Path) -> None:
    with running(home, redis=False) as urls:
        ask(urls.database_url, KEPT)
    (home / "postgres.json").unlink()
    with running(home, redis=False) as urls:
        assert ask(urls.database_url, "SELECT number FROM kept") == 7


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another user's place")
def test_root_serves_out_of_a_folder_closed_to_others(home: Path) -> None:
    home.chmod(0o700)
    with running(home) as urls:
        data = Path(str(ask(urls.database_url, "SHOW data_directory")))
        assert data.stat().st_uid != 0
        assert ask(urls.database_url, "SELECT count(*) FROM pg_available_extensions")
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


def test_started_servers_stay_until_they_are_stopped(home: Path) -> None:
    urls = start(home)
    with running(home) as joined:
        assert joined == urls
    assert find_running(home) == urls
    stop(home)
    assert find_running(home) is None
    with running(home):
        pass
    assert find_running(home) is None
