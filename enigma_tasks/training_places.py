"""Names in the training project, and URIs of a retraining; see docs/training-path.md, "Retraining"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from enigma_tasks.artifacts import folder_name
from enigma_tasks.errors import UsageError

if TYPE_CHECKING:
    from enigma_tasks.config import Settings

FROZEN = "frozen"
"""In the training project: each language's frozen dev and test, a folder that DVC tracks, and their digests in git."""
TRAINING_GOLD = "gold"
"""In the training project: each language's gold, imported from the gold repository."""


def frozen_folder(language: str) -> str:
    """In the training project: the frozen dev and test of a language."""
    return f"{FROZEN}/{language}"


def frozen_digests(language: str) -> str:
    """In the training project: the digests of the frozen texts of a language, by fold."""
    return f"{FROZEN}/{language}.json"


def pointer(name: str) -> str:
    """The file that git has in place of one that DVC tracks."""
    return f"{name}.dvc"


@dataclass(frozen=True)
class TrainingFolders:
    """What the stages of dvc.yaml write for one language, in the training project."""

    language: str

    @property
    def gold(self) -> str:
        """The gold, as imported."""
        return f"{TRAINING_GOLD}/{self.language}"

    @property
    def checked(self) -> str:
        """The gold without what breaks a rule."""
        return f"data/checked/{self.language}"

    def fold(self, name: str) -> str:
        """One fold of the checked gold."""
        return f"{self.split}/{name}"

    @property
    def split(self) -> str:
        """The folds, and `split.json`."""
        return f"data/split/{self.language}"

    def member(self, name: str) -> str:
        """A member's model folder."""
        return f"models/{self.language}/members/{name}"

    @property
    def augmented(self) -> str:
        """Train, with the new documents."""
        return f"data/augmented/{self.language}"

    @property
    def ensemble(self) -> str:
        """The ensemble of each type."""
        return f"models/{self.language}/ensemble"

    @property
    def metrics(self) -> str:
        """Metrics and plots, which git has."""
        return f"metrics/{self.language}"


@dataclass(frozen=True)
class TrainingPlaces:
    """URIs of the retraining of one language, `training/{language}/{run}/`."""

    root: str

    @classmethod
    def of(cls, settings: Settings, language: str, run: str) -> TrainingPlaces:
        """The places of a run, named after the commits of project and gold."""
        return cls(f"{settings.require('training')}/{language}/{folder_name(run)}")

    @classmethod
    def of_member(cls, uri: str) -> tuple[TrainingPlaces, str]:
        """A member's URI -> the places of its run, and the member. Raises UsageError."""
        root, slash, member = uri.rpartition("/members/")
        if not slash or not member or "/" in member:
            raise UsageError("a member's URI ends in /members/NAME")
        return cls(root), member

    def member(self, name: str) -> str:
        """What is passed to the task that trains a member."""
        return f"{self.root}/members/{name}"

    @property
    def work(self) -> str:
        """Language, commits, members and digests: what this run is."""
        return f"{self.root}/work.json"

    def step(self, name: str) -> str:
        """What a step has made: the entries of dvc.lock, and the files that DVC does not store. Created once."""
        return f"{self.root}/steps/{name}.json"

    def checkpoints(self, member: str) -> str:
        """Folder of the checkpoint of a member that is being trained."""
        return f"{self.root}/checkpoints/{member}"

    @property
    def of_language(self) -> str:
        """Folder of all runs of the language."""
        return self.root.rpartition("/")[0]


def training_batch(settings: Settings, batch_id: str) -> str:
    """The work list of one run of the DAG. Raises UsageError."""
    return f"{settings.require('training')}/batches/{folder_name(batch_id)}.json"
