# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small certificate authority for servers on loopback, made with the ``openssl`` command."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

VALID_DAYS = 365
# Python 3.13 verifies strictly (RFC 5280): an authority needs a critical keyUsage, a leaf needs an authorityKeyIdentifier.
AUTHORITY_EXTENSIONS = (
    "basicConstraints=critical,CA:TRUE,pathlen:0",
    "keyUsage=critical,keyCertSign,cRLSign",
    "subjectKeyIdentifier=hash",
)
SERVER_EXTENSIONS = (
    "basicConstraints=critical,CA:FALSE",
    "keyUsage=critical,digitalSignature",
    "extendedKeyUsage=serverAuth,clientAuth",
    "subjectKeyIdentifier=hash",
    "authorityKeyIdentifier=keyid",
)


class CertificateError(Exception):
    """``openssl`` refused; the message is what it said."""


@dataclass(frozen=True)
class Authority:
    """A certificate authority that lives in a folder: ``ca.pem`` to hand out, ``ca.key`` to keep."""

    folder: Path

    @property
    def certificate(self) -> Path:
        """The file that clients trust."""
        return self.folder / "ca.pem"

    @property
    def key(self) -> Path:
        """The authority's private key, readable by the owner only."""
        return self.folder / "ca.key"

    def issue(self, domain: str, folder: Path) -> Path:
        """Make ``folder/server.pem``, private key and certificate for ``domain``, its sub-domains and 127.0.0.1.

        Raises CertificateError.
        """
        key, certificate, bundle = folder / "server.key", folder / "server.crt", folder / "server.pem"
        names = f"subjectAltName=DNS:{domain},DNS:*.{domain},IP:127.0.0.1"
        _make(domain, key, certificate, (names, *SERVER_EXTENSIONS), signed_by=self)
        bundle.touch(mode=0o600)
        bundle.write_text(key.read_text() + certificate.read_text())
        key.unlink()
        certificate.unlink()
        return bundle


def make_authority(folder: Path) -> Authority:
    """Make an authority in ``folder``, or take the one that is there. Raises CertificateError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    authority = Authority(folder)
    if not authority.certificate.exists():
        _make("Archipel test bed", authority.key, authority.certificate, AUTHORITY_EXTENSIONS)
    return authority


def _make(name: str, key: Path, certificate: Path, extensions: tuple[str, ...], signed_by: Authority | None = None) -> None:
    """Make a P-256 key (openssl gives it mode 0600) and a certificate for it, signed by itself or by an authority."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-days", str(VALID_DAYS)]
    command += ["-subj", f"/CN={name}", "-keyout", str(key), "-out", str(certificate)]
    if signed_by:
        command += ["-CA", str(signed_by.certificate), "-CAkey", str(signed_by.key)]
    for extension in extensions:
        command += ["-addext", extension]
    # The packaged openssl.cnf adds extensions of its own to what -x509 makes; these are the only ones wanted.
    result = subprocess.run(
        command, env={"PATH": "/usr/bin:/bin", "OPENSSL_CONF": "/dev/null"}, capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise CertificateError(f"openssl could not make the certificate of {name!r}: {result.stderr.strip()}")
