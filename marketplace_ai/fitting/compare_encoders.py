"""The gate before a promotion: both encoders' classifiers fitted anew and held against each
other, and the answer kept with the candidate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from marketplace_ai.classifier import ArtifactError
from marketplace_ai.comparison import encoder_comparison
from marketplace_ai.encoders import active as encoders
from marketplace_ai.encoding import check_vectors
from marketplace_ai.exemplars.encode import encode_exemplars
from marketplace_ai.fitting import fit_classifier
from marketplace_ai.guarantee.bounds import rows_needed
from marketplace_ai.models import (
    ClassifierVersion,
    Encoder,
    Exemplar,
    ExemplarSource,
    Promotion,
    PromotionKind,
)
from marketplace_ai.promotion import promote as promotion
from marketplace_ai.promotion import rules
from marketplace_ai.queue.sql import alias
from marketplace_ai.versions import activation, create
from marketplace_ai.guarantee.target import DEFAULT_TARGET, Target

if TYPE_CHECKING:
    from collections.abc import Callable

    from marketplace_ai.classifier import Classifier, LabeledTexts, Guarantee

#: Characters kept of a text whose decision changes.
LONGEST_TEXT = 500


@dataclass(frozen=True, slots=True)
class Rows:
    """The labelled postings that both are calibrated on and compared with; none of them:
    cross-validation on the exemplars. ``kinds`` is the column of that name, ``audited`` says
    that they are the audit sample."""

    labelled: fit_classifier.Labelled
    kinds: list[str] | None = None
    audited: bool = False


@dataclass(frozen=True, slots=True)
class Examined:
    """A candidate after its trial: what was stored for it, and what it was held against.

    ``comparison`` is what ``Encoder.comparison`` keeps; ``version_before`` was in force for
    the candidate when the trial began.
    """

    encoder: Encoder
    active: Encoder | None
    version: ClassifierVersion
    version_before: int | None
    comparison: dict[str, Any]

    @property
    def objections(self) -> list[str]:
        return list(self.comparison["objections"])


def to_encode(encoder: Encoder, rows: Rows) -> int:
    """How many texts an examination will have to encode first."""
    active = Encoder.objects.active()
    both = [encoder] if active is None else [encoder, active]
    return sum(fit_classifier.exemplars_without_vector(each) + len(rows.labelled) for each in both)


def promise_in_force(encoder: Encoder | None) -> Target:
    """Target precision and confidence of what decides with an encoder now; the usual ones
    where nothing does."""
    version = _in_force(encoder)
    if version is None:
        return DEFAULT_TARGET
    return Target(version.target_precision, version.confidence)


def examine(
    encoder: Encoder,
    rows: Rows,
    *,
    target: Target,
    progress: Callable[[int], None],
) -> Examined:
    """Fit a classifier for a ready encoder, and one for the active encoder on the very same
    exemplars and rows; hold them against each other; store the former, not in force, and the
    comparison with its encoder.

    What is active goes on as it is: its second classifier serves the comparison alone. Raises
    VersionError for an encoder that cannot become active, EncoderError where one cannot be
    loaded, TableError for a text that one cannot encode, and what ``classifiers.fit`` raises.
    """
    if reason := rules.why_not(encoder):
        raise activation.VersionError(reason)
    # A fine-tuned encoder knows by heart what it learnt from: exemplars, most likely, and rows that
    # repeat one, as each audited posting that was answered. That would flatter it, be it the
    # candidate or the one that it is held against.
    active = Encoder.objects.active()
    tuned, its_tuned = (
        each is not None and bool(each.metrics.get("training")) for each in (encoder, active)
    )
    given = len(rows.labelled)
    rows = _unseen(rows) if tuned or its_tuned else rows
    before = activation.in_force(encoder)
    serving = None if active is None else activation.in_force(active)
    own = _encoded(encoder, rows, progress, trial=True)
    its = None if active is None else _encoded(active, rows, progress)
    voting = create.voting(encoder)
    if active is not None:
        voting, others = create.in_common(voting, create.voting(active))
    new = create.train(voting, own, target)
    version = create.describe(new, encoder, voting.generation, audited=rows.audited)
    comparison: dict[str, Any] = {
        "encoder": encoder.name,
        "compared": timezone.now().isoformat(),
        "target_precision": target.precision,
        "confidence": target.confidence_level,
        "calibrated_on": version.calibrated_on,
        "against": None,
        "objections": [],
    }
    if active is not None:
        old = create.train(others, its, target)
        comparison["against"] = {"id": active.pk, "name": active.name, "version": serving}
        comparison |= _held_against(new, old, own or voting.taught, rows, _promise(serving))
        comparison["left_out"] = given - len(rows.labelled)
        if tuned and len(rows.labelled) < rows_needed(target):
            comparison["objections"].append("learnt")
    activation.keep(version, new, voting.taught)
    comparison["version"] = version.pk
    Encoder.objects.using(alias()).filter(pk=encoder.pk).update(comparison=comparison)
    encoder.comparison = comparison
    return Examined(encoder, active, version, before, comparison)


def promote(found: Examined, *, reason: str = "", user: Any = None) -> Promotion:
    """Let an examined encoder take the place of the one that it was compared with, whatever
    the comparison says: who asks has looked at that. See ``promotion.switch``."""
    return promotion.switch(
        found.encoder,
        instead_of=found.active,
        kind=PromotionKind.FORCED if found.objections else PromotionKind.PROMOTED,
        version=found.version,
        version_before=found.version_before,
        reason=reason,
        comparison=rules.for_the_record(found.comparison),
        user=user,
    )


def _encoded(
    encoder: Encoder, rows: Rows, progress: Callable[[int], None], *, trial: bool = False
) -> LabeledTexts | None:
    """The rows with vectors of an encoder, whose exemplars have theirs afterwards. It is loaded
    for that alone and let go again: two large ones may not fit a device together. ``trial``:
    loaded and asked even where there is nothing to encode."""
    if not (trial or rows.labelled or fit_classifier.exemplars_without_vector(encoder)):
        return None
    texts = encoders.load(encoder)
    if trial:
        check_vectors(texts.encode(encoders.TRIAL), len(encoders.TRIAL), encoder.dimension)
    encode_exemplars(encoder, texts, progress)
    return fit_classifier.encode(texts, rows.labelled, progress)


def _unseen(rows: Rows) -> Rows:
    """Without those whose text is an exemplar's."""
    taught = Exemplar.objects.using(alias()).exclude(source=ExemplarSource.DESCRIPTION)
    known = {_plain(text) for text in taught.values_list("text", flat=True).iterator()}
    kept = [n for n, (text, _) in enumerate(rows.labelled) if _plain(text) not in known]
    return replace(
        rows,
        labelled=[rows.labelled[n] for n in kept],
        kinds=None if rows.kinds is None else [rows.kinds[n] for n in kept],
    )


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _held_against(
    new: Classifier, old: Classifier, labelled: LabeledTexts, rows: Rows, serving: Guarantee | None
) -> dict[str, Any]:
    kinds = None if rows.kinds is None else [(kind,) for kind in rows.kinds]
    found = encoder_comparison.contest(new, old, labelled, kinds)
    names = create.names_of({x for x in _labels(found) if x is not None})
    shown = found.as_dict()
    for row in shown["categories"]:
        row["key"], row["name"] = names[row["label"]]
    for change in shown["changes"]:
        change["text"] = change["text"][:LONGEST_TEXT]
        change["right_name"] = _named(change["right"], names)
        for side in ("new", "old"):
            change[side]["name"] = _named(change[side]["label"], names)
    objections = list(encoder_comparison.objections(new.guarantee, old.guarantee, found, serving))
    return {**shown, "objections": objections, "kinds_given": kinds is not None}


def _labels(found: encoder_comparison.Contest) -> Iterator[str | None]:
    yield from (row.label for row in found.categories)
    for change in found.changes:
        yield from (change.right, change.new.label, change.old.label)


def _named(label: str | None, names: dict[str, tuple[str, str]]) -> str | None:
    return None if label is None else names[label][1]


def _promise(version: int | None) -> Guarantee | None:
    """What a stored version promises; None where its bytes cannot be used."""
    if version is None:
        return None
    try:
        return activation.load(version).guarantee
    except ArtifactError:
        return None


def _in_force(encoder: Encoder | None) -> ClassifierVersion | None:
    rows = ClassifierVersion.objects.using(alias()).filter(encoder=encoder, in_force=True)
    return rows.defer("artifact").first()
