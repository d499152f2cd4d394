"""A project that migrates a second database, which this app's tables are kept out of, or not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.databases import fresh_database
from tests.integration.schema.project_process import run_python

pytestmark = pytest.mark.slow


SETTINGS = """
import dj_database_url
from tests.settings import *

DATABASES["other"] = dj_database_url.parse({other!r})
DATABASE_ROUTERS = {routers}
INSTALLED_APPS = [*INSTALLED_APPS, "shop"]
"""
ROUTERS = """
class ByApp:
    def allow_migrate(self, db, app_label, **hints):
        return db == "default" if app_label == "marketplace_ai" else None


class ByModel:
    '''One that knows models only, and has no opinion where none is named.'''

    def allow_migrate(self, db, app_label, model_name=None, **hints):
        if model_name is None or app_label != "marketplace_ai":
            return None
        return db == "default"
"""
TESTS = """
from django.db import connections
from django.test import TestCase


class Case(TestCase):
    databases = "__all__"

    def test_tables(self):
        names = [n for n in connections["other"].introspection.table_names() if "marketplace" in n]
        self.assertEqual(names, [])
"""
OURS = """
from django.db import connections
import django
django.setup()
with connections["other"].cursor() as cursor:
    names = connections["other"].introspection.table_names(cursor)
print(sorted(name for name in names if name.startswith("marketplace_ai")))
"""


class Project:
    """A project with two databases, as its developer runs it."""

    def __init__(self, folder: Path, default: str, other: str, routers: list[str]) -> None:
        self.folder, self.default = folder, default
        app = folder / "shop"
        app.mkdir()
        (app / "__init__.py").touch()
        (app / "routers.py").write_text(ROUTERS)
        (app / "tests.py").write_text(TESTS)
        (folder / "two.py").write_text(SETTINGS.format(other=other, routers=routers))

    def run(self, *arguments: str) -> str:
        return "".join(run_python(self.folder, "two", self.default, *arguments))

    def manage(self, *arguments: str) -> str:
        return self.run("-m", "django", *arguments)

    def tables_in_other(self) -> str:
        return self.run("-c", OURS).splitlines()[-1]


@pytest.mark.parametrize("router", ["ByApp", "ByModel"])
def test_a_database_that_the_router_keeps_this_app_out_of(router: str, tmp_path: Path) -> None:
    with fresh_database("first") as default, fresh_database("second") as other:
        project = Project(tmp_path, default, other, [f"shop.routers.{router}"])
        project.manage("migrate", "--database", "other", "--verbosity", "0")
        assert project.tables_in_other() == "[]"
        # Nothing of ours is in the way back either, and the other way round all is there.
        project.manage("migrate", "--verbosity", "0")
        project.manage("migrate", "marketplace_ai", "zero", "--database", "other")
        output = project.manage("check", "--database", "default", "--database", "other")
        assert "no issues" in output
        if router == "ByApp":
            output = project.manage("test", "shop", "--noinput")
            assert "OK" in output


def test_without_a_router_the_tables_are_in_both(tmp_path: Path) -> None:
    """Nobody needs them there, but every migration of the project must come to its end."""
    with fresh_database("first") as default, fresh_database("second") as other:
        project = Project(tmp_path, default, other, [])
        project.manage("migrate", "--verbosity", "0")
        project.manage("migrate", "--database", "other", "--verbosity", "0")
        assert "marketplace_ai_postingembedding" in project.tables_in_other()
        project.manage("migrate", "marketplace_ai", "zero", "--database", "other")
        assert project.tables_in_other() == "[]"
        # The triggers of the database that is used are still there.
        assert "no issues" in project.manage("check", "--database", "default")
