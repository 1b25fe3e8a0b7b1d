# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The TLS context: whom it trusts, and what it does not speak."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from archipel.xmpp.tls import client_context
from testbed.certificates import Authority


def test_certificate_and_host_name_are_verified(authority: Authority) -> None:
    for context in (client_context(), client_context(authority.certificate)):
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.check_hostname
        assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_a_given_authority_is_the_only_one(authority: Authority) -> None:
    trusted = client_context(authority.certificate).get_ca_certs()
    assert [found["subject"] for found in trusted] == [((("commonName", "Archipel test bed"),),)]


def test_a_file_that_is_missing_or_no_certificate_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        client_context(tmp_path / "ca.pem")
    (tmp_path / "ca.pem").write_text("nothing of the kind")
    with pytest.raises(ssl.SSLError):
        client_context(tmp_path / "ca.pem")
