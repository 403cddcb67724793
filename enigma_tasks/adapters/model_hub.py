"""Downloads from a model hub with huggingface_hub: a hub id -> files in a folder, and their commit."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import httpx
from huggingface_hub import HfApi
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from enigma_tasks.errors import ModelError, ServiceError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def download(hub_id: str, revision: str | None, patterns: Sequence[str], folder: Path) -> str:
    """Download the files that match `patterns` at `revision` (None: the main branch); returns the commit's id.

    The hub is Hugging Face's or that of `HF_ENDPOINT`; gated and private models need `HF_TOKEN`.

    Raises:
        ModelError: the hub has no such model or revision, or denies access.
        ServiceError: the hub is unreachable.
    """
    api = HfApi()
    try:
        commit = api.model_info(hub_id, revision=revision).sha
        if commit is None:
            raise ModelError(f"model {hub_id}: the hub gives no commit")
        api.snapshot_download(hub_id, revision=commit, allow_patterns=list(patterns), local_dir=folder)
    except GatedRepoError:
        raise ModelError(f"model {hub_id} is gated: accept its licence on the hub, then set HF_TOKEN") from None
    except RepositoryNotFoundError:
        raise ModelError(f"model {hub_id} is not on the hub, or is private (set HF_TOKEN)") from None
    except RevisionNotFoundError:
        raise ModelError(f"model {hub_id} has no revision {revision}") from None
    except OfflineModeIsEnabled:
        raise ServiceError("HF_HUB_OFFLINE is set, so no hub is contacted; `--from DIR` takes a folder") from None
    except (HfHubHTTPError, LocalEntryNotFoundError, httpx.HTTPError) as error:
        raise ServiceError(f"model {hub_id}: the hub cannot be reached ({type(error).__name__})") from None
    shutil.rmtree(folder / ".cache", ignore_errors=True)  # huggingface_hub's download metadata
    return commit
