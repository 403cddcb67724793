"""URIs of the review loop; see docs/architecture.md, "Places"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from enigma_tasks.artifacts import folder_name
from enigma_tasks.file_names import ANNOTATION_SUFFIX, TEXT_SUFFIX

if TYPE_CHECKING:
    from enigma_tasks.config import Settings


@dataclass(frozen=True)
class ToReviewPlaces:
    """URIs under `to-review/{batch_id}/`: all of it holds note text."""

    root: str

    @classmethod
    def of(cls, settings: Settings, batch_id: str) -> ToReviewPlaces:
        """The places of the batch under the configured `to_review`. Raises UsageError as RunPlaces.of does."""
        return cls(f"{settings.require('to_review')}/{folder_name(batch_id)}")

    def tasks(self, language: str) -> str:
        """Label Studio's tasks of one language, with predictions."""
        return f"{self.root}/{language}/label-studio.json"

    def labels(self, language: str) -> str:
        """Label Studio's labelling configuration for them."""
        return f"{self.root}/{language}/labels.xml"

    def brat(self, language: str, task: str) -> tuple[str, str]:
        """Text and annotation of one note."""
        folder = f"{self.root}/{language}/brat"
        return f"{folder}/{task}{TEXT_SUFFIX}", f"{folder}/{task}{ANNOTATION_SUFFIX}"

    def brat_configuration(self, language: str) -> str:
        """BRAT's entity types."""
        return f"{self.root}/{language}/brat/annotation.conf"


@dataclass(frozen=True)
class ReviewIndexPlaces:
    """URIs under `reviewed-index/`: what was exported for review and what was imported; no text."""

    root: str

    @classmethod
    def of(cls, settings: Settings) -> ReviewIndexPlaces:
        """The configured `reviewed_index`."""
        return cls(settings.require("reviewed_index"))

    @property
    def manifests(self) -> str:
        """Folder of the manifests."""
        return f"{self.root}/exported/"

    def manifest(self, batch_id: str) -> str:
        """The notes that were exported in a night."""
        return f"{self.manifests}{folder_name(batch_id)}.json"

    @property
    def imports(self) -> str:
        """Folder of the imports."""
        return f"{self.root}/imported/"

    def imported(self, batch_id: str) -> str:
        """What one import of reviewed files found."""
        return f"{self.imports}{folder_name(batch_id)}.json"


def review_batch(batch_id: str) -> str:
    """The quarantine folder of an import of reviewed files, distinct from that of the night. Raises UsageError."""
    return f"reviewed-{folder_name(batch_id)}"
