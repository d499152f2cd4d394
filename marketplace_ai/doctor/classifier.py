"""Checks of the exemplars, the active classifier version and the decisions of workers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from django.utils import timezone

from marketplace_ai.doctor.finding import Finding
from marketplace_ai.exemplars import descriptions, rescrub
from marketplace_ai.exemplars.training_corpus import category_parents
from marketplace_ai.imports.contradictions import stored_contradictions
from marketplace_ai.models import (
    ClassifierVersion,
    Decision,
    Encoder,
    Exemplar,
    ExemplarState,
    Outcome,
)
from marketplace_ai.text.circles import find_circle
from marketplace_ai.text.contradictions import contradiction_sentence

#: Exemplars read for personal data: a few tenths of a second.
EXEMPLARS_READ = 20_000
#: Workers load a new active version with their next batch; by then each has had one.
ACTIVATION_GRACE = dt.timedelta(minutes=5)
#: Decisions as young as this show what workers do now.
RECENT = dt.timedelta(minutes=10)


def exemplars() -> Iterator[Finding]:
    """How many exemplars vote, and how many not because their category was deleted; how many
    categories have a description only."""
    count = Exemplar.objects.labeled().count()
    description_only = descriptions.count_description_only()
    if not count and not description_only:
        yield Finding(
            "exemplars", False, "There are no exemplars.",
            "Run manage.py import_exemplars FILE, or import_exemplars --from-jobs.",
        )  # fmt: skip
        return
    condensed = Exemplar.objects.condensed().count()
    message = f"{count - condensed} vote"
    if condensed:
        message += f"; {condensed} more teach, and others vote in their place"
    if description_only:
        message += f"; categories with nothing but their description: {description_only}"
    cure = ""
    if not count:
        cure = "Answers in review become exemplars; import_exemplars adds those that you have."
    if orphaned := Exemplar.objects.filter(state=ExemplarState.ORPHANED).count():
        message += f"; without a vote, because their category was deleted: {orphaned}"
        cure = (
            "They vote again when a category has their key; or give them another category in the "
            "admin, under Exemplars."
        )
    yield Finding("exemplars", True, message, cure)


def contradictions() -> Iterator[Finding]:
    """Which of the newest exemplars have one text and several labels."""
    if found := stored_contradictions(EXEMPLARS_READ):
        message = contradiction_sentence("Exemplars", found, "Each votes for its own label.")
        yield Finding(
            "contradictions", True, message,
            "Quarantine or correct the wrong ones in admin, and fit again.",
        )  # fmt: skip


def category_tree() -> Iterator[Finding]:
    """Whether a category is its own ancestor, which no import and no form of ours lets through."""
    if circle := find_circle(category_parents()):
        yield Finding(
            "category tree", False,
            f"The parents of {len(circle)} categories go in a circle: "
            f"{' under '.join(map(repr, (*circle, circle[0])))}. None of them is a leaf, so none "
            "is proposed from its description.",
            "Correct the parent of one of them.",
        )  # fmt: skip


def classifier() -> Iterator[Finding]:
    """Which version is active and what it was calibrated on."""
    if not Exemplar.objects.labeled().exists():
        return  # nothing to fit on: the check of exemplars fails already
    version = active_version()
    if version is None:
        yield Finding(
            "classifier", False, "None is fitted: every posting goes to review.",
            "Run manage.py fit_classifier --calibration FILE.",
        )  # fmt: skip
    elif version.calibrated_on == ClassifierVersion.Calibration.EXEMPLARS:
        yield Finding(
            "classifier", True,
            f"Version {version.pk} is calibrated by cross-validation on exemplars, which are no "
            "sample of what comes in.",
            "Run manage.py fit_classifier --calibration FILE with labeled postings.",
        )  # fmt: skip
    else:
        calibrated = ClassifierVersion.Calibration(version.calibrated_on)
        kind = "audited" if calibrated is ClassifierVersion.Calibration.AUDITS else "labeled"
        message = f"Version {version.pk} is active, calibrated on {kind} postings"
        yield Finding("classifier", True, message)


def personal_data() -> Iterator[Finding]:
    """How many of the newest exemplars scrubbing would change: those stored before a rule."""
    counts = rescrub.count_unscrubbed(EXEMPLARS_READ)
    if not counts.looked_at:
        return
    yield Finding(
        "personal data", not counts.found,
        f"{counts.found} of the {counts.looked_at} newest exemplars hold phone numbers, addresses "
        "or the like.",
        "Run manage.py scrub_stored, then fit_classifier." if counts.found else "",
    )  # fmt: skip


def deciding() -> Iterator[Finding]:
    """Whether workers decide with the active version.

    A worker that cannot load it goes on with the version it has, and the guarantee of that one
    is no longer tested.
    """
    version = active_version()
    if version is None:
        return
    since = max(
        (version.activated_at or version.created_at) + ACTIVATION_GRACE, timezone.now() - RECENT
    )
    others = (
        Decision.objects.filter(decided_at__gt=since, encoder=version.encoder_id)
        .exclude(outcome__in=(Outcome.CONFIRMED, Outcome.CORRECTED))  # made by a person
        .exclude(classifier=version)
    )
    latest = others.order_by("-decided_at").values_list("classifier_id").first()
    if latest is not None:
        by = f"by version {latest[0]}" if latest[0] else "without a classifier"
        yield Finding(
            "deciding", False,
            f"Version {version.pk} is active, but postings were decided {by} in the last "
            f"{RECENT.total_seconds() / 60:.0f} minutes, and nothing monitors those.",
            "See the workers' log. If the version cannot be used, activate another one "
            "(manage.py use_classifier) or fit again; otherwise restart the workers.",
        )  # fmt: skip


def active_version() -> ClassifierVersion | None:
    """The active version of the active encoder, without its artifact."""
    return ClassifierVersion.objects.active(Encoder.objects.active())


CHECKS = [exemplars, contradictions, category_tree, classifier, personal_data, deciding]
