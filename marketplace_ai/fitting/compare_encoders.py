"""Evaluate a candidate encoder: fit classifiers for it and for the active encoder, compare both,
and store the report. A candidate that passes its checks may be promoted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from marketplace_ai.classifier import ArtifactError
from marketplace_ai.comparison import encoder_comparison
from marketplace_ai.comparison.report import ActiveEncoder, ComparisonReport, EncoderComparison
from marketplace_ai.comparison.unlike_rows import Contender, compare_on_unlike
from marketplace_ai.db.alias import alias
from marketplace_ai.encoders import active as encoders
from marketplace_ai.encoding import check_vectors
from marketplace_ai.exemplars.encode import encode_exemplars
from marketplace_ai.fitting import fit_classifier
from marketplace_ai.guarantee.bounds import rows_needed
from marketplace_ai.guarantee.target import DEFAULT_TARGET, Target
from marketplace_ai.models import (
    ClassifierVersion,
    Encoder,
    Promotion,
    PromotionKind,
)
from marketplace_ai.promotion import eligibility
from marketplace_ai.promotion import promote as promotion
from marketplace_ai.promotion.checks import failed_checks
from marketplace_ai.versions import activation, create
from marketplace_ai.versions.exemplar_set import intersect, load_exemplars

from .labeled_postings import LabeledPostings
from .train_test_overlap import is_fine_tuned, without_exemplar_families

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from marketplace_ai.classifier import Classifier, Guarantee, LabeledTexts

#: Characters kept of a text that is decided differently.
MAX_TEXT_LENGTH = 500


@dataclass(frozen=True, slots=True)
class EvaluatedCandidate:
    """A candidate with its stored classifier and report.

    ``active`` is the encoder that it was compared with, ``version_before`` the version that was
    active for the candidate when the evaluation began.
    """

    encoder: Encoder
    active: Encoder | None
    version: ClassifierVersion
    version_before: int | None
    report: ComparisonReport


def texts_to_encode(
    encoder: Encoder, postings: LabeledPostings, unlike: LabeledPostings | None = None
) -> int:
    """How many texts an evaluation will have to encode first."""
    active = Encoder.objects.active()
    both = [encoder] if active is None else [encoder, active]
    labeled = len(postings) + len(unlike or ())
    return sum(fit_classifier.exemplars_without_vector(each) + labeled for each in both)


def current_target(encoder: Encoder | None) -> Target:
    """The target of the version that is active for an encoder; the default where none is."""
    version = ClassifierVersion.objects.active(encoder)
    if version is None:
        return DEFAULT_TARGET
    return Target(version.target_precision, version.confidence_level)


def evaluate_candidate(
    encoder: Encoder,
    postings: LabeledPostings,
    *,
    target: Target,
    progress: Callable[[int], None],
    unlike: LabeledPostings | None = None,
) -> EvaluatedCandidate:
    """Compare a ready encoder with the active one, and store its classifier and the report.

    A classifier is fitted for each of the two on the same exemplars and labeled postings. That of
    the candidate is stored without being activated; that of the active encoder serves the
    comparison alone. What is active keeps deciding meanwhile.

    Args:
        encoder: the candidate.
        postings: labeled postings; without any, the exemplars are cross-validated.
        target: the precision and the confidence level asked for.
        progress: called with the number of texts encoded since the last call.
        unlike: labeled texts unlike the exemplars; both are asked about them, and neither is
            calibrated on them.

    Raises:
        VersionError: the encoder cannot become active.
        EncoderError: one of the encoders cannot be loaded.
        TableError: one of them cannot encode a text.
        ValueError, ArtifactError: as ``versions.create.fit_version``.
    """
    if reason := eligibility.activation_blocker(encoder):
        raise activation.VersionError(reason)
    active = Encoder.objects.active()
    version_before = activation.active_version_id(encoder)
    serving = None if active is None else activation.active_version_id(active)
    unseen = without_exemplar_families(postings) if is_fine_tuned(encoder, active) else postings

    further = unlike or LabeledPostings()
    labeled, other = _encode(encoder, (unseen, further), progress, smoke_test=True)
    active_labeled, active_other = (
        (None, None) if active is None else _encode(active, (unseen, further), progress)
    )
    exemplars = load_exemplars(encoder)
    if active is not None:
        exemplars, active_exemplars = intersect(exemplars, load_exemplars(active))
    new = create.train_classifier(exemplars, labeled, target)
    version = create.build_version(new, encoder, exemplars.generation, audited=unseen.audited)
    report = ComparisonReport(
        encoder=encoder.name,
        compared_at=timezone.now().isoformat(),
        target_precision=target.precision,
        confidence=target.confidence_level,
        calibrated_on=version.calibrated_on,
    )
    if active is not None:
        old = create.train_classifier(active_exemplars, active_labeled, target)
        results = _compare(new, old, labeled or exemplars.train, unseen)
        if other is not None and active_other is not None:
            votes = exemplars.votes()
            candidate = Contender(new, exemplars.train, exemplars.descriptions, other, votes)
            current = Contender(
                old, active_exemplars.train, active_exemplars.descriptions, active_other, votes
            )
            results = replace(results, unlike=compare_on_unlike(candidate, current, labeled))
        too_few = len(unseen) < rows_needed(target)
        failed = failed_checks(
            new.guarantee,
            old.guarantee,
            results,
            _stored_guarantee(serving),
            train_test_overlap=is_fine_tuned(encoder) and too_few,
        )
        report = replace(
            report,
            active_encoder=ActiveEncoder(active.pk, active.name, serving),
            results=results,
            failed_checks=tuple(failed),
            left_out=len(postings) - len(unseen),
            kinds_given=unseen.kinds is not None,
        )
    activation.save(version, new, exemplars.train)
    report = replace(report, version=version.pk)
    encoder.comparison = report.as_dict()
    Encoder.objects.using(alias()).filter(pk=encoder.pk).update(comparison=encoder.comparison)
    return EvaluatedCandidate(encoder, active, version, version_before, report)


def promote(candidate: EvaluatedCandidate, *, reason: str = "", user: Any = None) -> Promotion:
    """Make an evaluated candidate the active encoder, whatever its report says: that is the
    caller's decision. For what is raised see ``promotion.promote.switch_encoder``."""
    forced = bool(candidate.report.failed_checks)
    return promotion.switch_encoder(
        candidate.encoder,
        expected=candidate.active,
        classifier=promotion.ClassifierChange(candidate.version, candidate.version_before),
        record=promotion.PromotionRecord(
            kind=PromotionKind.FORCED if forced else PromotionKind.PROMOTED,
            reason=reason,
            comparison=eligibility.without_texts(candidate.report.as_dict()),
            user=user,
        ),
    )


def _encode(
    encoder: Encoder,
    files: Sequence[LabeledPostings],
    progress: Callable[[int], None],
    *,
    smoke_test: bool = False,
) -> list[LabeledTexts | None]:
    """Labeled postings with vectors of an encoder, whose exemplars are encoded as well; None for
    a file without rows.

    The encoder is loaded for this alone and released again: two large ones may not fit on one
    device. ``smoke_test``: load and try it even if there is nothing to encode.
    """
    something = any(map(len, files)) or fit_classifier.exemplars_without_vector(encoder)
    if not (smoke_test or something):
        return [None] * len(files)
    text_encoder = encoders.load(encoder)
    if smoke_test:
        vectors = text_encoder.encode(encoders.SMOKE_TEXTS)
        check_vectors(vectors, len(encoders.SMOKE_TEXTS), encoder.dimension)
    encode_exemplars(encoder, text_encoder, progress)
    return [fit_classifier.encode(text_encoder, postings, progress) for postings in files]


def _compare(
    new: Classifier, old: Classifier, labeled: LabeledTexts, postings: LabeledPostings
) -> EncoderComparison:
    """Both classifiers on the same rows, with the names of categories."""
    kinds = None if postings.kinds is None else [(kind,) for kind in postings.kinds]
    results = encoder_comparison.compare_encoders(new, old, labeled, kinds)
    return results.named(create.category_names(set(results.labels())), MAX_TEXT_LENGTH)


def _stored_guarantee(version: int | None) -> Guarantee | None:
    """The guarantee of a stored version; None where its bytes cannot be used."""
    if version is None:
        return None
    try:
        return activation.load(version).guarantee
    except ArtifactError:
        return None
