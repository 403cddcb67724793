"""A private certificate authority, as a hospital has one, and a server's certificate that it signs."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

DAYS = "2"


def server_certificate(folder: Path, address: str) -> tuple[Path, Path]:
    """The authority's certificate, and a file with the key and the certificate of a server at an IP address."""
    authority, key = folder / "authority.pem", folder / "authority.key"
    _openssl(
        "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", DAYS, "-subj", "/CN=Hospital test authority",
        "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-keyout", key, "-out", authority,
    )  # fmt: skip
    request, server_key, signed = folder / "server.csr", folder / "server.key", folder / "server.crt"
    _openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={address}", "-keyout", server_key, "-out", request)
    extensions = folder / "server.ext"
    extensions.write_text(f"subjectAltName=IP:{address}\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n")
    _openssl(
        "x509", "-req", "-in", request, "-CA", authority, "-CAkey", key, "-CAcreateserial", "-days", DAYS,
        "-extfile", extensions, "-out", signed,
    )  # fmt: skip
    both = folder / "server.pem"
    both.write_bytes(server_key.read_bytes() + signed.read_bytes())
    both.chmod(0o600)
    return authority, both


def _openssl(*words: str | Path) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)
