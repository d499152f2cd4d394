"""A TCP proxy whose connections can be made to go silent: nothing comes through, nothing ends."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

HOST = "127.0.0.1"


class Proxy:
    """Passes bytes between loopback connections and the server of ``url``."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname or HOST, parts.port or 0)
        self._credentials, self._rest = parts.netloc.rpartition("@")[0], parts
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._silent: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.accepted = 0

    def start(self) -> None:
        self._thread.start()
        opening = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._serve, HOST, 0), self._loop
        )
        self._server = opening.result(10)

    def stop(self) -> None:
        async def end() -> None:
            self._server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    @property
    def url(self) -> str:
        port = self._server.sockets[0].getsockname()[1]
        return self._rest._replace(netloc=f"{self._credentials}@{HOST}:{port}").geturl()

    def silence(self) -> None:
        """All connections that there are now are heard no more, by either side."""
        self._silent = set(range(self.accepted))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = self.accepted
        self.accepted += 1
        there_reader, there_writer = await asyncio.open_connection(*self._target)
        for source, sink in ((reader, there_writer), (there_reader, writer)):
            task = asyncio.ensure_future(self._pass(number, source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass(
        self, number: int, source: asyncio.StreamReader, sink: asyncio.StreamWriter
    ) -> None:
        with suppress(OSError):
            while data := await source.read(1 << 16):
                if number not in self._silent:
                    sink.write(data)
                    await sink.drain()
        # The other side of a connection that has gone silent never learns of its end.
        if number not in self._silent:
            sink.close()


@contextmanager
def through(url: str) -> Iterator[Proxy]:
    proxy = Proxy(url)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.stop()
