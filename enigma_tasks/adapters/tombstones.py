"""Tombstones in the object store: empty objects that are named by a keyed hash (docs/forget.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from enigma_tasks.errors import UsageError
from enigma_tasks.notes.forgotten import Kind, Tombstones, key_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from enigma_tasks.adapters.object_store import ObjectStore
    from enigma_tasks.config import Settings


def read_tombstones(store: ObjectStore, settings: Settings) -> Tombstones:
    """All tombstones, by one listing; none where the place `forgotten` is not set.

    Raises:
        UsageError: there are tombstones, and `ENIGMA_FORGET_KEY` is not set or is not the key that made them:
            without it a forgotten note would come back.
        ServiceError: as `ObjectStore` does.
    """
    if not settings.forgotten:
        return Tombstones()
    secret = settings.forget_key.get_secret_value()
    found = set()
    for info in store.list(f"{settings.forgotten}/"):
        made_by, _, name = info.uri.removeprefix(f"{settings.forgotten}/").partition("/")
        if not secret or made_by != key_name(secret):
            raise UsageError("set ENIGMA_FORGET_KEY to the key of the tombstones in the place `forgotten`")
        kind, _, digest = name.partition("-")
        found.add((kind, digest))
    return Tombstones(secret, frozenset(found))


def write_tombstones(store: ObjectStore, settings: Settings, tombstones: Iterable[tuple[Kind, str]]) -> None:
    """Create them; those that are there stay. Raises UsageError where no key is set."""
    folder = f"{settings.require('forgotten')}/{key_name(settings.require_forget_key())}"
    there = read_tombstones(store, settings).digests
    store.put_many((f"{folder}/{kind}-{digest}", b"") for kind, digest in tombstones if (kind, digest) not in there)
