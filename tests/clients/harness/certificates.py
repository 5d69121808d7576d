"""Certificates for one run, by openssl. No key outlives the folder."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Certificates:
    """An authority, and what it signed for `localhost` and loopback."""

    authority: Path
    certificate: Path
    key: Path


def make(folder: Path) -> Certificates:
    folder.mkdir(parents=True)
    made = Certificates(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    authority_key, request, extensions = folder / "ca.key", folder / "server.csr", folder / "ext"
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl(
        "req", "-x509", *curve, "-days", "2", "-subj", "/CN=Test authority",
        "-addext", "keyUsage=critical,keyCertSign,cRLSign",
        "-keyout", authority_key, "-out", made.authority,
    )  # fmt: skip
    openssl("req", *curve, "-subj", "/CN=localhost", "-keyout", made.key, "-out", request)
    extensions.write_text(
        "subjectAltName=DNS:localhost,IP:127.0.0.1\n"
        "basicConstraints=critical,CA:FALSE\n"
        "keyUsage=critical,digitalSignature\n"
        "extendedKeyUsage=serverAuth\n"
    )
    openssl(
        "x509", "-req", "-in", request, "-CA", made.authority, "-CAkey", authority_key,
        "-CAcreateserial", "-days", "2", "-extfile", extensions, "-out", made.certificate,
    )  # fmt: skip
    return made


def openssl(*words: str | Path) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)
