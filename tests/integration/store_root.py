"""A fresh bucket on a running S3 server, named in the environment for boto3, delta-rs and Enigma."""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from typing import TYPE_CHECKING

from enigma_tasks.adapters.object_store import ObjectStore
from enigma_tasks.adapters.s3_client import forget_client

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pytest

_buckets = itertools.count(1)
_OTHERS = (
    *("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_ENDPOINT_URL_S3"),
    *("AWS_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
)


@contextmanager
def fresh_root(endpoint: str, patch: pytest.MonkeyPatch, more: Mapping[str, str] | None = None) -> Iterator[str]:
    """`s3://bucket/prefix`; the access key and the secret key are `testing`, and `more` is set besides."""
    bucket = f"enigma-test-{next(_buckets):04d}"
    root = f"s3://{bucket}/hospital"
    for name in _OTHERS:
        patch.delenv(name, raising=False)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ALLOW_HTTP": "true",
        "AWS_EC2_METADATA_DISABLED": "true",
        "ENIGMA_S3_ROOT": root,
        **(more or {}),
    }.items():
        patch.setenv(name, value)
    forget_client()
    ObjectStore().ensure_bucket(root)
    yield root
    forget_client()
