"""The S3 client of this process, by the standard `AWS_*` variables; botocore's errors -> Enigma's."""

from __future__ import annotations

import functools
from contextlib import contextmanager
from typing import TYPE_CHECKING

import boto3
from boto3.exceptions import RetriesExceededError
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, IncompleteReadError
from botocore.exceptions import ConnectionError as NoConnectionError

from enigma_tasks.config import load_settings
from enigma_tasks.errors import ObjectChanged, ObjectMissing, ServiceError
from enigma_tasks.notes.names import Names
from enigma_tasks.patience import NO_ANSWER, TRIES
from enigma_tasks.s3_settings import load_s3_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3 import S3Client

POOL_CONNECTIONS = 64
ATTEMPTS = TRIES
"""Also for what botocore does not retry: an interrupted body, and a 409 of concurrent conditional writes."""


@functools.cache
def s3_client() -> S3Client:
    """One client per process: clients are thread-safe, creating them is not."""
    s3 = load_s3_settings()
    config = Config(
        region_name=s3.region,
        request_checksum_calculation=s3.checksums,
        response_checksum_validation=s3.checksums,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        connect_timeout=10,
        read_timeout=60,
        max_pool_connections=POOL_CONNECTIONS,
        s3={"addressing_style": s3.addressing},
    )
    return boto3.client("s3", endpoint_url=s3.endpoint, config=config)


@functools.cache
def shown_names() -> Names:
    """The names of objects in messages."""
    return Names.of(load_settings())


def forget_client() -> None:
    """Make the next ObjectStore read the environment again (tests that change it)."""
    s3_client.cache_clear()
    shown_names.cache_clear()


BUSY = {"SlowDown", "RequestTimeout", "ServiceUnavailable", "InternalError"}
SILENT = (NoConnectionError, HTTPClientError, IncompleteReadError, RetriesExceededError)
"""Of botocore and boto3: no connection, or one that broke."""


class ConflictError(ServiceError):
    """409 ConditionalRequestConflict: concurrent conditional writes; to be retried."""


@contextmanager
def typed(operation: str, bucket: str, key: str = "", *, conditional: bool = True) -> Iterator[None]:
    """Turn errors of botocore into Enigma's; `conditional`: the request may have a condition that is not met."""
    shown = shown_names().uri(f"s3://{bucket}/{key}").removeprefix(f"s3://{bucket}/")
    where = f"s3 bucket {bucket}: {operation}" + (f" {shown}" if shown else "")
    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if code in {"NoSuchKey", "NoSuchBucket", "404", "NotFound"}:
            raise ObjectMissing(f"{where}: missing") from error
        if conditional and (code in {"PreconditionFailed", "412"} or status == 412):
            raise ObjectChanged(f"{where}: not the expected version") from error
        if code in {"ConditionalRequestConflict", "409"}:
            raise ConflictError(f"{where}: conflict") from error
        word = NO_ANSWER if (status or 0) >= 500 or code in BUSY else code or status
        raise ServiceError(f"{where}: {word}") from error
    except (BotoCoreError, boto3.exceptions.Boto3Error) as error:
        word = NO_ANSWER if isinstance(error, SILENT) else type(error).__name__
        raise ServiceError(f"{where}: {word}") from error
