"""Whether the requirement lists and pyproject.toml agree: `python -m tools.requirements`."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def lines(name: str) -> set[str]:
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    return {line for line in text.splitlines() if line and not line.startswith(("#", "-r"))}


def differences() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pairs = {
        "base.txt": set(project["dependencies"]),
        "dev.txt": set(project["optional-dependencies"]["dev"]) - lines("demo.txt"),
        "onnx.txt": set(project["optional-dependencies"]["onnx"]),
        "train.txt": set(project["optional-dependencies"]["train"]),
    }
    extras = project["optional-dependencies"]
    # What an extra brings a host, the tests need too.
    untested = {entry for name, entries in extras.items() if name != "dev" for entry in entries}
    return [f"the extra dev lacks {entry}" for entry in sorted(untested - set(extras["dev"]))] + [
        f"{name} and pyproject.toml differ in: {entry}"
        for name, wanted in pairs.items()
        for entry in sorted(wanted ^ lines(name))
    ]


if __name__ == "__main__":
    found = differences()
    print("\n".join(found) or "requirements/*.txt and pyproject.toml agree")
    sys.exit(bool(found))
