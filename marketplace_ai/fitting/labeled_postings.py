"""Labeled postings: read from a file, or from the answered audits."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.core.exceptions import ImproperlyConfigured

from marketplace_ai.adapter import get_adapter
from marketplace_ai.audit import audited_postings
from marketplace_ai.audit.evidence import AuditState, audit_state
from marketplace_ai.guarantee.target import Target
from marketplace_ai.imports.common import categories_by_key, prepare_text
from marketplace_ai.models import AuditedPosting, ClassifierVersion, Encoder
from marketplace_ai.text.category_cells import single_categories
from marketplace_ai.text.csv_files import Row, TableError, read_csv
from marketplace_ai.text.family_cells import FAMILY, family_cells
from marketplace_ai.text.labeled_notes import tell_notes
from marketplace_ai.text.normalize import is_blank

#: Text and label of each posting; a label is the classifier's, None for "fits none".
LabeledRows = list[tuple[str, str | None]]


@dataclass(frozen=True, slots=True)
class LabeledPostings:
    """Labeled postings that classifiers are calibrated on and compared on.

    Without any, the exemplars are cross-validated instead. ``kinds`` is the column of that name,
    ``audited`` says that they are the audit sample. ``families`` (empty: unknown) are compared with
    those of the exemplars.
    """

    rows: LabeledRows = field(default_factory=list)
    kinds: list[str] | None = None
    audited: bool = False
    families: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, numbers: list[int]) -> LabeledPostings:
        kinds = None if self.kinds is None else [self.kinds[n] for n in numbers]
        families = [self.families[n] for n in numbers] if self.families else []
        return LabeledPostings([self.rows[n] for n in numbers], kinds, self.audited, families)


def read_file(path: str) -> LabeledPostings:
    """Labeled postings from a CSV file; TableError names the row that cannot be used."""
    rows = read_csv(path, ("category",), ("text", "title", "description", "kind", FAMILY))
    if rows and "text" not in rows[0].values and "title" not in rows[0].values:
        raise TableError(f"{path}: it needs a column text, or title and description.")
    categories = categories_by_key()
    labeled: LabeledRows = []
    keys: list[tuple[str, ...]] = []
    for row, key in zip(rows, single_categories(path, rows, categories.keys()), strict=True):
        if key is not None and key not in categories:
            raise TableError(
                f"{path}, line {row.line}: there is no category {key!r}. "
                "Import the catalogue that has it first, or correct the row."
            )
        text = _posting_text(row)
        if is_blank(text):
            raise TableError(f"{path}, line {row.line}: the text is empty.")
        labeled.append((text, None if key is None else str(categories[key].pk)))
        keys.append(() if key is None else (key,))
    if not rows:
        raise TableError(f"{path}: there is no row below the header.")
    tell_notes(path, [text for text, _ in labeled], keys, (f"line {row.line}" for row in rows))
    kinds = [row["kind"] for row in rows] if "kind" in rows[0].values else None
    families = [*map(get_adapter().prepared_family, family_cells(path, rows))]
    return LabeledPostings(labeled, kinds, families=families)


def _posting_text(row: Row) -> str:
    """The text of a row, normalized as the same posting in the database would be."""
    adapter = get_adapter()
    text = row.values.get("text")
    if text is None:
        title, description = row["title"], row.values.get("description", "")
        try:
            text = adapter.text(adapter.make_job(title, description))
        except ImproperlyConfigured:  # the project's own model, which such a row cannot fill
            text = f"{title}\n{description}"
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
