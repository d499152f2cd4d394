from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from marketplace_ai.imports.catalog import import_catalog
from marketplace_ai.imports.exemplars import import_exemplars
from marketplace_ai.models import Category, JobPosting
from tests.integration.worker_runs import fit


def pytest_report_header() -> list[str]:
    names = ["django", "celery", "psycopg", "pgvector", "torch", "sentence-transformers"]
    return [f"python {platform.python_version()}, " + ", ".join(f"{n} {version(n)}" for n in names)]


CATALOG = """slug,parent,name_nb,name_en,scope_nb
bygg,,Bygg,Building,
maling,bygg,Maling,Painting,male vegger og tak
rorlegger,bygg,Rørlegger,Plumbing,vann og avløp
hage,,Hage,Garden,
plen,hage,Gressplen,Lawns,klippe gress
"""

EXEMPLARS = {
    "maling": ["Male stue", "Male vegger i gangen", "Maling av tak", "Male soverom hvitt"],
    "rorlegger": ["Bytte kran", "Tett avløp på bad", "Lekkasje under vasken", "Montere toalett"],
    "plen": ["Klippe gress", "Gressklipping hver uke", "Så ny plen", "Legge ferdigplen"],
    "none": ["Hei på deg", "Selger sykkel", "Test test", "Når åpner dere"],
}


@pytest.fixture
def catalog(db: Any, tmp_path: Any) -> dict[str, Category]:
    file = tmp_path / "catalog.csv"
    file.write_text(CATALOG, encoding="utf-8")
    import_catalog(str(file))
    return {category.slug: category for category in Category.objects.all()}


@pytest.fixture
def exemplars(catalog: dict[str, Category], tmp_path: Any) -> None:
    file = tmp_path / "exemplars.csv"
    lines = [f'"{text}",{key}' for key, texts in EXEMPLARS.items() for text in texts]
    file.write_text("\n".join(["text,category", *lines]) + "\n", encoding="utf-8")
    import_exemplars(str(file))


@pytest.fixture
def posting(db: Any) -> JobPosting:
    return JobPosting.objects.create(title="Male stue og gang", description="Cirka 40 kvm")


@pytest.fixture
def fitted(exemplars: None) -> None:
    """An active classifier, fitted on ``exemplars``."""
    fit()


@pytest.fixture
def table(tmp_path: Path) -> Any:
    """Writes a file; its path as a command gets it."""

    def write(content: str | bytes) -> str:
        file = tmp_path / "table.csv"
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(file)

    return write
