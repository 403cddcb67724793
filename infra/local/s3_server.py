"""moto's S3 server for one machine, which answers signed requests only: `python -m infra.local.s3_server PORT [HOST]`.

moto itself answers every request and every web page. Here a request must carry an AWS Signature Version 4 in its
headers, made with the key pair in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY within the last 15 minutes; all others,
signatures in the query string and moto's own pages included, are refused with 403. No page of another origin may read
an answer. The body is not checked against its digest.
"""

from __future__ import annotations

import hmac
import os
import re
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from infra.local.processes import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Environ = dict[str, Any]
    Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

HEALTH = "/health"
"""Answers 200 without a signature, and says nothing."""
OLDEST = timedelta(minutes=15)
SIGNED = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/,]+)/\d{8}/(?P<region>[^/,]+)/s3/aws4_request, ?"
    r"SignedHeaders=(?P<headers>[a-z0-9;-]+), ?Signature=(?P<signature>[0-9a-f]{64})"
)
FORBIDDEN = b'<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>the request is not signed</Message></Error>'


class SignedRequests:
    """WSGI middleware that passes on the requests that are signed with one key pair."""

    def __init__(self, application: Application, key: str, secret: str) -> None:
        self.application = application
        self.key = key
        self.secret = secret

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        if environ["REQUEST_METHOD"] in ("GET", "HEAD") and environ["PATH_INFO"] == HEALTH:
            start_response("200 OK", [("Content-Length", "0")])
            return []
        if not is_signed(environ, self.key, self.secret):
            start_response("403 Forbidden", [("Content-Type", "text/xml"), ("Content-Length", str(len(FORBIDDEN)))])
            return [FORBIDDEN]
        return self.application(environ, start_response)


def is_signed(environ: Environ, key: str, secret: str, now: datetime | None = None) -> bool:
    """Whether the request has a signature of this key pair over its method, address and headers, and is recent."""
    found = SIGNED.fullmatch(environ.get("HTTP_AUTHORIZATION", ""))
    stamp = environ.get("HTTP_X_AMZ_DATE", "")
    if found is None or not hmac.compare_digest(found["key"].encode(), key.encode()) or not _recent(stamp, now):
        return False
    if not {"host", "x-amz-date", "x-amz-content-sha256"} <= set(found["headers"].split(";")):
        return False
    address = urlsplit(environ["RAW_URI"])
    path = address.path + (f"?{address.query}" if address.query else "")
    request = AWSRequest(method=environ["REQUEST_METHOD"], url=f"http://{environ.get('HTTP_HOST', '')}{path}")
    for name in found["headers"].split(";"):
        request.headers[name] = _header(environ, name)
    request.context["timestamp"] = stamp
    signer = S3SigV4Auth(Credentials(key, secret), "s3", found["region"])
    expected = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
    return hmac.compare_digest(expected, found["signature"])


def _recent(stamp: str, now: datetime | None) -> bool:
    try:
        signed_at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return False
    return abs((now or datetime.now(UTC)) - signed_at) <= OLDEST


def _header(environ: Environ, name: str) -> str:
    variable = name.upper().replace("-", "_")
    if variable not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        variable = f"HTTP_{variable}"
    return str(environ.get(variable, ""))


def main(port: int, host: str = LOOPBACK) -> None:
    """Serve until the process is ended."""
    os.environ["MOTO_DISABLE_GLOBAL_CORS"] = "true"  # read when moto is imported
    os.environ["MOTO_PORT"] = str(port)
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
    from werkzeug.serving import run_simple

    application = DomainDispatcherApplication(create_backend_app)
    signed = SignedRequests(application, os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
    run_simple(host, port, signed, threaded=True, request_handler=MotoRequestHandler)


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
