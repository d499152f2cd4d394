"""Finnish: conjunctions alone. The scrub rules know no Finnish words."""

from __future__ import annotations

from .language import Language, listed

LANGUAGE = Language(conjunctions=listed("ja, sekä"))
