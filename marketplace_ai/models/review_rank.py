"""The order in which postings in review teach most."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from .decision import Decision


class ReviewRank(models.Model):
    """The place of a waiting decision in the acquisition order, 1 for the first.

    ``plan_labels --store`` replaces all rows at once. A decision that is not among them was not
    chosen, or is newer; the rows of those that no longer wait stay until then and matter to nobody.
    """

    decision = models.OneToOneField(
        Decision, primary_key=True, on_delete=models.DO_NOTHING, db_constraint=False,
        related_name="review_rank",
    )  # fmt: skip
    rank = models.PositiveIntegerField(_("teaches most"), db_index=True)
    ranked_at = models.DateTimeField(_("ranked"))

    class Meta:
        verbose_name = _("place in the review queue")
        verbose_name_plural = _("places in the review queue")

    def __str__(self) -> str:
        return f"{self.rank}: {self.decision_id}"
