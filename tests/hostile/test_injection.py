"""What means something to some program is stored and shown as it was written."""

from __future__ import annotations

import ast
import csv
import logging
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.test import Client
from django.urls import reverse

import marketplace_ai
from marketplace_ai.imports.catalog import import_catalog
from marketplace_ai.imports.exemplars import import_exemplars
from marketplace_ai.imports.postings import import_jobs
from marketplace_ai.models import (
    Category,
    Decision,
    Exemplar,
    ExemplarSource,
    JobPosting,
    QueuedPosting,
)
from marketplace_ai.serving.active_model import ModelLoader
from tests.hostile.texts import MEANING
from tests.integration.worker_runs import drain, fit
from tests.unit.encoding.test_sentence_transformer import load, save

APP = Path(marketplace_ai.__file__).parent


def write_csv(path: Path, header: list[str], rows: list[list[str]]) -> str:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return str(path)


@pytest.mark.django_db
def test_what_is_written_is_stored_and_shown_as_it_is(
    catalog: dict[str, Category], admin_client: Client, tmp_path: Path
) -> None:
    """By CSV into categories, exemplars and postings; through queue and classifier; into admin."""
    header = ["slug", "parent", "name_nb", "name_en", "scope_nb"]
    rows = [[f"c{n}", "bygg", text, text, text] for n, text in enumerate(MEANING)]
    import_catalog(write_csv(tmp_path / "catalog.csv", header, rows))
    header = ["text", "category"]
    rows = [
        [text if copy == 0 else f"male {copy} {text}", f"c{n}"]
        for n, text in enumerate(MEANING)
        for copy in range(4)
        if copy or any(map(str.isalnum, text))
    ]
    import_exemplars(write_csv(tmp_path / "exemplars.csv", header, rows))
    header = ["title", "description"]
    import_jobs(write_csv(tmp_path / "jobs.csv", header, [[text, text] for text in MEANING]))
    fit()
    drain()

    names = dict(Category.objects.values_list("slug", "name"))
    assert [names[f"c{n}"] for n in range(len(MEANING))] == MEANING
    labeled = Exemplar.objects.exclude(source=ExemplarSource.DESCRIPTION)
    assert set(labeled.values_list("text", flat=True)) == {text for text, _ in rows}
    jobs = list(JobPosting.objects.order_by("pk"))
    assert [(job.title, job.description) for job in jobs] == [(text, text) for text in MEANING]
    assert Decision.objects.filter(is_current=True).count() == len(MEANING)
    assert not QueuedPosting.objects.exists()
    for job in jobs:
        page = admin_client.get(reverse("admin:marketplace_ai_jobposting_change", args=[job.pk]))
        assert words(page.content.decode()).count(job.title) >= 2  # the panel and the form
        made = Decision.objects.get(posting=job, is_current=True)
        page = admin_client.get(reverse("admin:marketplace_ai_decision_change", args=[made.pk]))
        assert words(page.content.decode()).count(made.category_name) >= 2  # and its choices


def words(html: str) -> str:
    found: list[str] = []
    parser = HTMLParser()
    parser.handle_data = found.append  # type: ignore[method-assign]
    parser.feed(html)
    return " ".join(found)


def test_a_prompt_is_applied_once_whatever_the_text_begins_with(tmp_path: Path) -> None:
    model = save(tmp_path, prompts={"a": "spor : "}, default_prompt_name="a", pooling="mean")
    texts = ["male", "spor : male", "spor : spor : male"]
    expected = model.encode([f"spor : {t}" for t in texts], prompt="", normalize_embeddings=True)
    found = load(tmp_path).encode(texts)
    np.testing.assert_allclose(found, expected, atol=2e-6)
    assert not np.allclose(found[0], found[1], atol=1e-3)


@pytest.mark.django_db
def test_a_posting_that_fails_makes_one_line_in_the_log(
    exemplars: None, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever an exception quotes of the text: no line that looks like another record."""
    forged = "male\n2026-01-01 00:00:00 ERROR marketplace_ai: all is lost\r\n\x1b[31m\u2028red\x85"
    fit()
    models = ModelLoader()
    models.refresh()
    encode = models.active.text_encoder.encode  # type: ignore[union-attr]

    def fail(texts: list[str]) -> Any:
        if any("all is lost" in text for text in texts):
            raise ValueError(f"cannot read {forged}")
        return encode(texts)

    monkeypatch.setattr(models.active.text_encoder, "encode", fail)
    JobPosting.objects.create(title=forged)
    with caplog.at_level(logging.INFO, logger="marketplace_ai"):
        drain(models)
    records = [r for r in caplog.records if "all is lost" in r.getMessage()]
    assert len(records) == 1
    line = records[0].getMessage()
    assert len(line.splitlines()) == 1 and line.isprintable()
    assert "all is lost" in QueuedPosting.objects.get().last_error


#: Where a statement is put together, and of what: names of models, tables and types, whole
#: numbers; no value that somebody wrote. A new place is looked at and added here.
PUT_TOGETHER = {
    "adapter.py": {"statement"},
    "worker/loop.py": {"timing.session_sql()"},
    "queue/category_locks.py": {"key", "table"},
    "queue/notify.py": {"CHANNEL"},
    "queue/trigger.py": {"comment", "function", "name", "sql", "table", "where"},
    "queue/heartbeat.py": {"statement"},
    "queue/intake.py": {"statement"},
    "encoders/search_index.py": {
        "BUILD.format(index=name(encoder), table=partitions.name(encoder), "
        "column=vector_type.cast('vector', encoder.dimension), "
        "operator_class=vector_type.COSINE_OPERATOR_CLASS)",
        "name(encoder)",
    },
    "encoders/partitions.py": {"how"},
    "schema/catalog.py": {"sql"},
    "schema/indexes.py": {
        "editor._create_index_sql(model, fields=[item])",
        "editor._create_unique_sql(model, [item])",
    },
    "schema/encoder_partitions.py": {
        "PostingEmbedding._meta.db_table", "_dimension_sql(encoder)", "int(encoder.pk)", "table",
    },
    "schema/foreign_keys.py": {
        "add_sql(field, fault.key.on_delete)",
        "add_sql(key.field, key.on_delete, table, is_validated_at_once=False)", "change", "column",
        "condition", "constraint", "quote(constraint)", "quote(target.db_table)",
        "quote(target.pk.column)", "table",
    },
    "schema/operations.py": {
        "column", "foreign_keys.add_sql(self._field(model), self.on_delete)", "name", "sql",
        "statement", "table",
    },
    "schema/rights.py": {"statement"},
    "schema/repair.py": {
        "found.name", "found.sql", "found.table", "identity", "statement", "table",
    },
    "taxonomy/follow_keys.py": {
        "statement.format(category_type=pk.rel_db_type(connections[alias()]))",
    },
}  # fmt: skip
RUNS_SQL = {"execute", "executemany", "copy", "raw", "extra", "RawSQL", "RunSQL", "callproc"}


def parts(node: ast.expr) -> set[str]:
    """What a statement is put together of, besides constants and the statements of queue/sql.py."""
    match node:
        case ast.Constant():
            return set()
        case ast.JoinedStr(values=values):
            return set().union(*(parts(v) for v in values))
        case ast.FormattedValue(value=value):
            return {ast.unparse(value)} - {ast.unparse(v) for v in [value] if _constant(v)}
        case ast.BinOp(left=left, right=right):
            return parts(left) | parts(right)
        case ast.Call(func=ast.Attribute(attr="statement")):
            return set()
        case _ if _constant(node):
            return set()
    return {ast.unparse(node)}


def _constant(node: ast.expr) -> bool:
    """A name in capitals, of this module or another."""
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    return (name.isupper() or name == "noop") and isinstance(node, ast.Name | ast.Attribute)


def test_no_statement_is_made_of_values() -> None:
    found: dict[str, set[str]] = {}
    for file in sorted(APP.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name in RUNS_SQL and ast.unparse(node.func) != "super().execute":
                made = parts(node.args[0])
                if made:
                    found.setdefault(file.relative_to(APP).as_posix(), set()).update(made)
    assert {file: made - PUT_TOGETHER.get(file, set()) for file, made in found.items()} == {
        file: set() for file in found
    }
