"""S3 with boto3: objects by `s3://bucket/key` URI, listings, typed errors."""

from __future__ import annotations

import base64
import hashlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from botocore.exceptions import BotoCoreError

from enigma_tasks.adapters.ranged_reader import ranged_stream
from enigma_tasks.adapters.s3_client import ATTEMPTS, ConflictError, s3_client, shown_names, typed
from enigma_tasks.errors import ObjectChanged, ObjectMissing, ServiceError, UsageError
from enigma_tasks.s3_settings import load_s3_settings
from enigma_tasks.threads import in_order

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime
    from pathlib import Path


THREADS = 16
MANY_BYTES = 128 * 1024 * 1024
"""Of objects whose size is known, how much `get_many` reads ahead of the caller."""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One entry of a listing."""

    bucket: str
    key: str
    etag: str
    size: int
    last_modified: datetime

    @property
    def uri(self) -> str:
        """`s3://bucket/key`."""
        return f"s3://{self.bucket}/{self.key}"


class Wanted(NamedTuple):
    """What `get_many` is to read."""

    uri: str
    if_match: str | None = None
    size: int = 0
    """0 where it is not known."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A result of `get_many`: an object's bytes, or the error."""

    uri: str
    data: bytes | None
    error: ObjectMissing | ObjectChanged | None = None


def split_uri(uri: str) -> tuple[str, str]:
    """`s3://bucket/a/b` -> (bucket, `a/b`); the key is taken literally, with its `%`, `#` and `?`."""
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise UsageError("an object's URI is s3://bucket/key")
    return bucket, key


class ObjectStore:
    """Objects by URI. Thread-safe.

    Raises, from every method:
        ObjectMissing, ObjectChanged: as the method says.
        ServiceError: unreachable, refused, or still failing after retries; names bucket and operation.
    """

    def __init__(self) -> None:
        self._s3 = s3_client()

    def get(self, uri: str, if_match: str | None = None) -> bytes:
        """An object's bytes. Raises ObjectMissing; ObjectChanged if its ETag is not `if_match`."""
        return self._get(uri, if_match, None)

    def put(self, uri: str, data: bytes, content_type: str = "application/octet-stream") -> None:
        """Write one object, replacing an earlier one."""
        bucket, key = split_uri(uri)
        with typed("PutObject", bucket, key):
            self._s3.put_object(Bucket=bucket, Key=key, Body=data, ContentType=content_type)

    def put_if_absent(self, uri: str, data: bytes, content_type: str = "application/json") -> bool:
        """Create the object; False if it exists with other bytes.

        After a lost reply a retry finds its own object, so an existing object with equal bytes counts as written.
        """
        for attempt in range(ATTEMPTS):
            try:
                self._create(uri, data, content_type)
            except ObjectChanged:
                try:
                    return self.get(uri) == data
                except ObjectMissing:
                    pass  # deleted between the two calls: try to create it again
            except ConflictError:
                pass
            else:
                return True
            time.sleep(0.1 * 2**attempt)
        raise ServiceError(f"s3 bucket {split_uri(uri)[0]}: PutObject: conflicting writes")

    def refuses_creation(self, uri: str, data: bytes, content_type: str = "application/json") -> bool:
        """Whether the store refuses to create an object that exists with these bytes; else they are written again."""
        try:
            self._create(uri, data, content_type)
        except (ObjectChanged, ConflictError):
            return True
        return False

    def put_many(self, objects: Iterable[tuple[str, bytes]], threads: int = THREADS) -> int:
        """Write many objects, drawn from the iterable as threads become free. Returns their number."""
        return sum(1 for _ in in_order(lambda pair: self.put(*pair), objects, threads))

    def get_many(self, objects: Iterable[Wanted], threads: int = THREADS) -> Iterator[Fetched]:
        """Read many objects, in order, at most a few per thread and `MANY_BYTES` ahead of the caller."""
        return in_order(self._fetched, objects, threads, size=lambda wanted: wanted.size, most=MANY_BYTES)

    def list(self, prefix_uri: str) -> Iterator[ObjectInfo]:
        """Every object whose URI starts with `prefix_uri`, in the store's order (UTF-8 bytes of the key)."""
        bucket, prefix = split_uri(prefix_uri)
        with typed("ListObjectsV2", bucket, prefix):
            for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
                for item in page.get("Contents", ()):
                    yield ObjectInfo(bucket, item["Key"], item["ETag"].strip('"'), item["Size"], item["LastModified"])

    def exists(self, uri: str) -> bool:
        """Whether the object exists."""
        return self.head(uri) is not None

    def head(self, uri: str) -> ObjectInfo | None:
        """The listing entry of one object, or None."""
        bucket, key = split_uri(uri)
        try:
            with typed("HeadObject", bucket, key):
                reply = self._s3.head_object(Bucket=bucket, Key=key)
        except ObjectMissing:
            return None
        return ObjectInfo(bucket, key, reply["ETag"].strip('"'), reply["ContentLength"], reply["LastModified"])

    def delete_many(self, uris: Iterable[str], threads: int = THREADS) -> int:
        """Delete objects, one request each: bulk deletion needs an MD5 header on some stores, which boto3 lacks."""

        def delete(uri: str) -> None:
            bucket, key = split_uri(uri)
            with typed("DeleteObject", bucket, key):
                self._s3.delete_object(Bucket=bucket, Key=key)

        return sum(1 for _ in in_order(delete, uris, threads))

    def upload(self, path: Path, uri: str) -> None:
        """Upload a local file, a large one in parts. Not conditional, so not for commit markers."""
        bucket, key = split_uri(uri)
        with typed("UploadFile", bucket, key):
            self._s3.upload_file(str(path), bucket, key)

    def download(self, uri: str, path: Path) -> None:
        """Download to a local file, a large one in parts; the folder must exist. Raises ObjectMissing."""
        bucket, key = split_uri(uri)
        with typed("DownloadFile", bucket, key):
            self._s3.download_file(bucket, key, str(path))

    def open_stream(self, uri: str, if_match: str | None = None, start: int = 0) -> BinaryIO:
        """A seekable binary stream from byte `start` on, a few megabytes per request, with retries.

        All of it is of the ETag `if_match`, or of that at opening; reading raises ObjectChanged if the object is
        replaced. Raises ObjectMissing.
        """
        info = self.head(uri)
        if info is None:
            raise ObjectMissing(f"s3 object {shown_names().uri(uri)}: missing")
        if if_match is not None and if_match.strip('"') != info.etag:
            raise ObjectChanged(f"s3 object {shown_names().uri(uri)}: changed")
        return ranged_stream(lambda at, length: self.read_range(info, at, length), info.size, start)

    def ensure_bucket(self, uri: str) -> None:
        """Create the bucket of `uri` if it does not exist."""
        bucket, _ = split_uri(uri)
        try:
            with typed("HeadBucket", bucket):
                self._s3.head_bucket(Bucket=bucket)
        except ObjectMissing:
            region = load_s3_settings().region
            extra: Any = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
            with typed("CreateBucket", bucket):
                self._s3.create_bucket(Bucket=bucket, **extra)

    def retention(self, uri: str) -> str | None:
        """Object lock of the bucket of `uri`: `COMPLIANCE 3650 DAYS`, `` without a default, None without a lock."""
        bucket, _ = split_uri(uri)
        try:
            with typed("GetObjectLockConfiguration", bucket):
                found = self._s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]
        except ServiceError as error:
            reply = getattr(error.__cause__, "response", {})
            if reply.get("Error", {}).get("Code") == "ObjectLockConfigurationNotFoundError":
                return None
            raise
        default: Any = found.get("Rule", {}).get("DefaultRetention", {})
        period = next((f"{default[unit]} {unit.upper()}" for unit in ("Days", "Years") if default.get(unit)), "")
        return f"{default['Mode']} {period}" if period else ""

    def read_range(self, info: ObjectInfo, start: int, length: int) -> bytes:
        """Bytes [start, start + length) of the version in `info`."""
        return self._get(info.uri, info.etag, f"bytes={start}-{start + length - 1}")

    def _create(self, uri: str, data: bytes, content_type: str) -> None:
        """Stores refuse an object without MD5 in a bucket with a default retention."""
        bucket, key = split_uri(uri)
        md5 = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
        with typed("PutObject", bucket, key):
            self._s3.put_object(
                Bucket=bucket, Key=key, Body=data, ContentType=content_type, ContentMD5=md5, IfNoneMatch="*"
            )

    def _fetched(self, wanted: Wanted) -> Fetched:
        try:
            return Fetched(wanted.uri, self.get(wanted.uri, wanted.if_match))
        except (ObjectMissing, ObjectChanged) as error:
            return Fetched(wanted.uri, None, error)

    def _get(self, uri: str, if_match: str | None, byte_range: str | None) -> bytes:
        bucket, key = split_uri(uri)
        extra: Any = {}
        if if_match is not None:
            extra["IfMatch"] = if_match if if_match.startswith('"') else f'"{if_match}"'
        if byte_range is not None:
            extra["Range"] = byte_range
        return get_body(bucket, key, **extra)


def get_body(bucket: str, key: str, **extra: Any) -> bytes:
    """The bytes of a GetObject request, which is repeated where its body is interrupted.

    Raises as `ObjectStore`; a request without a condition that the store calls unmet is a ServiceError and says nothing
    of the object.
    """
    for attempt in range(ATTEMPTS):
        with typed("GetObject", bucket, key, conditional="IfMatch" in extra):
            body = s3_client().get_object(Bucket=bucket, Key=key, **extra)["Body"]
            try:
                return body.read()
            except BotoCoreError:  # interrupted body: botocore retries requests only
                if attempt == ATTEMPTS - 1:
                    raise
            finally:
                body.close()
        time.sleep(0.1 * 2**attempt)
    raise AssertionError("unreachable")
