"""Directories that appear complete, or not at all."""

from pathlib import Path

import pytest

from marketplace_ai.encoding.atomic_dir import replace_dir, staged_dir


def test_a_staged_directory_replaces_the_former_one(tmp_path: Path) -> None:
    target = tmp_path / "below" / "model"
    for content in ("old", "new"):
        with staged_dir(target) as building:
            assert building.parent == target.parent
            (building / "file").write_text(content)
    assert (target / "file").read_text() == "new"
    assert target.stat().st_mode & 0o777 == 0o755
    assert [path.name for path in target.parent.iterdir()] == ["model"]


def test_a_block_that_raises_changes_nothing(tmp_path: Path) -> None:
    target = tmp_path / "model"
    target.mkdir()
    with pytest.raises(KeyboardInterrupt), staged_dir(target, prefix=".building-") as building:
        assert building.name.startswith(".building-")
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_the_former_directory_is_put_back_if_the_move_fails(tmp_path: Path) -> None:
    target = tmp_path / "model"
    target.mkdir()
    (target / "file").write_text("old")
    with pytest.raises(FileNotFoundError):
        replace_dir(tmp_path / "missing", target)
    assert (target / "file").read_text() == "old"
