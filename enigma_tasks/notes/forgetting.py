"""Where a note that is to be forgotten is named, in JSON and in pages, and what is left of them without it. Pure."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from enigma_tasks.notes.references import record_name

if TYPE_CHECKING:
    from enigma_tasks.notes.forgotten import Target, Tombstones

_WORD = r"[\w.~%-]"


@dataclass
class Traces:
    """The names that a note has in all places, and the digests of its texts."""

    target: Target
    texts: Tombstones
    names: set[str] = field(default_factory=set)
    """Exact: ids that exports gave it, places of its annotations, its keyed hashes."""

    def named(self, name: str) -> bool:
        """Whether a string names the note, or is its text."""
        if name in self.names or self.target.named_by(name) or self.texts.has_text(name):
            return True
        path = PurePosixPath(name)
        return "/" in name and (path.name in self.names or path.stem in self.names)

    def in_object(self, bucket: str, key: str) -> bool:
        """Whether an object's key names it: the note itself, or a file that is called after it."""
        if self.target.record_id is None and self.target.covers(bucket, key, None):
            return True
        uri = f"s3://{bucket}/{key}"
        return uri in self.names or PurePosixPath(key).stem in self.names

    def in_tree(self, tree: Any) -> bool:
        """Whether anything in a JSON tree names it."""
        if self._directly(tree):
            return True
        items = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
        return any(self.in_tree(item) for item in items)

    def in_page(self, text: str) -> bool:
        """Whether a page or another text names it."""
        if self.texts.has_text(text):
            return True
        text = html.unescape(text)
        own = record_name(self.target.key, self.target.record_id)
        if self.target.is_prefix and own in text:
            return True
        held = [name for name in (*self.names, own) if name in text]  # quick, before the exact test
        return any(re.search(rf"(?<!{_WORD}){re.escape(name)}(?!{_WORD})", text) for name in held)

    def without(self, tree: Any) -> Any:
        """The tree without the items of lists that name it."""
        if isinstance(tree, dict):
            return {key: self.without(value) for key, value in tree.items()}
        if isinstance(tree, list):
            return [self.without(item) for item in tree if not self._directly(item)]
        return tree

    def _directly(self, tree: Any) -> bool:
        """Whether a string, or an object without regard to lists in it, names the note."""
        if isinstance(tree, str):
            return self.named(tree)
        if not isinstance(tree, dict):
            return False
        if "key" in tree and "bucket" in tree:
            return self.target.covers(tree["bucket"], tree["key"], tree.get("record_id"))
        return any(self._directly(value) or self.named(key) for key, value in tree.items())
