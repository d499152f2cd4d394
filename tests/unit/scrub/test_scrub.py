"""Personal data is gone, what looks like it stays, and no text can make it slow.

``texts`` holds texts by kind, with what must go between ⟦ and ⟧; ``nothing.txt`` has what
must stay, byte for byte.
"""

from __future__ import annotations

import csv
import datetime as dt
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from marketplace_ai.scrub import LONGEST_ITEM, MARK, scrub
from marketplace_ai.text.normalize import normalize

ROOT = Path(__file__).resolve().parents[3]
TEXTS = Path(__file__).parent / "texts"
DEMO = ROOT / "demo/data"
ITEM = re.compile("⟦(.+?)⟧")
KINDS = ("phones", "emails", "identity", "addresses", "codes")


def lines(kind: str) -> list[str]:
    return (TEXTS / f"{kind}.txt").read_text(encoding="utf-8").splitlines()


def rows(name: str) -> list[dict[str, str]]:
    with (DEMO / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


MARKED = [line for kind in KINDS for line in lines(kind)]
NOTHING = lines("nothing")
ITEMS = [item for line in MARKED for item in ITEM.findall(line)]
SENTENCES = [re.sub("[⟦⟧]", "", line) for line in MARKED] + NOTHING


@pytest.mark.parametrize("line", MARKED)
def test_what_is_personal_goes_and_the_rest_stays(line: str) -> None:
    assert scrub(ITEM.sub(r"\1", line)) == ITEM.sub(MARK, line)


@pytest.mark.parametrize("line", NOTHING)
@pytest.mark.parametrize("around", ["{}", "{}.", "Hei. {} takk", "Hjelp\n{}\nmer"])
@pytest.mark.slow
def test_what_only_looks_like_it_stays(line: str, around: str) -> None:
    text = around.format(line)
    assert scrub(text) == text


def test_all_planted_items_of_the_demos_postings_go() -> None:
    texts = {row["title"]: f"{row['title']}\n{row['description']}" for row in rows("postings_nb")}
    with (ROOT / "bench/planted_nb.csv").open(encoding="utf-8", newline="") as file:
        planted = list(csv.DictReader(file))
    assert len({row["title"] for row in planted}) == 16
    for row in planted:
        assert row["item"] in texts[row["title"]]
        assert row["item"] not in scrub(texts[row["title"]]), row
    changed = {title for title, text in texts.items() if scrub(text) != text}
    assert changed == {row["title"] for row in planted}


@pytest.mark.parametrize("name", ["exemplars_nb", "calibration_nb"])
def test_texts_without_personal_data_stay(name: str) -> None:
    for row in rows(name):
        text = row.get("text") or f"{row['title']}\n{row['description']}"
        assert scrub(text) == text


#: A machine that is busy is no failure.
ANY = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])

# -- for any text ------------------------------------------------------------------------

#: What the rules are made of, so that random texts come near them.
PARTS = [
    *ITEMS, *"0123456789 .,-\u2013/()@#*:+\nAaMx", "kode", "kode er ", "Kirkegata ", "Ab ", "gate ",
    "veien ", " at ", " dot ", "(at)", ".no", "tlf ", "+47 ", "00", "kvm", " M gate ", "adresse ",
    "1 ", "12", "900", MARK, "4417#", " er koden", "Nordre ", " Street", "fnr ", "010190", "nr",
]  # fmt: skip
TEXT = st.one_of(
    st.text(max_size=80),
    st.lists(st.one_of(st.sampled_from(PARTS), st.sampled_from(SENTENCES)), max_size=14).map(
        "".join
    ),
    st.lists(st.sampled_from(SENTENCES), max_size=4).map(" ".join),
)


@ANY
@given(TEXT)
@example("Agata 1" + " M gate 2" * 30)
@example("900 00 014 " * 30)
@example("kode 1111, " * 20)
def test_a_scrubbed_text_stays_as_it_is(text: str) -> None:
    once = scrub(text)
    assert scrub(once) == once


@ANY
@given(TEXT)
def test_nothing_is_added_but_the_mark(text: str) -> None:
    left = iter(text)
    for part in scrub(text):
        assert part == MARK or part in left  # what is left stands in its order


@ANY
@given(TEXT)
def test_a_prepared_text_stays_prepared(text: str) -> None:
    once = normalize(scrub(normalize(text)))
    assert normalize(scrub(once)) == once


@ANY
@given(st.text(st.characters(exclude_categories=["Nd"], exclude_characters="@")))
def test_a_text_without_digits_stays_but_for_hidden_mail(text: str) -> None:
    assume(not re.search(r"at|dot|punktum|punkt|prikk|snabel|krøll|\ba\b", text, re.IGNORECASE))
    assert scrub(text) == text


def number(groups: tuple[int, ...], joint: str, digits: list[int]) -> str:
    drawn = iter(digits)
    return joint.join("".join(str(next(drawn)) for _ in range(size)) for size in groups)


@ANY
@given(
    st.sampled_from([(8,), (3, 2, 3), (2, 2, 2, 2)]),
    st.sampled_from([" ", "\u00a0"]),
    st.sampled_from("49"),
    st.lists(st.integers(0, 9), min_size=7, max_size=7),
    st.sampled_from(["", "+47 ", "0047 ", "+47", "(+47) "]),
    st.sampled_from(["Ring {} i dag", "{}", "Male stue. Tlf: {}", "Ola ({})", "sms {}, takk"]),
)
def test_any_norwegian_mobile_goes(
    groups: tuple[int, ...], joint: str, first: str, rest: list[int], code: str, sentence: str
) -> None:
    phone = code + number(groups, joint, [int(first), *rest])
    assert scrub(sentence.format(phone)) == sentence.format(MARK)


@ANY
@given(
    st.dates(),
    st.integers(0, 99999),
    st.sampled_from([0, 40]),
    st.sampled_from(["{:05d}", " {:05d}", "-{:05d}"]),
)
def test_any_norwegian_identity_number_goes(
    date: dt.date, tail: int, shift: int, form: str
) -> None:
    born = f"{date.day + shift:02d}{date.month:02d}{date.year % 100:02d}"
    text = f"Hilsen Kari, {born}{form.format(tail)}."
    assert scrub(text) == f"Hilsen Kari, {MARK}."


@ANY
@given(st.dates(), st.integers(0, 9999), st.sampled_from("-+"))
def test_any_swedish_and_danish_identity_number_goes(date: dt.date, tail: int, sign: str) -> None:
    year, month, day = f"{date.year % 100:02d}", f"{date.month:02d}", f"{date.day:02d}"
    for number in (f"{year}{month}{day}{sign}{tail:04d}", f"{day}{month}{year}-{tail:04d}"):
        assert scrub(f"Min er {number}, hej") == f"Min er {MARK}, hej"


@ANY
@given(
    st.from_regex(r"[a-z][a-z0-9]{0,8}([._+-][a-z0-9]{1,6}){0,2}", fullmatch=True),
    st.from_regex(r"[a-z]{2,9}(-[a-z]{2,5})?", fullmatch=True),
    st.sampled_from(["no", "com", "se", "dk", "co.uk", "org"]),
    st.sampled_from(["@", " @ ", " (at) ", "(at)", "[at]"]),
)
def test_any_mail_address_goes(local: str, host: str, top: str, sign: str) -> None:
    assert scrub(f"Skriv til {local}{sign}{host}.{top}, takk") == f"Skriv til {MARK}, takk"


@ANY
@given(
    st.sampled_from(
        ["Storgata", "Kirkeveien", "Tranebærstien", "Kungsgatan", "Elmevej", "Åsvegen"]
    ),
    st.integers(1, 899),
    st.sampled_from(["", "B", " C", "b"]),
    st.sampled_from(["Vi bor i {}.", "Adressen er {}, rødt hus", "{}", "Befaring i {} på lørdag"]),
)
def test_any_number_of_a_street_goes(street: str, house: int, letter: str, sentence: str) -> None:
    assert scrub(sentence.format(f"{street} {house}{letter}")) == sentence.format(MARK)
    alone = sentence.format(street)
    assert scrub(alone) == alone


@ANY
@given(
    st.integers(1, 9999),
    st.sampled_from(["kvm", "m2", "m²", "meter", "kr", "cm", "liter", "kWh", "V", "A", "stk"]),
    st.sampled_from(["Gulv på {}", "Terrasse {} i hagen", "ca {}, nord", "gangvei {}", "Hagen {}"]),
)
def test_any_measure_stays(value: int, unit: str, sentence: str) -> None:
    for text in (f"{value} {unit}", f"{value}{unit}"):
        assert scrub(sentence.format(text)) == sentence.format(text)


# -- time ----------------------------------------------------------------------------------

#: Ends a process whose text cost more than its length, long before a test run would.
TIMED = """
import sys, time
from marketplace_ai.scrub import scrub
def cost(part, size):
    text = (part * (size // len(part) + 1))[:size]
    start = time.process_time()
    scrub(text)
    return time.process_time() - start
for part in sys.stdin.read().split("\\0"):
    small, large = cost(part, 4_000), cost(part, 32_000)
    if large > 30 * max(small, 0.01):
        sys.exit(f"{part!r}: {small:.3f} s for 4,000 characters, {large:.3f} s for 32,000")
"""
HOSTILE = [
    "a", "1", "1 ", "+4", "00", "a@", "a.", "a at ", "(at) ", "dot ", "a dot ", "9 0 ", "-", "1/",
    "900 00 014 ", "kode ", "kode a ", "kode 1234, ", "Agata 1 M gate ", "Ab ", "Ab gate 2 ",
    "storgata 1 ", "tlf 1 ", "adresse A ", "#", "12 Ab ", "AB 12 ", "a'", " ", "\n", "é", "x" * 40,
]  # fmt: skip


@pytest.mark.slow
def test_no_text_costs_more_than_its_length() -> None:
    """Eight times the length may cost eight times the time, quadratic rules would cost 64."""
    done = subprocess.run(
        [sys.executable, "-c", TIMED], input="\0".join(HOSTILE), cwd=ROOT, text=True,
        capture_output=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("part", ["Ring 900 00 014 eller ola@firma.no. ", "a at b ", "1"])
@pytest.mark.slow
def test_a_text_of_a_megabyte(part: str) -> None:
    text = part * (1_000_000 // len(part))
    done = subprocess.run(
        [sys.executable, "-c", "import sys; from marketplace_ai.scrub import scrub\n"
         "sys.stdout.write(scrub(sys.stdin.read()))"],
        input=text, cwd=ROOT, text=True, capture_output=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "@" not in done.stdout
    assert "900" not in done.stdout


def test_no_item_is_longer_than_what_is_read_beyond_the_end() -> None:
    assert max(map(len, ITEMS)) < LONGEST_ITEM
