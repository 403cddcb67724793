"""The data files of the gold repository in the DVC remote, by their MD5, as DVC 3 stores them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from enigma_tasks.adapters.object_versions import purge
from enigma_tasks.errors import DataError, ObjectMissing

if TYPE_CHECKING:
    from enigma_tasks.adapters.object_store import ObjectStore


@dataclass(frozen=True)
class GoldData:
    """The remote; data is read and written past DVC, which would need a commit checked out for each version.

    Raises, from every method:
        ServiceError: as `ObjectStore` does.
    """

    store: ObjectStore
    remote: str
    """URI of the place `dvc`."""

    def uri(self, md5: str) -> str:
        """Where a data file is."""
        return f"{self.remote}/files/md5/{md5[:2]}/{md5[2:]}"

    def read(self, md5: str) -> bytes | None:
        """Its bytes; None where the remote does not have it any more.

        Raises:
            DataError: `data_differs`, its bytes are not those that the digest names.
        """
        try:
            data = self.store.get(self.uri(md5))
        except ObjectMissing:
            return None
        if _md5(data) != md5:
            raise DataError("gold repository", "data_differs", hint=f"the data file {md5} in the place dvc")
        return data

    def write(self, data: bytes) -> str:
        """Write a data file where there is none of these bytes; returns its MD5."""
        md5 = _md5(data)
        if not self.store.exists(self.uri(md5)):
            self.store.put(self.uri(md5), data)
        return md5

    def purge(self, md5: str) -> int:
        """Delete a data file in every version; returns how many there were. Raises ServiceError for a locked one."""
        return purge(self.uri(md5))


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
