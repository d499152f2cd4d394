"""The input files of an evaluation, read and checked against each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from marketplace_ai.text.circles import Parents
from marketplace_ai.text.csv_files import TableError
from marketplace_ai.text.labeled_csv import (
    Filter,
    LabeledRows,
    prepared,
    read_rows,
    sample_shots,
)
from marketplace_ai.text.parents import merge_parents, read_catalog


@dataclass(frozen=True, slots=True)
class Source:
    """A file and the rows of it that are meant (None: all)."""

    path: str
    where: Filter | None = None


@dataclass(frozen=True, slots=True)
class Inputs:
    """``train`` votes, ``test`` is decided, ``calibration`` (None: train is cross-fitted).

    ``test`` is ``train`` itself where dates alone tell which rows are decided.
    """

    train: LabeledRows
    test: LabeledRows
    calibration: LabeledRows | None
    parents: Parents

    @property
    def files(self) -> list[LabeledRows]:
        """In the order of ``evaluate``'s first parameters."""
        return [self.train, self.test, *([self.calibration] if self.calibration else [])]

    def by_name(self) -> dict[str, LabeledRows]:
        """The files by the names of the command's options."""
        return dict(zip(("train", "test", "calibration"), self.files, strict=False))


def read_inputs(
    train: Source,
    test: Source | None,
    calibration: Source | None = None,
    *,
    date_column: str | None = None,
    catalog: str | None = None,
    shots: int | None = None,
    seed: int = 0,
    prepared: Callable[[str], str] = prepared,
    skip_bad: bool = False,
) -> Inputs:
    """Read all files; TableError names the lines and the cure of the first file with bad rows.

    ``prepared`` makes of a text what a worker would encode of it; with ``skip_bad`` the bad rows
    are left out instead. Test rows without anything to go by stay: they too must be decided.

    ``test`` None takes the rows of ``train``. With a ``date_column`` all files must have it.

    With a ``catalog`` the categories that are learnt from must be in it, and it alone says
    what the parents are; else the files' columns ``parent`` do.
    """
    categories = None if catalog is None else read_catalog(catalog, skip_bad=skip_bad)
    read = partial(
        read_rows,
        known=(categories or {}).keys(),
        prepared=prepared,
        skip_bad=skip_bad,
        date_column=date_column,
    )
    learn = partial(read, for_fitting=True, catalog=catalog)
    exemplars = learn(train.path, train.where)
    labeled = None
    if calibration is not None:
        before = () if catalog else (exemplars,)
        labeled = learn(calibration.path, calibration.where, before=before)
    learnt = [exemplars, *([labeled] if labeled else [])]
    postings = exemplars
    if test is not None:
        postings = read(test.path, test.where, before=() if catalog else learnt)
    if not any(exemplars.true_labels):
        raise TableError(
            f"{train.path}: every row is 'none', so there is no category to choose. Add rows of "
            "the categories."
        )
    undated = [rows.path for rows in (*learnt, postings) if date_column and not rows.dates]
    if undated:
        raise TableError(f"{undated[0]}: the column {date_column!r} with the dates is missing.")
    parents = merge_parents(*learnt, postings) if categories is None else categories
    if shots is not None:
        exemplars = sample_shots(exemplars, shots, seed)
    return Inputs(exemplars, postings, labeled, parents)
