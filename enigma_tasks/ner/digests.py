"""sha256 digests of what a model was made from: code, recipe, base and data."""

from __future__ import annotations

import hashlib
import json
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from enigma_tasks.documents import Document
    from enigma_tasks.frozen import Frozen

CODE = ("documents.py", "entity_types.toml", "languages", "formats", "ner", "members", "ensembles")
CODE_SUFFIXES = (".py", ".toml", ".yaml")


_SETTLED = 2.0
"""Seconds. A file changed more recently may change again within the same tick of its time stamp."""
_known: dict[tuple[int, ...], str] = {}


def file_digest(path: Path) -> str:
    """sha256 of one file; one that has not changed since this process read it is not read again."""
    found = path.stat()
    changed = max(found.st_mtime, found.st_ctime)
    # The time of the inode's change cannot be set back, and hard links share an inode: one member of many ensembles.
    key = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    if key in _known:
        return _known[key]
    digest = _read_digest(path)
    if time.time() - changed > _SETTLED:
        _known[key] = digest
    return digest


def _read_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@cache
def code_digest() -> str:
    """sha256 over every source and data file of the packages that determine a model (`CODE`)."""
    package = Path(__file__).parents[1]
    files = [p for name in CODE for p in (package / name).rglob("*") if p.suffix in CODE_SUFFIXES]
    content = {path.relative_to(package).as_posix(): file_digest(path) for path in files}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def recipe_digest(recipe: Frozen) -> str:
    """sha256 of a member's recipe."""
    return hashlib.sha256(json.dumps(recipe.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()


def base_digest(folder: Path) -> str:
    """sha256 over the safetensors files of a base model's folder."""
    files = {path.name: file_digest(path) for path in sorted(folder.glob("*.safetensors"))}
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()


def data_digest(documents: Sequence[Document]) -> str:
    """sha256 over ids, languages, texts, spans and annotated types, independent of the documents' order."""
    rows = sorted(
        json.dumps([d.id, d.language, d.text, sorted(d.annotated), [[e.label, *e.span] for e in d.entities]])
        for d in documents
    )
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()
