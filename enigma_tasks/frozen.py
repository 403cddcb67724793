"""The base of every typed section of params.yaml and of the settings."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """Immutable, and a key nobody knows is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")
