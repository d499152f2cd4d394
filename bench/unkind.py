"""Data as people have it: families and templates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache, partial
from statistics import mean
from typing import Any

import numpy as np

from marketplace_ai.classifier.families import find_families
from marketplace_ai.evaluation.evaluate import evaluate
from marketplace_ai.evaluation.figures import ScoredRow
from marketplace_ai.evaluation.vectors import EncodedRows
from marketplace_ai.management.console import progress
from marketplace_ai.text.labeled_csv import LabeledRows

from .catalogue import TARGET
from .inputs import catalogue, encoded, encoded_rows, public_split
from .rows import Benchmark
from .strangers import TAGGED

FAMILIES = "families_massive"
#: Shots and seeds of the public sets that are drawn from.
SHOTS, SEEDS = 24, (0, 1, 2)
#: Rows in families of more than this say that families were chained.
LARGE = 10
TEMPLATES = {
    "form": "Forespørsel fra nettskjema\nJobb: {}\nSkjemaet er sendt inn fra nettsiden.\n"
    "Kunden har godtatt vilkårene.\nSvar kunden innen to virkedager.\n"
    "Ikke svar på denne e-posten.\nMed vennlig hilsen kundesenteret",
    "footer": "{}\nDenne meldingen er sendt via appen. Opplysninger om deg behandles som vilkårene "
    "våre sier, som du finner på nettsidene. Har du spørsmål om hvordan vi behandler dem, kan du "
    "kontakte kundesenteret på hverdager. Meldingen kan være fortrolig og er ment for mottakeren "
    "alene. Er du ikke rett mottaker, ber vi deg slette den og si fra til oss.",
    "HTML": '<div class="job"><h1>{}</h1><p style="margin:0">&nbsp;</p></div>',
}


def benchmarks() -> Iterator[Benchmark]:
    for known in (True, False):
        name = f"{FAMILIES}, family {'given' if known else 'hidden'}"
        yield Benchmark(
            f"unkind data: automatic: {name}",
            "share", 0.3, "higher", partial(automatic, known), public=True,
        )  # fmt: skip
        yield Benchmark(
            f"unkind data: right of the automatic: {name}",
            "share", TARGET.precision, "higher", partial(precision, known), public=True,
        )  # fmt: skip
        yield Benchmark(
            f"unkind data: calibration error (ECE): {name}",
            "", 0.05, "lower", partial(calibration_error, known), public=True,
        )  # fmt: skip
    yield Benchmark(
        "unkind data: found pairs of one family that are true", "share", None, "higher",
        partial(pairs, "true"), public=True,
    )  # fmt: skip
    yield Benchmark(
        "unkind data: true pairs of one family that are found", "share", None, "higher",
        partial(pairs, "found"), public=True,
    )  # fmt: skip
    for name in ("hwu64", "banking77"):
        yield Benchmark(
            f"unkind data: rows in families of more than {LARGE}: {name}", "share", 0.02, "lower",
            partial(in_large_families, name), public=True,
        )  # fmt: skip
    yield Benchmark(
        f"unkind data: automatic: hwu64, {SHOTS} a category", "share", 0.5, "higher",
        partial(of_hwu64, "coverage"), public=True,
    )  # fmt: skip
    yield Benchmark(
        f"unkind data: right of the automatic: hwu64, {SHOTS} a category",
        "share", TARGET.precision, "higher", partial(of_hwu64, "precision"), public=True,
    )  # fmt: skip
    for template in TEMPLATES:
        yield Benchmark(
            f"unkind data: automatic in a template by the bare titles': {template}",
            "ratio", 0.9, "higher", partial(in_template, template),
        )  # fmt: skip
    yield Benchmark(
        "unkind data: wrong among the automatic in templates", "of 3 x 138", None, "lower",
        wrong_in_templates,
    )  # fmt: skip


def automatic(known: bool) -> float:
    return float(of_families(known)["auto"]["coverage"])


def precision(known: bool) -> float:
    """1 where nothing is automatic: then nothing is wrong."""
    found = of_families(known)["auto"]
    return float(1 - found["errors"] / max(found["n"], 1))


def calibration_error(known: bool) -> float:
    return float(of_families(known)["calibration"]["ece"])


@cache
def of_families(known: bool) -> Mapping[str, Any]:
    """The published test split; a family is one sentence in five languages."""
    train, test = encoded(public_split(FAMILIES, "train", "test"))
    if not known:
        train = replace(train, rows=replace(train.rows, families=()))
    return _evaluated(train, test)


def pairs(what: str) -> float:
    """Of all pairs in found families the share that is true, or of all true ones those found."""
    train, _ = encoded(public_split(FAMILIES, "train", "test"))
    families = find_families(train.rows.texts, train.vectors)
    _, true = np.unique(train.rows.families, return_inverse=True)
    both = _pairs(families * (int(true.max()) + 1) + true)
    return both / _pairs(families if what == "true" else true)


def _pairs(groups: np.ndarray) -> int:
    sizes = np.unique(groups, return_counts=True)[1]
    return int((sizes * (sizes - 1) // 2).sum())


def in_large_families(name: str) -> float:
    train, _ = encoded(public_split(name, "train", "test"))
    sizes = np.unique(find_families(train.rows.texts, train.vectors), return_counts=True)[1]
    return float(sizes[sizes > LARGE].sum() / sizes.sum())


def of_hwu64(what: str) -> float:
    """Mean over the draws; the precision of all their automatic rows together."""
    found = [hwu64(seed)["auto"] for seed in SEEDS]
    if what == "coverage":
        return float(mean(each["coverage"] for each in found))
    return float(1 - sum(each["errors"] for each in found) / sum(each["n"] for each in found))


@cache
def hwu64(seed: int) -> Mapping[str, Any]:
    train, test = encoded(public_split("hwu64", "train", "test", SHOTS, seed))
    return _evaluated(train, test)


def in_template(name: str) -> float:
    def share(template: str) -> float:
        return mean(row.prediction.outcome == "automatic" for row in templated(template))

    return share(TEMPLATES[name]) / share("{}")


def wrong_in_templates() -> float:
    rows = [row for template in TEMPLATES.values() for row in templated(template)]
    return sum(_tagged(row) and row.prediction.label not in row.true_labels for row in rows)


@cache
def templated(template: str) -> list[ScoredRow]:
    """The demo's titles, in the same template wherever they are learned from or decided."""
    train, test, calibration = (
        encoded_rows(_in_template(rows, template)) for rows in catalogue().files
    )
    return evaluate(
        train, test, calibration, target=TARGET, with_baselines=False, progress=progress
    ).rows


def _in_template(rows: LabeledRows, template: str) -> LabeledRows:
    return replace(rows, texts=[template.format(text.partition("\n")[0]) for text in rows.texts])


def _tagged(row: ScoredRow) -> bool:
    return row.prediction.outcome in TAGGED


def _evaluated(train: EncodedRows, test: EncodedRows) -> Mapping[str, Any]:
    return evaluate(train, test, target=TARGET, with_baselines=False, progress=progress).figures
