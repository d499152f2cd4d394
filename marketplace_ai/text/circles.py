"""Categories that are their own ancestors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

Parents = Mapping[str, str | None]


def find_circle(parents: Parents, starts: Iterable[str] | None = None) -> tuple[str, ...]:
    """The categories of a circle, each under the next and the last under the first; else ().

    Only circles are looked for that one of ``starts`` (None: of all) is in or below.

    >>> find_circle({"a": "b", "b": "c", "c": "b"})
    ('b', 'c')
    """
    done: set[str] = set()
    for start in parents if starts is None else starts:
        path: dict[str, None] = {}
        name: str | None = start
        while name is not None and name not in done:
            if name in path:
                circle = list(path)
                return tuple(circle[circle.index(name) :])
            path[name] = None
            name = parents.get(name)
        done.update(path)
    return ()


def circle_sentence(circle: Sequence[str]) -> str:
    """What is wrong with such categories, and the cure."""
    chain = " under ".join(map(repr, (*circle, circle[0])))
    return f"{circle[0]!r} would be its own ancestor. Correct a parent in {chain}."
