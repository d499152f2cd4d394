"""The input files of an evaluation, read and checked against each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from marketplace_ai.text.csv_files import TableError
from marketplace_ai.text.labeled_csv import (
    Filter,
    LabeledRows,
    Parents,
    check_categories,
    merge_parents,
    prepared,
    read_catalog,
    read_rows,
    sample_shots,
)


@dataclass(frozen=True, slots=True)
class Source:
    """A file and the rows of it that are meant (None: all)."""

    path: str
    where: Filter | None = None


@dataclass(frozen=True, slots=True)
class Inputs:
    """``train`` votes, ``test`` is decided, ``calibration`` (None: train is cross-fitted)."""

    train: LabeledRows
    test: LabeledRows
    calibration: LabeledRows | None
    parents: Parents

    @property
    def files(self) -> list[LabeledRows]:
        """In the order of ``evaluate``'s first parameters."""
        return [self.train, self.test, *([self.calibration] if self.calibration else [])]


def read_inputs(
    train: Source,
    test: Source,
    calibration: Source | None = None,
    *,
    catalog: str | None = None,
    shots: int | None = None,
    seed: int = 0,
    prepared: Callable[[str], str] = prepared,
) -> Inputs:
    """Read all files; TableError names file, line and cure of the first thing that is wrong.

    ``prepared`` makes of a text what a worker would encode of it.

    With a ``catalog`` the categories that are learnt from must be in it, and it alone says
    what the parents are; else the files' columns ``parent`` do.
    """
    exemplars = read_rows(train.path, train.where, for_fitting=True, prepared=prepared)
    postings = read_rows(test.path, test.where, prepared=prepared)
    labeled = None
    if calibration is not None:
        labeled = read_rows(
            calibration.path, calibration.where, for_fitting=True, prepared=prepared
        )
    learnt = [exemplars, *([labeled] if labeled else [])]
    if not any(exemplars.true_labels):
        raise TableError(
            f"{train.path}: every row is 'none', so there is no category to choose. Add rows of "
            "the categories."
        )
    if catalog is None:
        parents = merge_parents(*learnt, postings)
    else:
        parents = read_catalog(catalog)
        for rows in learnt:
            check_categories(parents, rows, catalog)
    if shots is not None:
        exemplars = sample_shots(exemplars, shots, seed)
    return Inputs(exemplars, postings, labeled, parents)
