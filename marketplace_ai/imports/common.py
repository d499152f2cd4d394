"""What the imports share: categories by key, prepared texts, errors that name the row."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.db import DataError, IntegrityError

from marketplace_ai.adapter import get_adapter
from marketplace_ai.models import get_category_model
from marketplace_ai.text.csv_files import Row, TableError

if TYPE_CHECKING:
    from collections.abc import Iterator


def categories_by_key() -> dict[str, Any]:
    """All categories, by the key that files use."""
    adapter = get_adapter()
    model: Any = get_category_model()
    return {adapter.category_key(category): category for category in model._base_manager.all()}


def prepare_text(text: str) -> str:
    """Prepare a text from a file or a form exactly as the text of a posting is prepared."""
    return get_adapter().prepared(text)


@contextmanager
def errors_name_row(path: str, row: Row) -> Iterator[None]:
    """Turn errors of the models or the database into a ``TableError`` that names the row."""
    try:
        yield
    except ValidationError as error:
        problems = "; ".join(
            f"{name}: {' '.join(messages)}" for name, messages in _by_field(error).items()
        )
        raise TableError(f"{path}, line {row.line}: {problems}") from None
    except (DataError, IntegrityError) as error:
        problem = " ".join(str(error).split())
        raise TableError(f"{path}, line {row.line}: the database refuses it: {problem}") from None


def _by_field(error: ValidationError) -> dict[str, list[str]]:
    return error.message_dict if hasattr(error, "error_dict") else {"row": error.messages}
