"""The exact versions of all that `make install` and the images install: `python -m tools.pins`.

Prints requirements/constraints.txt anew, from what is installed here; what is not installed here
(CUDA's libraries, on a machine without them) keeps the version it has.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

REQUIREMENTS = Path(__file__).resolve().parent.parent / "requirements"
#: The lists that docker/Dockerfile installs.
LISTS = ("web.txt", "worker.txt", "onnx.txt", "gpu.txt")
#: And the one that `make install` installs.
DEVELOPMENT = "dev.txt"
#: pip installs all of it; setuptools builds our wheel, and torch needs it as well.
TOOLS = (Requirement("pip"), Requirement("setuptools"))
HEADER = """\
# The exact version of every package in .venv (`make install`) and in the images
# (docker/Dockerfile), as the tests ran with them on Python 3.11. `python -m tools.pins` prints
# this file from what is installed. The last ones come with torch's CUDA build alone.
"""


def listed(name: str) -> Iterator[Requirement]:
    """The requirements of a list and of those it includes."""
    for line in (REQUIREMENTS / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("-r "):
            yield from listed(line.removeprefix("-r ").strip())
        elif line and not line.startswith("#"):
            yield Requirement(line)


def pins() -> dict[str, str]:
    """What requirements/constraints.txt says: version by name."""
    return {
        canonicalize_name(requirement.name): str(requirement.specifier).removeprefix("==")
        for requirement in listed("constraints.txt")
    }


def installed(pinned: dict[str, str], lists: Sequence[str] = LISTS) -> dict[str, str]:
    """Version by name of all that the lists bring here, with what that needs in turn.

    Below a package in another version than ``pinned`` nothing is looked at: it may need others.
    """
    found: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    todo = [(wanted, "") for name in lists for wanted in listed(name)]
    todo += [(tool, "") for tool in TOOLS]
    while todo:
        wanted, extra = todo.pop()
        name = canonicalize_name(wanted.name)
        if wanted.marker and not wanted.marker.evaluate({"extra": extra}):
            continue
        try:
            package = distribution(name)
        except PackageNotFoundError:
            continue
        # Without the build, as in 2.13.0+cpu: an index has its own.
        found[name] = Version(package.version).public
        if pinned.get(name, found[name]) != found[name]:
            continue
        for asked in {"", *wanted.extras}:
            if (name, asked) not in seen:
                seen.add((name, asked))
                todo += [(Requirement(needed), asked) for needed in package.requires or ()]
    return found


if __name__ == "__main__":
    here = installed({}, (*LISTS, DEVELOPMENT))
    kept = {name: version for name, version in pins().items() if name not in here}
    print(HEADER, end="")
    for versions in (here, kept):
        print(*(f"{name}=={versions[name]}" for name in sorted(versions)), sep="\n")
