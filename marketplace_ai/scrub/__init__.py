"""Removal of personal data from a text, before the text is encoded or kept.

Phone numbers, e-mail addresses, national identity numbers, street addresses with a number and
door codes go, in texts of the languages in ``languages/``. Names, places, streets without a
number, company and account numbers stay. docs/privacy.md has the figures.

The rules are regular expressions in which every repetition is bounded or possessive, so the
time is in proportion to the length of the text, whatever it holds.
"""

from __future__ import annotations

import re
from functools import lru_cache

from . import addresses, codes, emails, identity, phones
from .rule import MARK

__all__ = ["LONGEST_ITEM", "MARK", "scrub"]

#: No single piece of personal data has more characters.
LONGEST_ITEM = 200

#: Conditions of the rules. A search for one costs less than the rule.
_MAIL_SIGN = re.compile(emails.SIGN, re.IGNORECASE)
_SIX_DIGITS = re.compile(r"\A(?:\D*+\d){6}")
_ALWAYS = re.compile("")
#: Conditions and rules in order: an e-mail address may hold what looks like a phone number, and
#: so may an identity number.
_RULES = (
    (_MAIL_SIGN, emails.scrub),
    (_SIX_DIGITS, identity.scrub),
    (_SIX_DIGITS, phones.scrub),
    (_ALWAYS, addresses.scrub),
    (_ALWAYS, codes.scrub),
)
#: One pass finds all that people write, and a second pass finds that nothing is left. Only a text
#: made for it, where the unit of each number is part of the next address, needs more.
_PASSES = 5
#: No rule matches in a text without a match of this pattern; most texts cost only this search.
_CANDIDATE = re.compile(rf"\d|{emails.SIGN}", re.IGNORECASE)
_DIGITS = re.compile(r"\d+")
#: Results kept in memory: a worker scrubs the texts of its two claims when it reads them, and
#: again when it asks, under the posting's lock, whether a text is still the same.
_CACHED_TEXTS = 2048


@lru_cache(_CACHED_TEXTS)
def scrub(text: str) -> str:
    """Put ``MARK`` in the place of each piece of personal data.

    A text without personal data comes back unchanged, and so does a scrubbed one. Never raises.
    """
    if not _CANDIDATE.search(text):
        return text
    for _ in range(_PASSES):
        before = text
        for condition, rule in _RULES:
            if condition.search(text):
                text = rule(text)
        if text == before:
            return text
    # A text made to need endless passes: only e-mail addresses match without digits.
    return emails.scrub(_DIGITS.sub(MARK, text))
