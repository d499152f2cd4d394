"""Personal data out of a text before anything is learnt from it or kept of it.

Gone are phone numbers, e-mail addresses, national identity numbers, street addresses with
their numbers and door codes, in Norwegian, Swedish, Danish and English texts. Names, places,
streets without a number, company and account numbers stay. docs/privacy.md has the figures.

Pure Python: the rules are regular expressions whose every repetition is bounded or possessive,
so a text costs time in proportion to its length, whatever it holds.
"""

from __future__ import annotations

import re
from functools import lru_cache

from . import addresses, codes, emails, identity, phones
from .rule import MARK

__all__ = ["LONGEST_ITEM", "MARK", "scrub"]

#: No single piece of personal data has more characters.
LONGEST_ITEM = 200

#: What a text must have for a rule to find anything; looked for first, which costs less.
_SIGN = re.compile(emails.SIGN, re.IGNORECASE)
_SIX_DIGITS = re.compile(r"\A(?:\D*+\d){6}")
_ANYTHING = re.compile("")
#: In this order: an e-mail address may hold what looks like a number, and an identity number
#: holds what looks like a phone number.
_RULES = (
    (_SIGN, emails.scrub),
    (_SIX_DIGITS, identity.scrub),
    (_SIX_DIGITS, phones.scrub),
    (_ANYTHING, addresses.scrub),
    (_ANYTHING, codes.scrub),
)
#: One pass finds all that people write, and a second one that nothing is left. Only a text made
#: for it (each number's unit is part of the next address) needs more.
_PASSES = 5
#: Without one of these nothing can match: most texts cost no more than this look.
_CANDIDATE = re.compile(rf"\d|{emails.SIGN}", re.IGNORECASE)
_DIGITS = re.compile(r"\d+")
#: Texts that are remembered: a worker scrubs each of its two claims when it reads them, and
#: again when it asks, under the posting's lock, whether the text is still the same.
_REMEMBERED = 2048


@lru_cache(_REMEMBERED)
def scrub(text: str) -> str:
    """The text with ``MARK`` in the place of each piece of personal data.

    A text without any comes back unchanged, and so does a scrubbed one. Never raises.
    """
    if not _CANDIDATE.search(text):
        return text
    for _ in range(_PASSES):
        before = text
        for needed, rule in _RULES:
            if needed.search(text):
                text = rule(text)
        if text == before:
            return text
    # Made to be endless: nothing is left to match where there is no digit.
    return emails.scrub(_DIGITS.sub(MARK, text))
