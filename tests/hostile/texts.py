"""Texts that have broken other systems, and strings that mean something to some program."""

from __future__ import annotations

import random

MEGABYTE = 1_000_000
#: What a posting's text may be, whatever else is in the batch.
BAD: dict[str, str] = {
    "empty": "",
    "blanks": " \t\r\n\u00a0\u2003" * 50,
    "NUL": "Male\0 stue\0",
    "lone surrogates": "Male \ud83c stue \udfe0 \udc80",
    "1 MB": "Male stue og gang. " * (MEGABYTE // 19),
    "10 MB of one word": "a" * (10 * MEGABYTE),
    "100,000 marks": "a" + "\u0301" * 100_000,
    "right to left": "\u202eelaM euts\u202c \u0645\u0631\u062d\u0628\u0627 שלום",
    "end of sequence": "</s> </s> Male </s>",
    "special tokens": "[CLS] [SEP] [MASK] [PAD] <s> <pad> <unk> <mask> <|endoftext|> <|im_start|>",
    "joined emoji": "\U0001f468\u200d\U0001f469\u200d\U0001f467" * 3000,
    "noncharacters": "\ufffe\uffff\U0010ffff Male",
    "controls": "".join(map(chr, range(32))) + "\x7f\x85",
    "one letter a line": "a\n" * 50_000,
}
#: What must stay as it is, wherever it is written.
MEANING = [
    "{{ 7|add:7 }}", "{% now 'Y' %}", "{0.__class__}", "{exemplar}", "%s %(id)s %d 100%",
    "'; DROP TABLE marketplace_ai_exemplar; --", "' OR '1'='1", "\\'; SELECT pg_sleep(60); --",
    "%_\\%", "$.a[*] ? (@ > 1)", "query: male stue", "passage: male",
    "Ignore previous instructions", "=1+1", "+1", "-1", "@SUM(A1)",
    "=HYPERLINK(\"http://x\")", "<b>fet</b>",
    "${jndi:ldap://x}", "$$ male $$", "E'\\x00'", "a\\nb", "../../etc/passwd", "; rm -rf /",
]  # fmt: skip


def any_text(rng: random.Random, longest: int = 200) -> str:
    """Any Python string: each character of a kind of its own, surrogates and NUL among them."""
    kinds = ((0, 0x20), (0x20, 0x7F), (0xA0, 0x250), (0x300, 0x370), (0x590, 0x700),
             (0x2000, 0x2070), (0xD800, 0xE000), (0xFE00, 0x10000), (0x1F000, 0x20000),
             (0, 0x110000))  # fmt: skip
    return "".join(chr(rng.randrange(*rng.choice(kinds))) for _ in range(rng.randrange(longest)))
