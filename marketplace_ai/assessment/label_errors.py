"""Labels that are probably wrong: confident learning (Northcutt, Jiang and Chuang 2021).

"Confident Learning: Estimating Uncertainty in Dataset Labels", Journal of Artificial Intelligence
Research 70. A row counts as confidently of a class if its out-of-fold probability of that class is
at least the mean such probability of the rows that have that label; of several such classes the
most probable one counts. A row that is confidently of another class than its label, and whose first
choice is not its label either, is suspected (the off-diagonals of the confident joint).

Where categories are hard to tell apart, that alone suspects every fifth label, most of them rightly
given. So a label that is merely in doubt is left alone (``DOUBT``), and so is
one where the other class is less likely than not.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float64]

#: A label with a higher probability than this may be right. Chosen on public training rows, 5% of
#: whose labels were replaced by random ones.
DOUBT = 0.01
_LIKELY = 0.5


def suspected_labels(probabilities: Floats, labels: Codes) -> tuple[Codes, Codes]:
    """The rows whose label is suspected, most suspicious first, and the class of each instead.

    ``probabilities`` (n, k) by fits without the row; ``labels`` (n,), -1 for one that is no class
    and cannot be suspected. The order is that of the lead of the other class: its probability minus
    the label's.
    """
    rows = np.arange(len(labels))
    thresholds = _mean_self_confidence(probabilities, labels)
    confident = (probabilities >= thresholds) & (probabilities >= _LIKELY)
    other = np.where(confident, probabilities, -1.0).argmax(axis=1)
    first_choice = probabilities.argmax(axis=1)
    suspected = np.flatnonzero(
        (labels >= 0)
        & (probabilities[rows, labels] <= DOUBT)
        & confident[rows, other]
        & (other != labels)
        & (first_choice != labels)
    )
    label_probability = probabilities[suspected, labels[suspected]]
    lead = probabilities[suspected, other[suspected]] - label_probability
    order = np.argsort(-lead, kind="stable")
    return suspected[order], other[suspected[order]]


def _mean_self_confidence(probabilities: Floats, labels: Codes) -> Floats:
    """The mean probability (k,) of each class among the rows with that label; infinite without."""
    thresholds = np.full(probabilities.shape[1], np.inf)
    for code in np.unique(labels[labels >= 0]):
        thresholds[code] = probabilities[labels == code, code].mean()
    return thresholds
