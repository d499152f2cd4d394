"""How long a fit on these postings would have stayed good."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from marketplace_ai.classifier import LabeledTexts
from marketplace_ai.encoding.progress import Progress, silent
from marketplace_ai.evaluation.dated_rows import DatedRows
from marketplace_ai.evaluation.past_fits import fit_in_the_past
from marketplace_ai.evaluation.time_figures import TimeFigures, time_figures
from marketplace_ai.evaluation.time_periods import NoCutError
from marketplace_ai.text.labeled_csv import LabeledRows

#: Each past fit takes about as long as a fit of the assessment itself.
FITS = 3


def look_over_time(
    rows: LabeledRows,
    texts: LabeledTexts,
    families: npt.NDArray[np.intp],
    seed: int,
    progress: Progress = silent,
) -> tuple[TimeFigures | None, str]:
    """Figures of past fits; where dates allow none, None and a sentence that says why ("" where
    there are no dates). ``texts`` are the rows with vectors, ``families`` (n,) number the kin."""
    if not any(rows.dates):
        return None, ""
    every, nothing = np.arange(len(rows)), np.zeros(0, dtype=np.intp)
    dated = DatedRows(texts, rows.true_labels, rows.dates, families, every, nothing, every)
    try:
        return time_figures(fit_in_the_past(dated, limit=FITS, seed=seed, progress=progress)), ""
    except NoCutError as error:
        return None, str(error)
