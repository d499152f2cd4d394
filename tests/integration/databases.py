"""Databases of their own for tests that start other processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import psycopg
from psycopg.sql import SQL, Identifier


def url_of(database: str) -> str:
    """DATABASE_URL of another database on the server of the tests."""
    return urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{database}").geturl()


@contextmanager
def fresh_database(name: str) -> Iterator[str]:
    """An empty database for the block; its DATABASE_URL. Dropped afterwards, whoever uses it."""
    name = f"{name}_{os.getpid()}"
    drop = SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name))
    with psycopg.connect(url_of("postgres"), autocommit=True) as server:
        server.execute(drop)
        server.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
        try:
            yield url_of(name)
        finally:
            server.execute(drop)
