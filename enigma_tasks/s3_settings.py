"""Settings of the S3 client, from the environment."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

from pydantic import ValidationError

from enigma_tasks.errors import UsageError
from enigma_tasks.frozen import Frozen

if TYPE_CHECKING:
    from collections.abc import Mapping


class S3Settings(Frozen):
    """Settings of the S3 client, from the standard `AWS_*` variables."""

    endpoint: str | None = None
    """None means Amazon's own."""
    region: str = "us-east-1"
    checksums: Literal["when_supported", "when_required"] = "when_supported"
    addressing: Literal["auto", "path", "virtual"] = "auto"


def load_s3_settings(environment: Mapping[str, str] | None = None) -> S3Settings:
    """S3 settings; other stores than Amazon's default to path addressing and to required checksums only.

    Raises:
        UsageError: a variable has a value that is not one of its choices; names the field.
    """
    env = os.environ if environment is None else environment
    endpoint = env.get("AWS_ENDPOINT_URL_S3") or env.get("AWS_ENDPOINT_URL") or None
    own = endpoint is not None and "amazonaws.com" not in endpoint
    try:
        return S3Settings.model_validate(
            {
                "endpoint": endpoint,
                "region": env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION") or "us-east-1",
                "checksums": (
                    env.get("AWS_REQUEST_CHECKSUM_CALCULATION") or ("when_required" if own else "when_supported")
                ).lower(),
                "addressing": env.get("ENIGMA_S3_ADDRESSING") or ("path" if own else "auto"),
            }
        )
    except ValidationError as error:
        raise UsageError("; ".join(f"S3 {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())) from error
