"""The threshold search against MAPIE's learn-then-test controller on the same rows."""

from __future__ import annotations

import numpy as np
import pytest
from mapie.risk_control import BinaryClassificationController, precision
from scipy.stats import binom

from marketplace_ai.guarantee.target import Target
from marketplace_ai.guarantee.threshold_search import CalibrationSample, find_threshold

pytestmark = pytest.mark.slow

TARGET = Target()


def sample(seed: int) -> CalibrationSample:
    """Rows of which none are near-duplicates: MAPIE does not know those."""
    random = np.random.default_rng(seed)
    rows = int(random.integers(150, 1500))
    score = random.random(rows)
    error_rate = random.uniform(0.01, 0.12) * (1 - score)
    return CalibrationSample(score, random.random(rows) < error_rate, np.arange(rows))


def mapie(trial: CalibrationSample, thresholds: list[float]) -> BinaryClassificationController:
    """MAPIE's fixed-sequence test of the precision at ``thresholds``, in their order."""
    controller = BinaryClassificationController(
        predict_function=lambda score: np.column_stack([1 - score, score]),
        risk=precision,
        target_level=TARGET.precision,
        confidence_level=TARGET.confidence_level,
        list_predict_params=np.array(thresholds),
        fwer_method="fixed_sequence",
    )
    return controller.calibrate(trial.score, (~trial.wrong).astype(int))


@pytest.mark.filterwarnings("ignore::UserWarning:mapie")
def test_mapie_finds_the_same_threshold_except_where_it_rounds_errors_up() -> None:
    """MAPIE derives the number of errors as ceil(rows * error rate) in floating point, so an ulp
    above a whole number counts as one error more. Its p-value is then too large, never too small,
    and its threshold never looser than ours."""
    same_threshold = stricter_by_rounding = 0
    for seed in range(40):
        trial = sample(seed)
        steps = list(trial.thresholds(TARGET))
        ours = find_threshold(trial, len(trial.wrong), TARGET).threshold
        controller = mapie(trial, [step.threshold for step in steps])
        theirs = min((float(x) for x in controller.valid_predict_params), default=None)
        p_values = np.ravel(controller.p_values)
        rounded = np.zeros(len(steps), dtype=bool)
        for number, (step, p_value) in enumerate(zip(steps, p_values, strict=True)):
            exact, one_more = binom.cdf(
                [step.errors, step.errors + 1], step.rows, TARGET.max_error_rate
            )
            rounded[number] = p_value != pytest.approx(exact, rel=1e-9)
            assert not rounded[number] or exact < p_value <= one_more
        if ours == theirs:
            same_threshold += 1
        else:
            assert rounded[np.argmax(p_values > 1 - TARGET.confidence_level)]
            assert theirs is None or theirs > ours
            stricter_by_rounding += 1
    assert same_threshold > stricter_by_rounding > 0
