"""The classifier of one encoder: fitted on exemplars, calibrated, certified, stored as bytes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from marketplace_ai.classifier.index import ExemplarIndex
from marketplace_ai.classifier.learned_metric import Metric
from marketplace_ai.classifier.ngrams import BUCKETS, NgramFeatures
from marketplace_ai.guarantee.guarantee import Guarantee
from marketplace_ai.guarantee.target import DEFAULT_TARGET, Target

from .artifact import Arrays, ArtifactError, pack, unpack
from .calibration import Calibration
from .certify import certify
from .counted_rows import counted_rows
from .cross_fitting import OutOfFold, cross_fit
from .exemplar_model import Classes, ExemplarModel, has_description
from .labeled import LabeledTexts
from .linear_heads import LinearHeads, LinearScores, rare_classes, to_class_ids
from .open_set import OpenSet
from .opinion_pool import OpinionPool, exemplar_prior
from .predict import predict
from .prediction import Prediction

Floats = npt.NDArray[np.float32]

_LINEAR = ("by_vector", "by_text")
_CURVE = ("mean", "scale", "slope")


@dataclass(frozen=True, eq=False)
class Classifier:
    """A fitted classifier and its guarantee; immutable, and independent of the index.

    Fit one with ``Classifier.fit(exemplars, labeled_postings)``, put the exemplars into
    ``classifier.new_index()`` and call ``classifier.predict(index, vectors, texts)``.
    """

    exemplar_model: ExemplarModel
    calibration: Calibration
    guarantee: Guarantee
    parents: Mapping[str, str | None]
    #: Predictions for the labeled rows by fits without them; set by ``fit`` only, never stored.
    out_of_fold: OutOfFold | None = None
    #: Which of these rows count toward the guarantee, bool (b,); None: all. Set by ``fit`` only.
    counted: npt.NDArray[np.bool_] | None = None

    @property
    def classes(self) -> Classes:
        """The classes at the fit; None stands for "none"."""
        return self.exemplar_model.classes

    @property
    def ngrams(self) -> NgramFeatures:
        """The text features that an ``ExemplarIndex`` for this classifier is built with."""
        return self.exemplar_model.features

    @property
    def calibrated_on(self) -> str:
        """ "postings", or "exemplars" if there were no labeled postings."""
        return self.guarantee.calibrated_on

    @property
    def dimension(self) -> int:
        return self.exemplar_model.metric.dimension

    @classmethod
    def fit(
        cls,
        exemplars: LabeledTexts,
        calibration: LabeledTexts | None = None,
        *,
        descriptions: LabeledTexts | None = None,
        target: Target = DEFAULT_TARGET,
        parents: Mapping[str, str | None] | None = None,
        counted: npt.NDArray[np.bool_] | None = None,
        votes: npt.NDArray[np.bool_] | None = None,
        seed: int = 0,
    ) -> Classifier:
        """Fit on exemplars, calibrate on labeled postings and certify the guarantee.

        Without ``calibration`` (None or no row) cross-validation on the exemplars stands in, and
        ``calibrated_on`` is "exemplars". ``counted`` bool (n,) are the exemplars that may then
        count toward the guarantee (None: all); those chosen because they were uncertain may not.
        ``parents`` maps a label to its parent's. ``votes`` bool (n,) are the exemplars that will be
        in the index (None: all): the others teach, and do not vote on the labeled rows either.

        ``descriptions`` of categories vote while the labeled rows are scored, and n-gram weights
        and metric are also theirs; nothing is calibrated on them: they are no sample of postings.
        A label that has only a description stays newer than the fit. If no category has an
        exemplar, the descriptions alone decide what is proposed, and nothing is guaranteed
        without ``calibration``.

        Raises ValueError without a single exemplar or description of a category, and for vectors
        of different dimensions.
        """
        has_exemplars = any(label is not None for label in exemplars.labels)
        if not has_exemplars and not descriptions:
            raise ValueError(
                "no exemplar has a category, and no category has a description, so nothing can "
                "vote: import labeled texts first (import_exemplars FILE, or import_exemplars "
                "--from-jobs), or categories with names (import_catalog FILE)"
            )
        if calibration is not None and not len(calibration):
            calibration = None
        if calibration and calibration.vectors.shape[1] != exemplars.vectors.shape[1]:
            raise ValueError(
                f"exemplars have {exemplars.vectors.shape[1]} dimensions, labeled postings "
                f"{calibration.vectors.shape[1]}: encode both with the same encoder"
            )
        if descriptions is not None and not len(descriptions):
            descriptions = None
        # Threads of one product that wait for each other on a busy core cost tenfold, and other
        # work continues during a fit.
        with threadpool_limits(max(1, (os.cpu_count() or 2) // 2)):
            return cls._fit(
                exemplars,
                calibration,
                descriptions,
                target,
                dict(parents or {}),
                None if calibration else counted,
                votes,
                seed,
            )

    @classmethod
    def _fit(
        cls,
        exemplars: LabeledTexts,
        calibration: LabeledTexts | None,
        descriptions: LabeledTexts | None,
        target: Target,
        tree: dict[str, str | None],
        counted: npt.NDArray[np.bool_] | None,
        votes: npt.NDArray[np.bool_] | None,
        seed: int,
    ) -> Classifier:
        known = {label for label in exemplars.labels if label is not None}
        if not known and descriptions is not None:
            known = {label for label in descriptions.labels if label is not None}
        names = sorted(known)
        classes: Classes = (*names, None)
        class_ids = to_class_ids(exemplars.labels, classes)
        rare = rare_classes(class_ids, has_description(descriptions, classes))
        exemplar_model = ExemplarModel.fit(exemplars, classes, seed, rare, descriptions)
        out_of_fold = cross_fit(
            exemplar_model, exemplars, calibration, seed, rare, descriptions, votes
        )
        prior = exemplar_prior(class_ids, rare)
        fitted = Calibration.fit(
            out_of_fold.model_scores,
            out_of_fold.y_true,
            prior,
            classes.index(None),
            stream=calibration is not None,
        )
        guarantee = certify(
            counted_rows(out_of_fold, counted),
            classes,
            tree,
            np.bincount(class_ids, minlength=len(classes)),
            target=target,
            calibrated_on="postings" if calibration else "exemplars",
        )
        return cls(exemplar_model, fitted, guarantee, tree, out_of_fold, counted)

    def predict(
        self, index: ExemplarIndex, vectors: Floats, texts: Sequence[str]
    ) -> list[Prediction]:
        """Predict b postings from their unit ``vectors`` (b, d) and texts.

        ``index`` holds the exemplars as they are now, in this classifier's features. Raises
        ValueError if it was built with others.
        """
        if not self._made(index):
            raise ValueError(
                "the index was built for another classifier: build it with classifier.new_index()"
            )
        if not len(texts):
            return []
        scored = self.exemplar_model.score(index, vectors, texts)
        return predict(scored, self.calibration, self.guarantee, self.parents, index.ids)

    def new_index(self) -> ExemplarIndex:
        """An empty index that compares as this classifier was fitted to."""
        return self.exemplar_model.new_index()

    def _made(self, index: ExemplarIndex) -> bool:
        mine = self.exemplar_model.metric
        return (index.features is self.ngrams and index.metric is mine) or (
            np.array_equal(index.features.idf, self.ngrams.idf)
            and np.array_equal(index.metric.mean, mine.mean)
            and np.array_equal(index.metric.matrix, mine.matrix)
        )

    def to_bytes(self) -> bytes:
        """Serialize to safetensors with JSON metadata and a digest."""
        metric, heads, curve = (
            self.exemplar_model.metric,
            self.exemplar_model.linear_heads,
            self.calibration,
        )
        arrays: Arrays = {
            "idf": self.ngrams.idf,
            "metric.mean": metric.mean,
            "metric.matrix": metric.matrix.astype(np.float16),  # rounded when it was fitted
            "heads.codes": heads.codes,
            "heads.grams": heads.grams,
            "pool.weights": curve.opinion_pool.weights,
            "pool.prior": curve.opinion_pool.prior,
            "pool.prior_correction": curve.opinion_pool.prior_correction,
        }
        for name in _LINEAR:
            linear: LinearScores = getattr(heads, name)
            arrays[f"heads.{name}.weights"] = linear.weights.astype(np.float16)  # as above
            arrays[f"heads.{name}.bias"] = linear.bias
        arrays |= {f"curve.{name}": getattr(curve, name) for name in _CURVE}
        open_set = curve.opinion_pool.open_set
        state = {
            "classes": list(self.classes),
            "parents": dict(self.parents),
            "guarantee": self.guarantee.as_dict(),
            "open_set": None if open_set is None else open_set.as_dict(),
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
            linear = {
                name: LinearScores(
                    arrays[f"heads.{name}.weights"].astype(np.float32),
                    arrays[f"heads.{name}.bias"],
                )
                for name in _LINEAR
            }
            open_set = state["open_set"]
            pool = OpinionPool(
                arrays["pool.weights"],
                arrays["pool.prior"],
                arrays["pool.prior_correction"],
                None if open_set is None else OpenSet.from_dict(open_set),
            )
            return cls(
                ExemplarModel(
                    tuple(state["classes"]),
                    NgramFeatures(arrays["idf"]),
                    Metric(arrays["metric.mean"], arrays["metric.matrix"].astype(np.float32)),
                    LinearHeads(arrays["heads.codes"], arrays["heads.grams"], **linear),
                ),
                Calibration(
                    pool,
                    **{name: arrays[f"curve.{name}"] for name in _CURVE},
                    offset=state["offset"],
                ),
                Guarantee.from_dict(state["guarantee"]),
                state["parents"],
            )
        except (KeyError, TypeError) as error:
            raise ArtifactError(f"the classifier lacks a part ({error}): fit it again") from None
