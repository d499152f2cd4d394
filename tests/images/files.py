"""docker/Dockerfile and the compose files, read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from dockerfile_parse import DockerfileParser
from dockerfile_parse.util import WordSplitter

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "docker/Dockerfile"
COMPOSE = {name: ROOT / f"docker/{name}" for name in ("compose.yaml", "compose.gpu.yaml")}


@dataclass(frozen=True, slots=True)
class Instruction:
    """One of a Dockerfile: its word, what follows it, and the stage it stands in ("" before)."""

    word: str
    value: str
    stage: str


@cache
def instructions() -> list[Instruction]:
    parser = DockerfileParser(str(DOCKERFILE))
    found, stage = [], ""
    for entry in parser.structure:
        word, value = str(entry["instruction"]), str(entry["value"])
        if word == "FROM":
            stage = value.split()[-1]
        if word != "COMMENT":
            found.append(Instruction(word, value, stage))
    return found


def parent(stage: str) -> str:
    """What a stage is made FROM: another stage or an image."""
    (value,) = [i.value for i in instructions() if i.word == "FROM" and i.stage == stage]
    return value.split()[0]


def lineage(stage: str) -> list[str]:
    """A stage and the stages it is made from, the last one first."""
    stages = {i.stage for i in instructions()}
    found = [stage]
    while parent(found[-1]) in stages:
        found.append(parent(found[-1]))
    return found


def values(stage: str, word: str) -> list[str]:
    """What the instructions of that word say, of a stage with those it is made from; in order."""
    return [
        i.value
        for part in reversed(lineage(stage))
        for i in instructions()
        if i.stage == part and i.word == word
    ]


def command(stage: str) -> list[str]:
    """The argv of an image. ValueError where it is a shell's."""
    return _argv(values(stage, "CMD")[-1])


def health_check(stage: str) -> list[str]:
    """The argv by which an image's health is asked."""
    return _argv(values(stage, "HEALTHCHECK")[-1].partition("CMD ")[2])


def environment(stage: str) -> dict[str, str]:
    """What ENV sets in an image."""
    pairs = [word for value in values(stage, "ENV") for word in WordSplitter(value).split()]
    return dict(pair.split("=", 1) for pair in pairs)


def copied(stage: str) -> Iterator[tuple[str, str]]:
    """(source, target) of what an image takes from the repository itself."""
    for value in values(stage, "COPY"):
        if not value.startswith("--from="):
            *sources, target = value.split()
            yield from ((source, target) for source in sources)


@cache
def compose(name: str = "compose.yaml") -> dict[str, Any]:
    """A compose file, with its variables left as they are."""
    loaded: dict[str, Any] = yaml.safe_load(COMPOSE[name].read_text(encoding="utf-8"))
    return loaded


VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


def variables(name: str) -> dict[str, set[str]]:
    """The variables of a compose file with their defaults; "?" for one that must be given."""
    found: dict[str, set[str]] = {}
    for variable, kind, default in VARIABLE.findall(COMPOSE[name].read_text(encoding="utf-8")):
        found.setdefault(variable, set()).add("?" if kind == "?" else default)
    return found


def interpolated(value: str, given: dict[str, str]) -> str:
    """A value of a compose file as compose would read it."""
    return VARIABLE.sub(lambda found: given.get(found[1]) or found[3] or "", value)


def _argv(value: str) -> list[str]:
    argv = json.loads(value)
    if not isinstance(argv, list) or not all(isinstance(word, str) for word in argv):
        raise ValueError(value)
    return argv
