"""The words of one language that the scrub rules and the split into clauses need."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, fields

Words = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Language:
    """Words, grouped by what they do in a text. A language leaves out what it has no words for.

    A word is a regular expression without capturing groups that matches in any case. A word of
    a field marked "plain" is compared as a string: it is in lower case and holds no syntax.
    """

    # Any text.
    conjunctions: Words = ()  # plain; "and": one job may end and another begin there
    is_words: Words = ()  # between a word and its number: "the code is 1234"
    was_words: Words = ()  # other forms of the same verb
    my_words: Words = ()  # beside "address": "our address"

    # Numbers that are not personal.
    units: Words = ()  # behind a number: measures, amounts, times, things that are counted
    currencies: Words = ()  # before or behind an amount
    catalogue_words: Words = ()  # before the number of an article, an order, a company
    year_words: Words = ()  # before a year: "built", "since"; matched in lower case
    clock_words: Words = ()  # before a time of day
    number_words: Words = ()  # "number" and its abbreviation, between a word and a number

    # Phone numbers.
    phone_words: Words = ()  # announce a phone number, with or without words in between
    direct_phone_words: Words = ()  # announce a phone number only right behind them
    distant_phone_words: Words = ()  # speak for a phone number where the digits alone leave doubt
    phone_number_words: Words = ()  # number_words that only phone numbers have
    phone_prepositions: Words = ()  # "call me on 12345678"
    phone_endings: Words = ()  # plain; ends of words that may touch the number: "tlf12345678"

    # National identity numbers.
    identity_words: Words = ()  # before the number; with \b where a word must begin

    # E-mail addresses written out.
    at_words: Words = ()  # names of the @ sign that mean nothing else
    bracketed_at_words: Words = ()  # names of the @ sign within brackets: "(at)"
    at_prepositions: Words = ()  # common words for @; a known mail host or a dot_word must follow
    dot_words: Words = ()  # names of the period

    # Streets.
    street_endings: Words = ()  # ends of words that hardly any other word has
    capital_street_endings: Words = ()  # plain; count only in a word with a capital letter
    short_street_endings: Words = ()  # plain; abbreviations that many other words end in
    place_endings: Words = ()  # ends of names of streets and of common nouns: "hill", "garden"
    rare_place_endings: Words = ()  # plain; the same, but rarely a street's
    street_words: Words = ()  # words of their own between a name and a number: "Karls gate 22"
    sure_street_words: Words = ()  # plain; first letters of street_words that need no genitive
    capital_street_words: Words = ()  # with this capital letter only: "12 High Street"
    directions: Words = ()  # before a street's name: "upper", "old", "saint"
    road_stems: Words = ()  # make a common noun of a street ending: "tail" in "tailgate"
    place_stems: Words = ()  # make a common noun of a place ending: "back" in "backyard"
    numbered_road_stems: Words = ()  # "motor" in "motorway 6"
    numbered_road_words: Words = ()  # "way" in "motorway 6"
    other_words: Words = ()  # whole words that end like a street and are none

    # Addresses.
    address_words: Words = ()  # announce an address
    living_words: Words = ()  # "live", before one of the living_prepositions
    living_prepositions: Words = ()
    place_words: Words = ()  # before an address: prepositions of place, "live", "address"
    words_after_addresses: Words = ()  # follow an address, and not a number of things
    flat_words: Words = ()  # before the number of a flat
    flat_number_words: Words = ()  # "number" between a flat's word and its number
    flat_sides: Words = ()  # behind the number of a floor: "2. tv"
    dwelling_words: Words = ()  # before the code of a dwelling: "bolig H0203"
    words_before_house_numbers: Words = ()  # "at" in "at 12 high street"
    house_streets: Words = ()  # "street" in "at 12 high street"
    house_things: Words = ()  # what is no street's name there: "small" in "at 12 small lane"

    # Codes of doors, key boxes and alarms.
    code_words: Words = ()  # "code", also as the end of a longer word
    separate_code_words: Words = ()  # "code", never as the end of a longer word
    pin_words: Words = ()  # plain; announce four to six digits
    code_locks: Words = ()  # plain; announce a code only where "is" or a colon follows
    key_boxes: Words = ()
    key_box_endings: Words = ()  # inflections of key_boxes
    code_stems: Words = ()  # "code" to the end of the word; what stands before says which kind
    code_kinds: Words = ()  # "door" in "1234 is the door code"
    code_owners: Words = ()  # "the" in "1234 is the code"
    code_joiners: Words = ()  # between two codes
    code_places: Words = ()  # between a joiner and the second code: "and for gate B"
    code_prepositions: Words = ()  # plain; "for" in "the code for the door 1234"
    other_codes: Words = ()  # before "code", ends of words that mean no way in: "error code"


def listed(text: str) -> Words:
    """Split words at commas, so that a word may hold blanks."""
    return tuple(re.split(r",\s+", text.strip()))


def union(languages: Iterable[Language]) -> Language:
    """All words of several languages, each once."""
    chosen = tuple(languages)
    return Language(
        **{
            field.name: tuple(
                dict.fromkeys(word for one in chosen for word in getattr(one, field.name))
            )
            for field in fields(Language)
        }
    )


def any_of(*groups: Words) -> str:
    """A pattern for any word of the groups, longest first; without words it matches nothing."""
    words = {word for group in groups for word in group}
    return "|".join(sorted(words, key=lambda word: (-len(word), word))) or "(?!)"
