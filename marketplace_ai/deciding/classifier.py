"""The fitted classifier of one encoder: exemplars in, a promise out, then one verdict each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from marketplace_ai.neighbors.index import ExemplarIndex
from marketplace_ai.neighbors.ngrams import BUCKETS, NgramFeatures

from .artifact import ArtifactError, pack, unpack
from .calibration import Calibration, log_prior
from .crossfit import OutOfFold, cross_fit
from .ground import Ground, Names
from .labelled import Labelled
from .pattern import Pattern, label_codes
from .promise import Promise
from .trials import make_promise
from .verdict import Verdict
from .verdicts import judge

Floats = npt.NDArray[np.float32]

_PATTERN = ("codes", "by_vector", "grams", "by_gram", "bias")
_CURVE = ("log_prior", "mean", "scale", "slope")


@dataclass(frozen=True, eq=False)
class Classifier:
    """What was fitted, and what it promises; immutable, and independent of the index."""

    ground: Ground
    calibration: Calibration
    promise: Promise
    parents: Mapping[str, str | None]
    #: How the labelled rows were scored; known after ``fit`` alone, never stored.
    scored: OutOfFold | None = None

    @property
    def names(self) -> Names:
        """The labels known at the fit; None stands for "none of these"."""
        return self.ground.names

    @property
    def ngrams(self) -> NgramFeatures:
        """The text features that an ``ExemplarIndex`` for this classifier is built with."""
        return self.ground.features

    @property
    def calibrated_on(self) -> str:
        """ "postings", or "exemplars" where no labelled postings were given."""
        return self.promise.calibrated_on

    @property
    def dimension(self) -> int:
        return len(self.ground.mean)

    @classmethod
    def fit(
        cls,
        exemplars: Labelled,
        calibration: Labelled | None = None,
        *,
        target_precision: float = 0.97,
        confidence: float = 0.95,
        parents: Mapping[str, str | None] | None = None,
        seed: int = 0,
    ) -> Classifier:
        """Fit on exemplars, and calibrate on labelled postings of the stream.

        Without ``calibration`` (None or no row) cross-validation on the exemplars stands
        in, and ``promise.calibrated_on`` says so. ``parents`` maps a label to its parent's.

        Raises ValueError without a single exemplar of a category, for vectors of different
        dimensions, and for a target precision or confidence outside (0, 1).
        """
        if not any(label is not None for label in exemplars.labels):
            raise ValueError(
                "no exemplar has a category, so nothing can vote: import labelled texts first "
                "(import_exemplars FILE, or import_exemplars --from-jobs)"
            )
        if not 0 < target_precision < 1 or not 0 < confidence < 1:
            raise ValueError(
                f"target precision {target_precision} and confidence {confidence} must lie "
                "between 0 and 1, as 0.97 and 0.95"
            )
        if calibration is not None and not len(calibration):
            calibration = None
        if calibration and calibration.vectors.shape[1] != exemplars.vectors.shape[1]:
            raise ValueError(
                f"exemplars have {exemplars.vectors.shape[1]} dimensions, labelled postings "
                f"{calibration.vectors.shape[1]}: encode both with the same encoder"
            )
        known = sorted({label for label in exemplars.labels if label is not None})
        names: Names = (*known, None)
        ground = Ground.fit(exemplars, names, seed)
        scored = cross_fit(ground, exemplars, calibration, seed)
        counted = scored.answers if calibration else label_codes(exemplars.labels, names)
        prior = log_prior(counted, len(names))
        fitted = Calibration.fit(scored.evidence, scored.answers, prior, names.index(None))
        tree = dict(parents or {})
        promise = make_promise(
            scored,
            names,
            tree,
            target_precision=target_precision,
            confidence=confidence,
            calibrated_on="postings" if calibration else "exemplars",
        )
        return cls(ground, fitted, promise, tree, scored)

    def decide(self, index: ExemplarIndex, vectors: Floats, texts: Sequence[str]) -> list[Verdict]:
        """Give a verdict on each of b postings: unit ``vectors`` (b, d) and their texts.

        ``index`` holds the exemplars as they are now, in this classifier's text features;
        ValueError if it was built with others.
        """
        if index.features is not self.ngrams and not np.array_equal(
            index.features.idf, self.ngrams.idf
        ):
            raise ValueError(
                "the index was built with another classifier's text features: "
                "build it with ExemplarIndex(dimension, classifier.ngrams)"
            )
        if not len(texts):
            return []
        weighed = self.ground.weigh(index, vectors, texts)
        return judge(weighed, self.calibration, self.promise, self.parents, index.ids)

    def to_bytes(self) -> bytes:
        """Serialize to safetensors with JSON metadata and a digest."""
        pattern, curve = self.ground.pattern, self.calibration
        arrays = {f"pattern.{name}": getattr(pattern, name) for name in _PATTERN}
        for name in ("by_vector", "by_gram"):  # rounded to float16 when they were fitted
            arrays[f"pattern.{name}"] = arrays[f"pattern.{name}"].astype(np.float16)
        arrays |= {f"curve.{name}": getattr(curve, name) for name in _CURVE}
        arrays |= {"idf": self.ngrams.idf, "mean": self.ground.mean}
        state = {
            "names": list(self.names),
            "parents": dict(self.parents),
            "promise": self.promise.as_dict(),
            "temperature": curve.temperature,
            "background": curve.background if np.isfinite(curve.background) else None,
            "offset": curve.offset,
        }
        return pack(arrays, state)

    @classmethod
    def from_bytes(cls, data: bytes) -> Classifier:
        """Read what ``to_bytes`` wrote; ArtifactError (a ValueError) says what is wrong."""
        arrays, state = unpack(data)
        try:
            if arrays["idf"].shape != (BUCKETS,):
                raise ArtifactError("the classifier has other text features: fit it again")
            values = {name: arrays[f"pattern.{name}"] for name in _PATTERN}
            for name in ("by_vector", "by_gram"):
                values[name] = values[name].astype(np.float32)
            background = state["background"]
            return cls(
                Ground(
                    tuple(state["names"]),
                    NgramFeatures(arrays["idf"]),
                    arrays["mean"],
                    Pattern(**values),
                ),
                Calibration(
                    **{name: arrays[f"curve.{name}"] for name in _CURVE},
                    temperature=state["temperature"],
                    background=-np.inf if background is None else background,
                    offset=state["offset"],
                ),
                Promise.from_dict(state["promise"]),
                state["parents"],
            )
        except (KeyError, TypeError) as error:
            raise ArtifactError(f"the classifier lacks a part ({error}): fit it again") from None
