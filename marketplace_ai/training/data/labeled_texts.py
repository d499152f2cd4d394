"""The labelled texts that training data is mined from: each once, with one answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from marketplace_ai.text import labeled_csv as files
from marketplace_ai.text.normalize import is_blank

#: How often people said that a text of the first category, not of the second, was before them
#: when the machine had proposed the second. None: fits no category.
Confusions = Mapping[tuple[str | None, str | None], int]
Parents = Mapping[str, str | None]


class MiningError(ValueError):
    """Texts that nothing can be mined from, with the cure."""


@dataclass(frozen=True, eq=False)
class TrainingRows:
    """n texts with one answer each, in an order that hangs on nothing but them.

    A label names a category, None marks a text that fits none. ``left_out`` counts the texts
    with several answers: what is in two categories is no example of either's difference.
    """

    texts: Sequence[str]
    labels: Sequence[str | None]
    parents: Parents
    confusions: Confusions
    source: str
    left_out: int

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def sha256(self) -> str:
        """Of all texts with their labels: equal where the same was mined from."""
        content = sha256()
        for text, label in zip(self.texts, self.labels, strict=True):
            for part in (label or "", text):
                content.update(part.encode() + b"\x00")
        return content.hexdigest()

    def take(self, numbers: Iterable[int]) -> TrainingRows:
        kept = list(numbers)
        return TrainingRows(
            [self.texts[i] for i in kept],
            [self.labels[i] for i in kept],
            self.parents,
            self.confusions,
            self.source,
            self.left_out,
        )


@dataclass
class Gathered:
    """Answers to texts as they come in: rows of a file or of the database, in any order."""

    source: str
    answers: dict[str, set[str | None]] = field(default_factory=dict)

    def add(self, text: str, *answers: str | None) -> None:
        """One text; without an answer it is known to fit none. What says nothing is passed over."""
        if not is_blank(text):
            self.answers.setdefault(text, set()).update(answers or (None,))

    def rows(self, parents: Parents, confusions: Confusions | None = None) -> TrainingRows:
        """All of them; MiningError where fewer than two categories have a text."""
        labelled = [
            (next(iter(answers)), text)
            for text, answers in self.answers.items()
            if len(answers) == 1
        ]
        labelled.sort(key=lambda row: (row[0] is None, row[0] or "", row[1]))
        categories = {label for label, _ in labelled} - {None}
        if len(categories) < 2:
            raise MiningError(
                f"{self.source}: {'only one' if categories else 'no'} category has labelled texts. "
                "What tells categories apart is learnt from two or more: label texts of others."
            )
        return TrainingRows(
            [text for _, text in labelled],
            [label for label, _ in labelled],
            dict(parents),
            dict(confusions or {}),
            self.source,
            len(self.answers) - len(labelled),
        )


def from_file(
    path: str,
    *,
    catalog: str | None = None,
    parents: Callable[[], Parents] = dict,
    prepared: Callable[[str], str] = files.prepared,
) -> TrainingRows:
    """Rows of a CSV file ``text,category[,parent]``, as ``evaluate_classifier --train`` has them.

    The parents are the catalogue's; without one the file's column, without that ``parents()``.
    ``prepared`` makes of a text what a worker would encode. Raises TableError that names file
    and line, MiningError where fewer than two categories have a text.
    """
    read = files.read_rows(path, for_fitting=True, prepared=prepared)
    known: Parents
    if catalog is not None:
        known = files.read_catalog(catalog)
        files.check_categories(known, read, catalog)
    else:
        known = read.parents or parents()
    gathered = Gathered(path)
    for text, answers in zip(read.texts, read.true_labels, strict=True):
        gathered.add(text, *answers)
    return gathered.rows(known)
