"""Real PostgreSQL with pgvector and real Redis out of wheels, for the demo and the tests.

They take the place of DATABASE_URL and REDIS_URL where neither is given. All that belongs to a
root folder (data, ports, passwords, logs, locks) lies in it, so two checkouts never meet.
"""

from .errors import ServiceError
from .postgres import EmbeddedPostgres
from .redis import EmbeddedRedis
from .shared_servers import ServiceUrls, find_running, remove, running, start, stop

__all__ = [
    "EmbeddedPostgres",
    "EmbeddedRedis",
    "ServiceError",
    "ServiceUrls",
    "find_running",
    "remove",
    "running",
    "start",
    "stop",
]
