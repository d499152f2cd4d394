"""Whether exemplars should be condensed."""

from __future__ import annotations

from collections.abc import Iterator

from marketplace_ai.doctor.finding import Finding
from marketplace_ai.models import ClassifierVersion, Exemplar

#: With fewer votes a batch is compared in less time than it takes to be encoded on any machine, and
#: they fit into any worker's memory.
MANY_VOTES = 20_000


def condensing() -> Iterator[Finding]:
    """How many exemplars vote, where condensing them is worth it: many, and as many since the last
    time as were left then."""
    votes = Exemplar.objects.labeled().filter(condensed_by=None)
    count = votes.count()
    if count < MANY_VOTES:
        return
    last = (
        ClassifierVersion.objects.filter(pk__in=Exemplar.objects.condensed().values("condensed_by"))
        .order_by("-pk")
        .values_list("created_at", flat=True)
        .first()
    )
    if last is not None and votes.filter(created_at__gt=last).count() < count / 2:
        return
    since = "" if last is None else ", half of them newer than the last condensing"
    yield Finding(
        "condensing", True,
        f"{count:,} exemplars vote{since}. Every worker holds them in memory, each posting is "
        "compared with all of them, and a fit compares all with each other.",
        "Run manage.py condense_exemplars --dry-run: it says how many suffice, and at what cost.",
        {"votes": count},
    )  # fmt: skip


CHECKS = [condensing]
