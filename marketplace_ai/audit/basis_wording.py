"""What the guarantee of a classifier version rests on, in a sentence for people and as keys for
programs."""

from __future__ import annotations

import math
from typing import Any

from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from marketplace_ai.guarantee.basis import Basis, BasisKind, OutOfScope
from marketplace_ai.guarantee.rows_needed import AuditEvidence, answers_missing
from marketplace_ai.guarantee.target import Target
from marketplace_ai.models import ClassifierVersion

from .evidence import audit_evidence, audit_state


def stored_basis(version: ClassifierVersion) -> Basis | None:
    """The basis that was stored with a version; None for one that has none."""
    try:
        return Basis.from_dict(version.figures["basis"])
    except (KeyError, TypeError, ValueError):
        return None


def basis_report(version: ClassifierVersion) -> dict[str, Any] | None:
    """The basis of a version as keys for ``--json``; None for one that has none.

    Beside the stored ones: ``answers_counted`` of the random audit, ``answers_missing`` about
    automatic postings to prove the target in production (0: suffices; None: the error rate seen is
    too high), ``sentence`` and ``out_of_scope_sentence`` ("" where nothing is automatic).
    """
    basis = stored_basis(version)
    if basis is None:
        return None
    target = Target(version.target_precision, version.confidence_level)
    state = audit_state(target, version if version.is_active else None)
    counted = len(state.counted.kept)
    evidence = audit_evidence(state.counted, version)
    missing = answers_missing(evidence, target)
    if basis.kind is BasisKind.AUDIT or state.suffices:
        missing = 0
    sentence = _what(basis, by_heart=version.encoder.is_fine_tuned)
    if basis.source is not BasisKind.AUDIT:
        sentence = f"{sentence}; {_missing(missing, counted, evidence)}"
    return {
        **basis.as_dict(),
        "answers_counted": counted,
        "answers_missing": missing,
        "sentence": f"{sentence}.",
        "out_of_scope_sentence": ""
        if basis.kind is BasisKind.NOTHING
        else out_of_scope_sentence(basis.out_of_scope),
    }


def _what(basis: Basis, *, by_heart: bool) -> str:
    if basis.source is BasisKind.EXEMPLARS and by_heart:
        return _(
            "Nothing is guaranteed or automatic, because the encoder was fine-tuned, most likely "
            "on the exemplars, which therefore prove nothing: give labeled rows that it has not "
            "seen (fit_classifier --calibration FILE)"
        )
    if basis.kind is BasisKind.EXEMPLARS:
        text = _(
            "The guarantee rests on %(rows)s exemplars, each decided by a fit without its family: "
            "it holds for texts like them, and they are no sample of what comes in"
        )
    elif basis.kind is BasisKind.FILE:
        text = _(
            "The guarantee rests on %(rows)s labeled rows of a file, and holds in production if "
            "they were drawn at random from what comes in"
        )
    elif basis.kind is BasisKind.AUDIT:
        text = _(
            "The guarantee rests on %(rows)s answers of the random audit, a sample of what came in"
        )
    else:
        text = _("Nothing is guaranteed or automatic, because %(rows)s rows prove too little")
    return text % {"rows": number_format(basis.rows, force_grouping=True)}


def _missing(missing: int | None, counted: int, evidence: AuditEvidence) -> str:
    if missing is None:
        return _(
            "of %(answers)d counted answers of the random audit %(errors)d say that it was wrong, "
            "too many to prove it in production"
        ) % {"answers": evidence.answers, "errors": evidence.errors}
    if not missing:
        return _(
            "%(counted)d answers of the random audit suffice for one that holds in production: "
            "run fit_classifier"
        ) % {"counted": counted}
    if evidence.errors:
        return ngettext(
            "%(missing)d more answer of the random audit about an automatic posting, as seldom "
            "wrong as so far, makes it one that holds in production",
            "%(missing)d more answers of the random audit about automatic postings, as seldom "
            "wrong as so far, make it one that holds in production",
            missing,
        ) % {"missing": missing}
    return ngettext(
        "%(missing)d more answer of the random audit about an automatic posting, not wrong, makes "
        "it one that holds in production",
        "%(missing)d more answers of the random audit about automatic postings, none of them "
        "wrong, make it one that holds in production",
        missing,
    ) % {"missing": missing}


def out_of_scope_sentence(found: OutOfScope) -> str:
    """How many rows without a category were seen, and what the guarantee is worth among a tenth
    of such postings."""
    worst = _percent(found.worst_precision)
    if found.precision is None:
        return _(
            "If a tenth of the postings fit no category, the precision is unknown, in the worst "
            "case %(worst)s: no row without a category was seen, and %(needed)d would be needed."
        ) % {"worst": worst, "needed": found.rows_needed}
    return _(
        "%(rows)d rows without a category were seen, %(accepted)d of them given one; if a tenth of "
        "the postings are like them, the precision is %(seen)s, in the worst case %(worst)s."
    ) % {
        "rows": found.rows,
        "accepted": found.accepted,
        "seen": _percent(found.precision),
        "worst": worst,
    }


def _percent(share: float) -> str:
    """Rounded down: it never says more than was proven."""
    return _("%(number)s%%") % {"number": number_format(math.floor(1000 * share) / 10, 1)}
