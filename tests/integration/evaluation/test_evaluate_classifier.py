"""``evaluate_classifier`` as an ML engineer calls it: no server is there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from demo.services.command import _needs_services
from marketplace_ai.management.commands.evaluate_classifier import Command

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
MANAGE = [sys.executable, str(ROOT / "manage.py")]

WORDS = {
    "maling": ["male", "maling", "sparkle", "tapet", "vegg"],
    "rorlegger": ["kran", "avløp", "rør", "toalett", "vask"],
    "plen": ["gress", "plen", "klippe", "gjødsle", "kant"],
    "none": ["selger", "hei", "klikk", "gratis", "vinn"],
}
CATALOG = "slug,parent,name_nb\nbygg,,Bygg\nmaling,bygg,M\nrorlegger,bygg,R\nhage,,H\nplen,hage,P\n"
ATTACK = "<script>alert(1)</script> <b onmouseover=x>male vegg"
KEYS = {
    "n", "accuracy", "parent_accuracy", "top3_accuracy", "auto", "auto_parent", "none", "secondary",
    "calibration", "by_kind", "baselines", "seconds",
}  # fmt: skip


def environment() -> dict[str, str]:
    return {
        **os.environ,
        "DATABASE_URL": "postgres://127.0.0.1:1/nowhere",
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "OMP_NUM_THREADS": "1",
    }


def run(*arguments: str | Path, **extra: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*MANAGE, "evaluate_classifier", *map(str, arguments)],
        cwd=ROOT, env={**environment(), **extra}, capture_output=True, text=True, timeout=100,
    )  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file of 240 rows by split and kind, a calibration file and a catalogue."""
    folder = tmp_path_factory.mktemp("files")
    rows = ["split,text,category,kind"]
    postings = ["title,description,category"]
    for label, words in WORDS.items():
        for number in range(60):
            first, second = words[number % 5], words[(number // 5 + 1) % 5]
            split = "train" if number % 2 else "test"
            kind = "long" if number % 4 else "terse"
            rows.append(f"{split},{first} {second} {number},{label},{kind}")
            postings.append(f"{second} og {first},nr {number},{label}")
    rows.append(f"test,{ATTACK},plen,<i>hostile</i>")
    rows.append("test,male gress,plen|maling,terse")
    (folder / "all.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (folder / "calibration.csv").write_text("\n".join(postings) + "\n", encoding="utf-8")
    (folder / "catalog.csv").write_text(CATALOG, encoding="utf-8")
    return folder


def usual(files: Path) -> list[str]:
    table = str(files / "all.csv")
    return [
        "--encoder", "dummy", "--train", table, "--train-where", "split=train",
        "--test", table, "--test-where", "split=test",
    ]  # fmt: skip


def test_figures_without_any_server(files: Path, tmp_path: Path) -> None:
    done = run(
        *usual(files), "--calibration", files / "calibration.csv",
        "--catalog", files / "catalog.csv", "--report", tmp_path / "out", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1
    found = json.loads(done.stdout)
    assert set(found) >= KEYS
    assert found["n"] == 122
    assert found["accuracy"] > 0.9
    assert set(found["auto"]) >= {"target_precision", "coverage", "precision", "n", "errors"}
    assert set(found["auto_parent"]) == set(found["auto"])
    assert found["auto"]["coverage"] == found["auto"]["n"] / 122
    assert set(found["secondary"]) == {"n", "right", "of"}
    assert set(found["none"]) == {"n", "rejected", "recognized"}
    assert found["none"]["n"] == 30
    assert set(found["calibration"]) == {"ece", "brier"}
    assert set(found["by_kind"]) == {"terse", "long", "<i>hostile</i>"}
    baselines = found["baselines"]
    assert set(baselines) == {"nearest", "vote", "lexical", "finn", "logistic", "logistic_both"}
    assert all(0 <= row["accuracy"] <= 1 for row in baselines.values())
    assert set(baselines["finn"]) == {"accuracy", "coverage", "precision"}
    assert set(found["seconds"]) == {"encode", "fit", "predict"}
    assert found["calibrated_on"] == "postings"
    assert found["parent_accuracy"] >= found["accuracy"]
    assert "Encoding: " in done.stderr

    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "report.html",
        "results.json",
    ]
    assert json.loads((tmp_path / "out/results.json").read_text(encoding="utf-8")) == found
    check_page((tmp_path / "out/report.html").read_text(encoding="utf-8"))


class Tags(HTMLParser):
    """Every tag with its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def check_page(html: str) -> None:
    """Nothing is fetched, nothing runs, and a posting's markup is text."""
    tags = Tags()
    tags.feed(html)
    names = {tag for tag, _ in tags.found}
    assert not names & {"script", "link", "iframe", "img", "object", "i"}
    assert "svg" in names
    for _, attributes in tags.found:
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href", "xlink:href"):
            assert (attributes.get(name) or "#").startswith("#")
    assert not re.search(r"url\((?!#)|@import", html)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "default-src 'none'" in html
    for heading in ("calibrated", "automatic", "simpler rules", "By kind", "Confused categories"):
        assert heading in html
    # The plots' texts are text, in the page's own colors.
    assert "share that was correct</text>" in html
    assert "target 97%</text>" in html
    assert "#0102" not in html


def test_the_table_for_people_and_a_draw_of_a_few(files: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    options = [*usual(files), "--shots", "5", "--seed", "3", "--vectors", str(kept)]
    done = run(*options)
    assert done.returncode == 0, done.stderr
    assert "122 test rows; 20 exemplars of 3 categories; encoder dummy:64, float32" in done.stdout
    assert "this project" in done.stdout
    assert "logistic regression on embeddings and text" in done.stdout
    assert "cross-fitted on the training rows" in done.stdout
    assert "Guaranteed: nothing" in done.stdout
    assert len(list(kept.iterdir())) == 1
    again = json.loads(run(*options, "--json").stdout)
    assert again["calibrated_on"] == "exemplars"
    assert again["exemplars"] == 20
    assert again["parent_accuracy"] is None


def test_what_flatters_or_spoils_the_figures_is_said(files: Path, tmp_path: Path) -> None:
    test = tmp_path / "test.csv"
    text = "text,category\nMALE  maling 1!,maling\ndykke,dykking\nDykke.,maling\n"
    test.write_text(text, encoding="utf-8")
    train = tmp_path / "train.csv"
    text = "text,category\nmale maling 1,maling\nfin kran,rorlegger|maling\nhei,none\n"
    train.write_text(text, encoding="utf-8")
    done = run("--encoder", "dummy", "--train", train, "--test", test)
    assert done.returncode == 0, done.stderr
    assert "1 test rows have only categories without a training row" in done.stdout
    assert "1 text has several labels; 'dykke' is dykking (line 3), maling (line 4)" in done.stderr
    assert "1 texts of the test rows have several labels" in done.stdout
    assert "1 training or calibration rows have several answers" in done.stdout
    assert "1 test rows have a text that is also a training" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--train-where", "split"], "'split' is no filter: write COLUMN=VALUE"),
        (["--train-where", "split=x"], "no row has split=x. The values of split are test, train"),
        (["--test-where", "spilt=x"], "the column 'spilt' is missing"),
        (["--train", "nowhere.csv"], "nowhere.csv: No such file"),
        (["--shots", "0"], "--shots must be 1 or more"),
        (["--target-precision", "97"], "--target-precision must lie between 0 and 1"),
        (["--calibration-where", "a=b"], "--calibration, which is not given"),
        (["--encoder", "docs"], "docs is not a sentence-transformers directory"),
        (["--report", "manage.py"], "a file of that name is there"),
    ],
)
def test_bad_input_is_one_sentence(files: Path, arguments: list[str], message: str) -> None:
    out = StringIO()
    with pytest.raises(CommandError, match=re.escape(message)) as caught:
        call_command("evaluate_classifier", *map(str, usual(files)), *arguments, stdout=out)
    assert caught.value.returncode == 2
    assert len(str(caught.value).splitlines()) == 1
    assert out.getvalue() == ""


def test_bad_input_prints_nothing_else(files: Path) -> None:
    """Here a name that only the database could know, which is not there."""
    done = run(*usual(files), "--encoder", "my-own")
    assert done.returncode == 2
    assert done.stdout == ""
    [line] = done.stderr.strip().splitlines()
    assert line.startswith("CommandError: ")
    assert "neither 'bundled' nor an existing directory" in line


def test_a_category_that_the_catalog_lacks_is_named(files: Path, tmp_path: Path) -> None:
    short = tmp_path / "catalog.csv"
    short.write_text("slug,parent\nmaling,\nplen,\n", encoding="utf-8")
    done = run(*usual(files), "--catalog", short, "--report", tmp_path / "out")
    assert done.returncode == 2
    assert "all.csv, line 63: the category 'rorlegger' is not in" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_report_without_matplotlib_names_its_cure(files: Path, tmp_path: Path) -> None:
    # A finder in front of all others that does not know matplotlib, as if it were not there.
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as u\nfind = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'matplotlib' else find(name, *rest)\n",
        encoding="utf-8",
    )
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = run(*usual(files), "--report", tmp_path / "out", PYTHONPATH=path)
    assert done.returncode == 2
    assert 'pip install "matplotlib>=3.10"' in done.stderr
    assert not (tmp_path / "out").exists()


def test_only_a_registered_name_starts_the_demo_servers() -> None:
    def needs(*encoder: str) -> bool:
        return _needs_services(["evaluate_classifier", "--train", "a.csv", *encoder])

    assert not needs()
    assert not needs("--encoder", "bundled")
    assert not needs("--encoder", "embedded")
    assert not needs("--encoder=BAAI/bge-m3")
    assert not needs("--encoder", str(ROOT))
    assert needs("--encoder", "my-own")
    assert needs("--encoder=my-own")


@pytest.mark.django_db
def test_a_registered_encoder_is_found_by_its_name(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from marketplace_ai.encoders.active import create_encoder
    from marketplace_ai.encoding import DummyEncoder

    create_encoder("my-own", DummyEncoder(32))
    Command().run_from_argv(
        ["manage.py", "evaluate_classifier", *usual(files), "--encoder", "my-own", "--json"]
    )
    assert json.loads(capsys.readouterr().out)["encoder"]["name"] == "dummy:32"
