# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""SCRAM: the weak spots of slixmpp that are mended, and a sign when they are mended there."""

from __future__ import annotations

import base64
import inspect
import random
import re
from typing import Any

import pytest
from slixmpp.util.sasl import mechanisms
from slixmpp.util.sasl.client import SASLMutualAuthFailed

from archipel.xmpp.scram import NONCE_BYTES, derive_key, mend_slixmpp

FORMER_HI = """\
    def Hi(self, text: str, salt: bytes_, iterations: int):
        text_enc = bytes(text)
        ui1 = self.HMAC(text_enc, salt + b'\\0\\0\\0\\01')
        ui = ui1
        for i in range(iterations - 1):
            ui1 = self.HMAC(text_enc, ui1)
            ui = XOR(ui, ui1)
        return ui
"""
FORMER_NONCE = "self.cnonce = bytes(('%s' % random.random())[2:])"


class FixedRandom:
    """Gives the nonce that a test vector was made with."""

    @staticmethod
    def random() -> str:
        return "0.rOprNGfwEbeRWgbNEkqO"


@pytest.fixture(autouse=True)
def mended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put everything back as it was before the test."""
    monkeypatch.setattr(mechanisms, "random", random)
    mend_slixmpp()


def scram(name: str = "SCRAM-SHA-256") -> Any:
    settings = {"encrypted": True, "unencrypted_scram": False, "binding_proposed": True, "tls_version": "TLSv1.3"}
    credentials = {"username": b"user", "password": b"pencil", "authzid": b"", "channel_binding": None}
    make: Any = mechanisms.SCRAM
    return make(name, credentials, settings)


@pytest.mark.parametrize("former", [FORMER_HI, FORMER_NONCE], ids=["Hi", "nonce"])
def test_slixmpp_still_has_what_is_mended_here(former: str) -> None:
    """If this fails, slixmpp has changed: see whether archipel.xmpp.scram is still needed, and still does its work."""
    assert former in inspect.getsource(mechanisms)


def test_the_exchange_of_rfc_7677_is_reproduced(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 7677, 3."""
    monkeypatch.setattr(mechanisms, "random", FixedRandom)
    mechanism = scram()
    assert mechanism.process() == b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    challenge = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    assert mechanism.process(challenge) == (
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    )
    assert mechanism.process(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=") == b""


def test_a_server_that_proves_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mechanisms, "random", FixedRandom)
    mechanism = scram()
    mechanism.process()
    mechanism.process(b"r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")
    with pytest.raises(SASLMutualAuthFailed):
        mechanism.process(b"v=" + base64.b64encode(bytes(32)))


@pytest.mark.parametrize(
    "name,password,iterations,key",
    [
        ("SCRAM-SHA-1", "password", 1, "0c60c80f961f0e71f3a9b524af6012062fe037a6"),  # RFC 6070, 2
        ("SCRAM-SHA-1", "password", 4096, "4b007901b765489abead49d926f721d065a429c1"),
        ("SCRAM-SHA-256", "passwd", 1, "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"),  # RFC 7914, 11
    ],
)
def test_keys_are_those_of_the_published_vectors(name: str, password: str, iterations: int, key: str) -> None:
    """Hi() is PBKDF2 with the hash's own length (RFC 5802, 2.2)."""
    assert derive_key(scram(name), password, b"salt", iterations).hex() == key


def test_a_password_may_be_text_or_its_octets() -> None:
    assert derive_key(scram(), "pässword", b"salt", 2) == derive_key(scram(), "pässword".encode(), b"salt", 2)


def nonce() -> str:
    return str(scram().process().decode().rpartition("r=")[2])


def test_a_nonce_has_the_entropy_of_its_bytes_and_no_comma() -> None:
    found = nonce()
    assert len(found) == len(base64.urlsafe_b64encode(bytes(NONCE_BYTES)))
    assert NONCE_BYTES * 8 >= 128
    assert re.fullmatch(r"[!-+\--~]+", found), "printable ASCII but for the comma (RFC 5802, 7)"


def test_no_nonce_comes_twice() -> None:
    assert len({nonce() for _ in range(100)}) == 100


def test_the_nonce_does_not_depend_on_the_generator_that_can_be_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> float:
        raise AssertionError("random.random is no source of nonces")

    random.seed(1)
    before = nonce()
    random.seed(1)
    assert nonce() != before
    monkeypatch.setattr(random, "random", fail)
    nonce()


def test_mending_twice_changes_nothing() -> None:
    mended = mechanisms.SCRAM.Hi
    mend_slixmpp()
    assert mechanisms.SCRAM.Hi is mended is derive_key
