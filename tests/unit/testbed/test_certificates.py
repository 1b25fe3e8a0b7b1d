# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The authority makes what a strict client accepts."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from testbed.certificates import Authority, CertificateError, make_authority


@contextmanager
def serve_tls(bundle: Path) -> Iterator[int]:
    """Answer one TLS handshake on a port of loopback."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(bundle)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer_handshake, args=(listener, context))
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def answer_handshake(listener: socket.socket, context: ssl.SSLContext) -> None:
    connection, _ = listener.accept()
    try:
        context.wrap_socket(connection, server_side=True).close()
    except ssl.SSLError:
        connection.close()  # the client did not like the name


def shake_hands(authority: Authority, port: int, name: str) -> str | None:
    context = ssl.create_default_context(cafile=str(authority.certificate))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    with socket.create_connection(("127.0.0.1", port)) as connection, context.wrap_socket(connection, server_hostname=name) as tls:
        return tls.version()


@pytest.mark.parametrize("name", ["a.localhost", "pubsub.a.localhost", "127.0.0.1"])
def test_a_strict_client_accepts_every_name_of_the_server(authority: Authority, tmp_path: Path, name: str):
    with serve_tls(authority.issue("a.localhost", tmp_path)) as port:
        assert shake_hands(authority, port, name) == "TLSv1.3"


def test_a_client_refuses_another_name(authority: Authority, tmp_path: Path):
    with serve_tls(authority.issue("a.localhost", tmp_path)) as port, pytest.raises(ssl.SSLCertVerificationError, match=r"b\.localhost"):
        shake_hands(authority, port, "b.localhost")


def test_private_keys_are_for_their_owner_only(tmp_path: Path):
    authority = make_authority(tmp_path / "authority")
    bundle = authority.issue("a.localhost", tmp_path)
    assert [path.stat().st_mode & 0o777 for path in (authority.key, bundle)] == [0o600, 0o600]


def test_an_authority_is_made_once(tmp_path: Path):
    first = make_authority(tmp_path).certificate.read_bytes()
    assert make_authority(tmp_path).certificate.read_bytes() == first


def test_the_words_of_openssl_reach_the_caller(authority: Authority, tmp_path: Path):
    with pytest.raises(CertificateError, match=r"'a\.localhost'.*No such file"):
        authority.issue("a.localhost", tmp_path / "absent")
