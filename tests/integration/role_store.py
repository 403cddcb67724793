"""moto's S3 on loopback, where an access key is the name of a role: a request that the role's policies do not allow is
refused, and what each role asked for is kept.

moto's own check of policies knows no conditions and is not used. The evaluation here knows what the template has:
allow statements with actions, resources and `StringLike` on `s3:prefix`; anything else is an error.
"""

from __future__ import annotations

import io
import json
import os
import sys
import urllib.request
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote
from xml.etree import ElementTree

from tests.integration.server_process import free_port, running

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

LOOPBACK = "127.0.0.1"
ADMINISTRATOR = "administrator"
DENIED = b'<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>by the role</Message></Error>'
LISTS = {"s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads"}


@dataclass(frozen=True)
class Asked:
    """An action on `bucket/key`; for a listing the key is its prefix."""

    action: str
    bucket: str
    key: str


def allows(statements: Sequence[Mapping[str, Any]], asked: Asked) -> bool:
    """Whether a statement allows it (the IAM user guide, "Policy evaluation logic")."""
    return any(_allows(statement, asked) for statement in statements)


def _allows(statement: Mapping[str, Any], asked: Asked) -> bool:
    assert statement["Effect"] == "Allow"
    assert statement.keys() <= {"Sid", "Effect", "Action", "Resource", "Condition"}
    if not any(fnmatchcase(asked.action, pattern) for pattern in _list(statement["Action"])):
        return False
    lists = asked.action in LISTS
    name = f"arn:aws:s3:::{asked.bucket}" + ("" if lists else f"/{asked.key}")
    if not any(fnmatchcase(name, pattern) for pattern in _list(statement["Resource"])):
        return False
    condition = statement.get("Condition", {"StringLike": {"s3:prefix": "*"}})
    assert {key: set(value) for key, value in condition.items()} == {"StringLike": {"s3:prefix"}}
    return any(fnmatchcase(asked.key, pattern) for pattern in _list(condition["StringLike"]["s3:prefix"]))


def _list(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


class RoleStore:
    """The server, a process of its own as delta-rs waits for it with Python's lock held."""

    def __init__(self, url: str) -> None:
        self.url = url

    def enforce(self, policies: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        """From now on each role may do what its statements allow."""
        self._call("/-/policies", json.dumps(policies).encode())

    def record(self) -> tuple[dict[str, set[Asked]], list[tuple[str, Asked]]]:
        """What each role has asked for, and what was refused, since the last call of `clear`."""
        found = json.loads(self._call("/-/record"))
        asked = {role: {Asked(*one) for one in several} for role, several in found["asked"].items()}
        return asked, [(role, Asked(*one)) for role, one in found["refused"]]

    def clear(self) -> None:
        """Forget what was refused."""
        self._call("/-/clear", b"{}")

    def _call(self, path: str, data: bytes | None = None) -> bytes:
        with urllib.request.urlopen(f"{self.url}{path}", data, timeout=60) as answer:
            return bytes(answer.read())


@contextmanager
def role_store(log: Path) -> Iterator[RoleStore]:
    """A running server."""
    port = free_port()
    url = f"http://{LOOPBACK}:{port}"
    command = [sys.executable, "-m", "tests.integration.role_store", str(port)]
    with running(command, f"{url}/-/record", log, os.environ):
        yield RoleStore(url)


class _Gate:
    """The server's application."""

    def __init__(self, moto: Any) -> None:
        self._moto = moto
        self._policies: dict[str, list[dict[str, Any]]] = {}
        self._asked: dict[str, set[Asked]] = {}
        self._refused: list[tuple[str, Asked]] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        if environ["PATH_INFO"].startswith("/-/"):
            return self._own(environ, start_response)
        role = environ.get("HTTP_AUTHORIZATION", "").partition("Credential=")[2].partition("/")[0]
        if role != ADMINISTRATOR:
            for asked in _asked(environ):
                self._asked.setdefault(role, set()).add(asked)
                if not allows(self._policies.get(role, []), asked):
                    self._refused.append((role, asked))
                    start_response(
                        "403 Forbidden", [("Content-Type", "text/xml"), ("Content-Length", str(len(DENIED)))]
                    )
                    return [DENIED]
        return self._moto(environ, start_response)

    def _own(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        match environ["PATH_INFO"]:
            case "/-/policies":
                self._policies = json.loads(_body(environ))
            case "/-/clear":
                self._refused.clear()
        asked = {role: [astuple(one) for one in several] for role, several in self._asked.items()}
        answer = {"asked": asked, "refused": [(role, astuple(one)) for role, one in self._refused]}
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(answer).encode()]


def _asked(environ: dict[str, Any]) -> Iterator[Asked]:
    """The actions that a request stands for (S3 user guide, "Required permissions for Amazon S3 API operations")."""
    bucket, _, key = environ["PATH_INFO"].encode("latin-1").decode().lstrip("/").partition("/")
    query = parse_qs(environ["QUERY_STRING"], keep_blank_values=True)
    prefix = query.get("prefix", [""])[0]
    version = "Version" if "versionId" in query else ""
    match environ["REQUEST_METHOD"], bool(key):
        case "GET" | "HEAD", False if "versions" in query:
            yield Asked("s3:ListBucketVersions", bucket, prefix)
        case "GET" | "HEAD", False if "uploads" in query:
            yield Asked("s3:ListBucketMultipartUploads", bucket, prefix)
        case "GET" | "HEAD", False if not query.keys() - _LISTING:
            yield Asked("s3:ListBucket", bucket, prefix)
        case "GET" | "HEAD", True if not query.keys() - _OBJECT:
            yield Asked(f"s3:GetObject{version}", bucket, key)
        case "PUT" | "POST", True if not query.keys() - _OBJECT:
            yield Asked("s3:PutObject", bucket, key)
            if source := environ.get("HTTP_X_AMZ_COPY_SOURCE"):
                yield Asked("s3:GetObject", *unquote(source).lstrip("/").partition("?")[0].split("/", 1))
        case "DELETE", True if "uploadId" in query:
            yield Asked("s3:AbortMultipartUpload", bucket, key)
        case "DELETE", True:
            yield Asked(f"s3:DeleteObject{version}", bucket, key)
        case "POST", False if "delete" in query:
            for item in ElementTree.fromstring(_body(environ)).iter("{*}Object"):
                version = "Version" if item.find("{*}VersionId") is not None else ""
                yield Asked(f"s3:DeleteObject{version}", bucket, item.findtext("{*}Key") or "")
        case method, _:
            yield Asked(f"unknown:{method} {'&'.join(sorted(query))}", bucket, key)


_LISTING = {
    *("list-type", "prefix", "delimiter", "encoding-type", "max-keys", "continuation-token", "start-after", "marker"),
    "fetch-owner",
}
_OBJECT = {"versionId", "partNumber", "uploadId", "uploads", "x-id", "response-content-type"}


def _body(environ: dict[str, Any]) -> bytes:
    data = bytes(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
    environ["wsgi.input"] = io.BytesIO(data)
    return data


def _serve(port: int) -> None:
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import run_simple

    gate = _Gate(DomainDispatcherApplication(create_backend_app))
    run_simple(LOOPBACK, port, gate, threaded=True)


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
