"""Decisions about postings, by the machine or a person, with the matches behind them."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from marketplace_ai.conf import conf

from .classifier_version import ClassifierVersion
from .encoder import Encoder
from .fields import RealField


class Outcome(models.TextChoices):
    AUTOMATIC = "automatic", _("automatic")
    AUTOMATIC_PARENT = "automatic_parent", _("automatic, parent only")
    REVIEW = "review", _("needs review")
    NONE = "none", _("fits none")
    HUMAN_OVERRIDE = "human_override", _("human category kept")
    CONFIRMED = "confirmed", _("confirmed")
    CORRECTED = "corrected", _("corrected")


#: Outcomes of a person's decision.
PERSONS = (Outcome.CONFIRMED, Outcome.CORRECTED)


@dataclass(frozen=True, slots=True)
class Match:
    """An exemplar that voted: its similarity in [-1, 1] and its share of the decision."""

    exemplar_id: int
    similarity: float
    share: float


#: Whose category was deleted since: one that never had a category has no key either.
ORPHANED = Q(category__isnull=True) & ~Q(category_key="")


class DecisionQuerySet(models.QuerySet["Decision"]):
    def current(self) -> DecisionQuerySet:
        """The latest decision about each posting."""
        return self.filter(is_current=True)

    def orphaned(self) -> DecisionQuerySet:
        """The current decisions whose category was deleted since. A trigger queues their postings
        to be decided again."""
        return self.filter(ORPHANED, is_current=True)

    def not_orphaned(self) -> DecisionQuerySet:
        """The current decisions but those that are orphaned."""
        return self.filter(~ORPHANED, is_current=True)

    def in_review(self) -> DecisionQuerySet:
        """The current decisions that wait for a person."""
        return self.filter(is_current=True, outcome=Outcome.REVIEW)


class Decision(models.Model):
    """A decision about a posting. Rows are only added; of an old one only ``is_current`` changes.

    ``category`` is the category that was assigned or proposed. Empty means "fits none", or, with
    the outcome *review* and no probability, that there was no text or no classifier.

    ``machine_category`` is what the machine last wrote to the posting, ``is_answered`` whether a
    person ever answered. Both are copied from row to row, so the current row alone tells whether
    the posting's category is the machine's own.
    """

    posting = models.ForeignKey(
        conf.job_model, verbose_name=_("posting"), on_delete=models.DO_NOTHING,
        db_constraint=False, db_index=False, related_name="+",
    )  # fmt: skip
    encoder = models.ForeignKey(
        Encoder, verbose_name=_("encoder"), null=True, on_delete=models.PROTECT, db_index=False,
        related_name="+",
    )  # fmt: skip
    classifier = models.ForeignKey(
        ClassifierVersion, verbose_name=_("classifier"), null=True, on_delete=models.PROTECT,
        db_index=False, related_name="+",
    )  # fmt: skip
    category = models.ForeignKey(
        conf.category_model, verbose_name=_("category"), null=True, on_delete=models.DO_NOTHING,
        db_constraint=False, related_name="+",
    )  # fmt: skip
    category_key = models.CharField(_("category key"), max_length=200, blank=True)
    category_name = models.CharField(_("category name"), max_length=300, blank=True)
    probability = models.FloatField(_("probability"), null=True)
    threshold = models.FloatField(_("threshold"), null=True)
    outcome = models.CharField(_("outcome"), max_length=16, choices=Outcome.choices)
    # Only compared, never followed, so it needs no index or constraint, which would cost every
    # insert. A deleted category leaves a key that equals no other.
    machine_category = models.ForeignKey(
        conf.category_model, null=True, on_delete=models.DO_NOTHING, db_constraint=False,
        db_index=False, related_name="+",
    )  # fmt: skip
    is_answered = models.BooleanField(_("answered by a person"), default=False)
    text_digest = models.BinaryField(_("digest of the text"))
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("decided by"), null=True,
        on_delete=models.SET_NULL, db_index=False, related_name="+",
    )  # fmt: skip
    decided_at = models.DateTimeField(_("decided"), db_index=True)
    is_current = models.BooleanField(_("current"), default=True)

    # As of the decision: the exemplars that voted, largest share first, and the share of the
    # linear heads. Arrays, because one row for each match costs 24 times as much.
    match_exemplars = ArrayField(models.BigIntegerField(), default=list)
    match_similarities = ArrayField(RealField(), default=list)
    match_shares = ArrayField(RealField(), default=list)
    head_share = models.FloatField(_("share of the linear heads"), default=0.0)
    # The best choices with their probabilities; the key is empty for "fits none".
    choice_keys = ArrayField(models.TextField(), default=list)
    choice_probabilities = ArrayField(RealField(), default=list)
    # Recorded for proposals too, but written to the project only with the outcome *automatic*.
    second_category_keys = ArrayField(models.TextField(), default=list, db_default=[])

    objects = DecisionQuerySet.as_manager()

    class Meta:
        verbose_name = _("decision")
        verbose_name_plural = _("decisions")
        constraints = [
            models.UniqueConstraint(
                fields=["posting"], condition=Q(is_current=True), name="marketplace_ai_one_current"
            ),
        ]
        indexes = [
            models.Index(fields=["posting", "id"], name="marketplace_ai_dec_posting"),
            models.Index(
                fields=["decided_by"],
                condition=Q(decided_by__isnull=False),
                name="marketplace_ai_dec_person",
            ),
            models.Index(
                fields=["outcome", "-id"],
                condition=Q(is_current=True),
                name="marketplace_ai_dec_outcome",
            ),
            # Nearly empty, and read in every scan.
            models.Index(
                fields=["posting"],
                condition=ORPHANED & Q(is_current=True),
                name="marketplace_ai_dec_orphaned",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.posting_id}: {self.get_outcome_display()}"

    @property
    def matches(self) -> list[Match]:
        """The exemplars that voted, largest share first."""
        return [
            Match(exemplar, similarity, share)
            for exemplar, similarity, share in zip(
                self.match_exemplars, self.match_similarities, self.match_shares, strict=True
            )
        ]
