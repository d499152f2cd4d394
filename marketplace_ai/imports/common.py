"""What the imports share: categories by key, prepared texts, rows that the database refuses."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.db import DataError, IntegrityError, transaction

from marketplace_ai.adapter import get_adapter
from marketplace_ai.db.alias import alias
from marketplace_ai.models import get_category_model

if TYPE_CHECKING:
    from collections.abc import Iterator

    from marketplace_ai.text.bad_rows import BadRows
    from marketplace_ai.text.csv_files import Row


def categories_by_key() -> dict[str, Any]:
    """All categories, by the key that files use."""
    adapter = get_adapter()
    model: Any = get_category_model()
    return {adapter.category_key(category): category for category in model._base_manager.all()}


def prepare_text(text: str) -> str:
    """Prepare a text from a file or a form exactly as the text of a posting is prepared."""
    return get_adapter().prepared(text)


@contextmanager
def noting_errors(bad: BadRows, *rows: Row) -> Iterator[None]:
    """Note in ``bad`` what the models or the database have against rows; the rest of a transaction
    goes on."""
    try:
        with transaction.atomic(using=alias()):
            yield
    except ValidationError as error:
        problem = "; ".join(
            f"{name}: {' '.join(messages)}" for name, messages in _by_field(error).items()
        )
    except (DataError, IntegrityError) as error:
        problem = f"the database refuses it: {' '.join(str(error).split())}"
    else:
        return
    for row in rows:
        bad.add(row.line, problem)


def _by_field(error: ValidationError) -> dict[str, list[str]]:
    return error.message_dict if hasattr(error, "error_dict") else {"row": error.messages}
