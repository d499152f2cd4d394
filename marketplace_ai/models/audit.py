"""The audit that monitors the guarantee: audited postings, and the stops they led to."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from marketplace_ai.conf import conf

from .classifier_version import ClassifierVersion
from .decision import Outcome
from .encoder import Encoder


class AuditedPostingQuerySet(models.QuerySet["AuditedPosting"]):
    def unanswered(self) -> AuditedPostingQuerySet:
        """Rows that wait for a person's answer. A deleted posting cannot be answered."""
        return self.filter(answered_at__isnull=True, posting__isnull=False)


class AuditedPosting(models.Model):
    """A posting of the random sample: the machine's decision and a person's answer.

    Until somebody answers, a new decision replaces the one recorded here. The row outlives its
    posting (``posting`` is then empty) and remains as evidence without a text.

    ``is_correct`` says whether the answer confirms the machine's category or its "fits none".
    Where only the parent was applied, it says whether the answer lies under that parent. It is
    empty until there is an answer, and stays empty if the text has changed since the decision.
    """

    posting = models.ForeignKey(
        conf.job_model, verbose_name=_("posting"), null=True, on_delete=models.DO_NOTHING,
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
    outcome = models.CharField(_("outcome"), max_length=16, choices=Outcome.choices)
    category = models.ForeignKey(
        conf.category_model, verbose_name=_("category"), null=True, on_delete=models.DO_NOTHING,
        db_constraint=False, related_name="+",
    )  # fmt: skip
    category_key = models.CharField(_("category key"), max_length=200, blank=True)
    category_name = models.CharField(_("category name"), max_length=300, blank=True)
    probability = models.FloatField(_("probability"), null=True)
    text_digest = models.BinaryField(_("digest of the text"))
    drawn_at = models.DateTimeField(_("sampled"))
    # The share of postings that was audited when it was drawn. Empty: not known, so an answer
    # counts toward no guarantee.
    draw_probability = models.FloatField(_("probability of the draw"), null=True)

    answered_at = models.DateTimeField(_("answered"), null=True)
    answered_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("answered by"), null=True,
        on_delete=models.SET_NULL, related_name="+",
    )  # fmt: skip
    answer = models.ForeignKey(
        conf.category_model, verbose_name=_("answer"), null=True, on_delete=models.DO_NOTHING,
        db_constraint=False, related_name="+",
    )  # fmt: skip
    answer_key = models.CharField(max_length=200, db_default="", blank=True)
    answer_name = models.CharField(max_length=300, db_default="", blank=True)
    is_correct = models.BooleanField(_("correct"), null=True)

    objects = AuditedPostingQuerySet.as_manager()

    class Meta:
        verbose_name = _("audited posting")
        verbose_name_plural = _("audited postings")
        constraints = [
            models.UniqueConstraint(fields=["posting"], name="marketplace_ai_audited_once"),
            models.CheckConstraint(
                condition=Q(is_correct__isnull=True) | Q(answered_at__isnull=False),
                name="marketplace_ai_audit_correct_by_answer",
            ),
            models.CheckConstraint(
                condition=Q(draw_probability__gt=0, draw_probability__lte=1),
                name="marketplace_ai_draw_probability",
            ),
        ]
        indexes = [
            models.Index(
                fields=["drawn_at", "id"],
                condition=Q(answered_at__isnull=True, posting__isnull=False),
                name="marketplace_ai_audit_waiting",
            ),
            models.Index(
                fields=["classifier", "outcome", "drawn_at", "id"], name="marketplace_ai_audit_test"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.posting_id}: {self.get_outcome_display()}"


class AutomationStop(models.Model):
    """A stop of automation, for one category or for everything one rule decides.

    ``category_key`` is empty if the whole rule stopped. A stop by the sequential test holds its
    evidence, a stop by a person the reason. ``resumed_at`` ends it.
    """

    class Rule(models.TextChoices):
        """The outcomes that need no person. Each has its own guarantee."""

        LEAF = Outcome.AUTOMATIC.value, _("category")
        PARENT = Outcome.AUTOMATIC_PARENT.value, _("parent only")
        NONE = Outcome.NONE.value, _("fits none")

    classifier = models.ForeignKey(
        ClassifierVersion, verbose_name=_("classifier"), on_delete=models.PROTECT,
        related_name="stops",
    )  # fmt: skip
    rule = models.CharField(_("rule"), max_length=16, choices=Rule.choices)
    category = models.ForeignKey(
        conf.category_model, verbose_name=_("category"), null=True, on_delete=models.DO_NOTHING,
        db_constraint=False, related_name="+",
    )  # fmt: skip
    category_key = models.CharField(_("category key"), max_length=200, blank=True)
    category_name = models.CharField(_("category name"), max_length=300, blank=True)
    stopped_at = models.DateTimeField(_("stopped"))
    stopped_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("stopped by"), null=True,
        on_delete=models.SET_NULL, related_name="+",
    )  # fmt: skip
    rows = models.PositiveIntegerField(_("audited postings"), null=True)
    errors = models.PositiveIntegerField(_("errors"), null=True)
    e_value = models.FloatField(_("e-value"), null=True)
    reason = models.TextField(_("reason"), blank=True)
    resumed_at = models.DateTimeField(_("resumed"), null=True)
    resumed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("resumed by"), null=True,
        on_delete=models.SET_NULL, related_name="+",
    )  # fmt: skip
    resume_reason = models.TextField(_("reason for resuming"), blank=True)

    class Meta:
        verbose_name = _("automation stop")
        verbose_name_plural = _("automation stops")
        constraints = [
            models.UniqueConstraint(
                fields=["classifier", "rule", "category_key"],
                condition=Q(resumed_at__isnull=True),
                name="marketplace_ai_one_stop",
            ),
        ]

    def __str__(self) -> str:
        return self.category_key or str(self.Rule(self.rule).label)
