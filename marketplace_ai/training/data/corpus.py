"""The labeled corpus that training data is mined from: each text once, with one label."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256

from marketplace_ai.text import labeled_csv
from marketplace_ai.text.bad_rows import NOTHING_LEFT_OUT, LeftOut
from marketplace_ai.text.circles import Parents
from marketplace_ai.text.normalize import is_blank, same_text_key
from marketplace_ai.text.parents import read_catalog

#: (right category, proposed category): how often people corrected the second to the first. None:
#: fits no category.
ConfusionCounts = Mapping[tuple[str | None, str | None], int]


class MiningError(ValueError):
    """Texts that no training data can be mined from; the message says what to do."""


@dataclass(frozen=True, eq=False)
class LabeledCorpus:
    """n texts with one label each, in an order that depends on nothing but the texts.

    A label is the key of a category, or None for a text that fits none. ``ambiguous`` texts were
    left out because they, or texts that differ only in case, blanks and punctuation, have several
    labels: they are no example of a difference. ``families`` are what texts of one origin share, ""
    where it is unknown; empty where no text has one. ``left_out`` are the rows of a file that were
    bad, or nothing after scrubbing.
    """

    texts: Sequence[str]
    labels: Sequence[str | None]
    parents: Parents
    confusions: ConfusionCounts
    source: str
    ambiguous: Sequence[str]
    families: Sequence[str] = ()
    left_out: LeftOut = NOTHING_LEFT_OUT

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def sha256(self) -> str:
        """Hash of all texts, labels and known families: equal for equal corpora."""
        content = sha256()
        families = self.families or [""] * len(self)
        for text, label, family in zip(self.texts, self.labels, families, strict=True):
            for part in (label or "", text, *([family] if self.families else [])):
                content.update(part.encode() + b"\x00")
        return content.hexdigest()

    def take(self, rows: Iterable[int]) -> LabeledCorpus:
        """The corpus with these rows alone."""
        rows = list(rows)
        return replace(
            self,
            texts=[self.texts[row] for row in rows],
            labels=[self.labels[row] for row in rows],
            families=[self.families[row] for row in rows] if self.families else (),
        )


@dataclass
class CorpusBuilder:
    """Collects labeled texts from a file or the database, in any order."""

    source: str
    labels: dict[str, set[str | None]] = field(default_factory=dict)
    families: dict[str, str] = field(default_factory=dict)

    def add(self, text: str, *labels: str | None, family: str = "") -> None:
        """Add a text; without labels it fits no category. Blank texts are skipped.

        A text that is added with several families is of the first by the alphabet.
        """
        if not is_blank(text):
            self.labels.setdefault(text, set()).update(labels or (None,))
            if family:
                self.families[text] = min(family, self.families.get(text, family))

    def build(self, parents: Parents, confusions: ConfusionCounts | None = None) -> LabeledCorpus:
        """The corpus; MiningError if fewer than two categories have a text."""
        same: dict[str, set[str | None]] = {}
        for text, labels in self.labels.items():
            same.setdefault(same_text_key(text), set()).update(labels)
        ambiguous = [text for text in self.labels if len(same[same_text_key(text)]) > 1]
        rows = [
            (next(iter(labels)), text)
            for text, labels in self.labels.items()
            if len(same[same_text_key(text)]) == 1
        ]
        rows.sort(key=lambda row: (row[0] is None, row[0] or "", row[1]))
        categories = {label for label, _ in rows} - {None}
        if len(categories) < 2:
            left_out = f"{len(ambiguous):,} texts with several labels left out, " * bool(ambiguous)
            raise MiningError(
                f"{self.source}: {left_out}{'only one' if categories else 'no'} category has "
                "labeled texts. Training needs two or more: label texts of other categories."
            )
        return LabeledCorpus(
            [text for _, text in rows],
            [label for label, _ in rows],
            dict(parents),
            dict(confusions or {}),
            self.source,
            ambiguous,
            [self.families.get(text, "") for _, text in rows] if self.families else (),
        )


def read_corpus(
    path: str,
    *,
    catalog: str | None = None,
    parents: Callable[[], Parents] = dict,
    prepared: Callable[[str], str] = labeled_csv.prepared,
    skip_bad: bool = False,
) -> LabeledCorpus:
    """The corpus of a CSV file ``text,category[,parent,family]``, as for ``evaluate_classifier``.

    Parents come from the catalog file; without one from the column ``parent``, without that from
    ``parents()``. ``prepared`` turns a text into what a worker would encode. Bad rows are left
    out with ``skip_bad``. Raises TableError that names file and bad lines, and MiningError if fewer
    than two categories have a text.
    """
    categories = None if catalog is None else read_catalog(catalog, skip_bad=skip_bad)
    rows = labeled_csv.read_rows(
        path,
        for_fitting=True,
        known=(categories or {}).keys(),
        catalog=catalog,
        prepared=prepared,
        skip_bad=skip_bad,
    )
    known_parents = categories or rows.parents or parents()
    builder = CorpusBuilder(path)
    families = rows.families or [""] * len(rows)
    for text, labels, family in zip(rows.texts, rows.true_labels, families, strict=True):
        builder.add(text, *labels, family=family)
    return replace(builder.build(known_parents), left_out=rows.left_out)
