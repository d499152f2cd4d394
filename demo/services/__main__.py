"""`python -m demo.services {start,stop,status,remove} [--root DIR]`"""

import argparse
import sys
from pathlib import Path

from . import ServiceError, ServiceUrls, find_running, remove, start, stop

DEFAULT_ROOT = Path(__file__).parents[2] / ".demo"


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0; 1 for `status` where nothing runs, and where a server cannot be had."""
    parser = argparse.ArgumentParser(prog="python -m demo.services", description=__doc__)
    parser.add_argument("action", choices=["start", "stop", "status", "remove"])
    parser.add_argument("--root", type=Path, default=DEFAULT_ROOT, help="default: .demo")
    given = parser.parse_args(arguments)
    urls: ServiceUrls | None = None
    try:
        if given.action in ("stop", "remove"):
            (stop if given.action == "stop" else remove)(given.root)
            return 0
        urls = start(given.root) if given.action == "start" else find_running(given.root)
    except ServiceError as error:
        print(error, file=sys.stderr)
        return 1
    if urls is None:
        print(f"Nothing runs in {given.root}.", file=sys.stderr)
        return 1
    print(f"DATABASE_URL={urls.database_url}\nREDIS_URL={urls.redis_url}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
