"""The local S3 server's signature check: requests as boto3 and delta-rs sign them, and what was changed in them."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.error
import urllib.request
from datetime import timedelta
from typing import TYPE_CHECKING

import boto3
import pyarrow as pa
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from deltalake import DeltaTable, write_deltalake

from infra.local.processes import free_ports
from infra.local.s3_server import HEALTH, OLDEST, is_signed
from infra.local.stack import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

KEYS = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "a secret / of + its own"}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    (port,) = free_ports([0])
    command = [sys.executable, "-m", "infra.local.s3_server", str(port)]
    address = f"http://127.0.0.1:{port}"
    with subprocess.Popen(command, cwd=ROOT, env=KEYS, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            for _ in range(3000):
                try:
                    urllib.request.urlopen(address + HEALTH)
                    break
                except OSError:
                    time.sleep(0.1)
            yield address
        finally:
            server.terminate()


def client(url: str, secret: str = KEYS["AWS_SECRET_ACCESS_KEY"], **options):
    return boto3.client(
        "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id="local", aws_secret_access_key=secret,
        config=Config(**options),
    )  # fmt: skip


def status(request: urllib.request.Request | str) -> int:
    try:
        with urllib.request.urlopen(request) as reply:
            return reply.status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.parametrize("key", ["drops/es/a.txt", "drops/es/año 1+2=3&x?/ü~*'(1).txt", "drops/a//b/%41.txt"])
def test_signed_requests_pass_whatever_the_key(url: str, key: str) -> None:
    s3 = client(url)
    s3.create_bucket(Bucket="keys")
    s3.put_object(Bucket="keys", Key=key, Body=b"text", Metadata={"who": "ward  one"}, IfNoneMatch="*")
    assert s3.get_object(Bucket="keys", Key=key)["Body"].read() == b"text"
    assert [o["Key"] for o in s3.list_objects_v2(Bucket="keys", Prefix=key)["Contents"]] == [key]
    s3.delete_objects(Bucket="keys", Delete={"Objects": [{"Key": key}]})


def test_a_delta_table_is_written_and_read(url: str) -> None:
    client(url).create_bucket(Bucket="tables")
    options = KEYS | {"AWS_ENDPOINT_URL": url, "AWS_REGION": "us-east-1", "AWS_ALLOW_HTTP": "true"}
    for _ in range(2):
        write_deltalake("s3://tables/t", pa.table({"n": [1, 2]}), mode="append", storage_options=options)
    assert DeltaTable("s3://tables/t", storage_options=options).to_pyarrow_table().num_rows == 4


def test_what_is_not_signed_with_the_secret_is_refused(url: str) -> None:
    s3 = client(url)
    s3.create_bucket(Bucket="private")
    s3.put_object(Bucket="private", Key="drops/n.txt", Body=b"text")
    target = f"{url}/private/drops/n.txt"
    presigned = s3.generate_presigned_url("get_object", Params={"Bucket": "private", "Key": "drops/n.txt"})
    bogus = f"{target}?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=0&X-Amz-Credential=local"
    assert {status(u) for u in (url, target, presigned, bogus, f"{url}/moto-api/data.json")} == {403}
    reset = urllib.request.Request(f"{url}/moto-api/reset", method="POST", headers={"Origin": "http://page.example"})
    assert status(reset) == 403
    with pytest.raises(ClientError) as refused:
        client(url, "another").get_object(Bucket="private", Key="drops/n.txt")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert s3.get_object(Bucket="private", Key="drops/n.txt")["Body"].read() == b"text"


def test_no_page_of_another_origin_may_read_an_answer(url: str) -> None:
    preflight = urllib.request.Request(f"{url}/keys/x", method="OPTIONS", headers={"Origin": "http://page.example"})
    assert status(preflight) == 403
    with urllib.request.urlopen(urllib.request.Request(url + HEALTH, headers={"Origin": "http://p.example"})) as reply:
        assert not [name for name in reply.headers if name.lower().startswith("access-control")]


def signed_environ(url: str = "http://127.0.0.1:9") -> tuple[dict[str, str], str]:
    """A request of boto3 as the server sees it, and the time of its signature."""
    seen = {}

    def keep(request, **_) -> None:
        seen.update(request.headers, method=request.method, url=request.url)
        raise StopIteration

    s3 = client(url, retries={"max_attempts": 0})
    s3.meta.events.register("before-send.s3", keep)
    with pytest.raises(StopIteration):
        s3.put_object(Bucket="b", Key="k", Body=b"x")
    headers = {k: v.decode() if isinstance(v, bytes) else v for k, v in seen.items()}
    environ = {f"HTTP_{k.upper().replace('-', '_')}": v for k, v in headers.items()}
    environ |= {
        "REQUEST_METHOD": headers["method"],
        "RAW_URI": headers["url"].removeprefix(url),
        "HTTP_HOST": "127.0.0.1:9",
        "CONTENT_LENGTH": headers.get("Content-Length", ""),
        "CONTENT_TYPE": headers.get("Content-Type", ""),
    }
    return environ, headers["X-Amz-Date"]


def test_a_change_of_anything_signed_or_an_old_date_is_found() -> None:
    from datetime import UTC, datetime

    environ, stamp = signed_environ()
    at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    secret = KEYS["AWS_SECRET_ACCESS_KEY"]
    assert is_signed(environ, "local", secret, at)
    assert not is_signed(environ, "other", secret, at)
    assert not is_signed(environ, "local", secret, at + OLDEST + timedelta(seconds=1))
    assert not is_signed(environ, "local", secret, at - OLDEST - timedelta(seconds=1))
    for name, value in [
        ("REQUEST_METHOD", "GET"), ("RAW_URI", "/b/other"), ("RAW_URI", f"{environ['RAW_URI']}?acl"),
        ("HTTP_HOST", "page.example"), ("HTTP_X_AMZ_CONTENT_SHA256", "0" * 64), ("HTTP_X_AMZ_DATE", "now"),
        ("HTTP_AUTHORIZATION", ""), ("HTTP_AUTHORIZATION", environ["HTTP_AUTHORIZATION"].replace("host;", "")),
    ]:  # fmt: skip
        assert not is_signed(environ | {name: value}, "local", secret, at), name
