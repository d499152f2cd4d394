"""Labeled postings: read from a file, or from the answered audits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from django.core.exceptions import ImproperlyConfigured

from marketplace_ai.adapter import get_adapter
from marketplace_ai.audit import audited_postings
from marketplace_ai.audit.evidence import AuditState, audit_state
from marketplace_ai.guarantee.target import Target
from marketplace_ai.imports.common import categories_by_key, prepare_text
from marketplace_ai.imports.contradictions import tell_other_labels
from marketplace_ai.models import AuditedPosting, ClassifierVersion, Encoder
from marketplace_ai.text.bad_rows import NOTHING_LEFT_OUT, BadRows, LeftOut
from marketplace_ai.text.category_cells import single_categories
from marketplace_ai.text.contradictions import find_contradictions
from marketplace_ai.text.csv_files import Row, TableError, read_csv
from marketplace_ai.text.family_cells import FAMILY, family_cells
from marketplace_ai.text.labeled_notes import tell_notes
from marketplace_ai.text.normalize import is_blank
from marketplace_ai.text.row_texts import text_to_learn, written_text

#: Text and label of each posting; a label is the classifier's, None for "fits none".
LabeledRows = list[tuple[str, str | None]]


@dataclass(frozen=True, slots=True)
class LabeledPostings:
    """Labeled postings that classifiers are calibrated on and compared on.

    Without any, the exemplars are cross-validated instead. ``kinds`` is the column of that name,
    ``audited`` says that they are the audit sample. ``families`` (empty: unknown) are compared with
    those of the exemplars. ``left_out`` has the other rows of the file.
    """

    rows: LabeledRows = field(default_factory=list)
    kinds: list[str] | None = None
    audited: bool = False
    families: list[str] = field(default_factory=list)
    left_out: LeftOut = NOTHING_LEFT_OUT

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def num_contradictory(self) -> int:
        """How many texts have several labels."""
        texts, labels = [text for text, _ in self.rows], [label for _, label in self.rows]
        sets = [() if label is None else (label,) for label in labels]
        return len(find_contradictions(texts, sets, range(len(texts))))

    def take(self, numbers: list[int]) -> LabeledPostings:
        kinds = None if self.kinds is None else [self.kinds[n] for n in numbers]
        families = [self.families[n] for n in numbers] if self.families else []
        rows = [self.rows[n] for n in numbers]
        return LabeledPostings(rows, kinds, self.audited, families, self.left_out)


def read_file(path: str, *, skip_bad: bool = False) -> LabeledPostings:
    """Labeled postings from a CSV file; texts that are nothing after scrubbing are left out.

    TableError names all rows that cannot be used, unless ``skip_bad`` leaves them out.
    """
    bad = BadRows(path, skip_bad)
    rows = read_csv(path, ("category",), ("text", "title", "description", "kind", FAMILY), bad)
    if not rows:
        bad.check()
        raise TableError(f"{path}: there is no row below the header.")
    if "text" not in rows[0].values and "title" not in rows[0].values:
        raise TableError(f"{path}: it needs a column text, or title and description.")
    categories = categories_by_key()
    labeled: list[tuple[Row, str | None, str]] = []
    for row, key in single_categories(bad, rows, categories.keys()):
        if key is not None and key not in categories:
            bad.add(
                row.line,
                f"there is no category {key!r}. Import the catalog that has it first, or correct "
                "the row.",
            )
        elif (text := text_to_learn(bad, row, _posting_text)) is not None:
            labeled.append((row, key, text))
    families = family_cells(bad, [row for row, _, _ in labeled])
    left_out = bad.check()
    labeled = [each for each in labeled if each[0].line not in bad]
    if not labeled:
        raise TableError(f"{path}: no row is left that something could be learned from.")
    texts = [text for _, _, text in labeled]
    keys = [() if key is None else (key,) for _, key, _ in labeled]
    tell_notes(path, texts, keys, (f"line {row.line}" for row, _, _ in labeled))
    tell_other_labels(path, [(text, key, f"line {row.line}") for row, key, text in labeled])
    return LabeledPostings(
        [(text, key and str(categories[key].pk)) for _, key, text in labeled],
        [row["kind"] for row, _, _ in labeled] if "kind" in rows[0].values else None,
        families=_families(families[row.line] for row, _, _ in labeled),
        left_out=left_out,
    )


def _families(names: Iterable[str]) -> list[str]:
    """The names as the adapter has those of postings; empty where no row names one."""
    families = [*map(get_adapter().prepared_family, names)]
    return families if any(families) else []


def _posting_text(row: Row) -> str:
    """The text of a row, normalized as the same posting in the database would be."""
    if "text" in row.values:
        return prepare_text(row["text"])
    adapter = get_adapter()
    try:
        text = adapter.text(adapter.make_job(row["title"], row.values.get("description", "")))
    except ImproperlyConfigured:  # the project's own model, which such a row cannot fill
        text = written_text(row)
    return prepare_text(text)


@dataclass(frozen=True, slots=True)
class AuditSample:
    """The answered audits as labeled postings; ``rows`` is empty where they are too few.

    ``answered`` answers count and still have their text; ``needed`` is the smallest number about
    automatic postings that could prove the target, without a single error; ``waiting`` have no
    answer yet. ``state`` is what was counted and what was left out.
    """

    rows: LabeledRows
    answered: int
    needed: int
    waiting: int
    families: list[str] = field(default_factory=list)
    state: AuditState | None = None

    @property
    def postings(self) -> LabeledPostings:
        return LabeledPostings(self.rows, audited=bool(self.rows), families=self.families)


def read_audits(target: Target) -> AuditSample:
    """The answers about audited postings, to calibrate on where no file is given."""
    state = audit_state(target, ClassifierVersion.objects.active(Encoder.objects.active()))
    labeled = audited_postings.labeled_texts(state.counted)
    answers = [row for row in labeled if not is_blank(row[0])]
    usable = answers if state.suffices and len(answers) >= state.needed else []
    waiting = AuditedPosting.objects.unanswered().count()
    rows = [(text, label) for text, label, _ in usable]
    families = [family for _, _, family in usable]
    return AuditSample(rows, len(answers), state.needed, waiting, families, state)
