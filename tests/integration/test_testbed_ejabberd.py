# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The throw-away ejabberd: what it offers, whom it lets in, how it fails."""

from __future__ import annotations

import asyncio
import http.client
import re
import socket
import ssl
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from archipel.client import ConnectionSettings, Session
from archipel.client.server_api import ServerApi, ServerApiFailed
from archipel.xmpp.stream import Stream
from archipel.xmpp.tls import client_context
from testbed.certificates import Authority
from testbed.ejabberd import Ejabberd, EjabberdError, make_ejabberd
from tests.documentation import read_blocks

DEEP = 100_000  # elements, which fit into the largest stanza
OPEN_STREAM = "<stream:stream to='{}' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"
START_TLS = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
OPEN_WEBSOCKET_STREAM = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='{}' version='1.0'/>"
UPGRADE = (
    "GET /xmpp HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: xmpp\r\n\r\n"
)


@pytest.fixture
def server(tmp_path: Path, authority: Authority):
    """A server of the test's own, which it may break."""
    server = make_ejabberd(tmp_path / "server", "own.localhost", authority)
    yield server
    server.kill()


def read_until(connection: socket.socket, mark: str) -> str:
    text = ""
    while mark not in text:
        received = connection.recv(65536)
        assert received, f"the stream ended before {mark!r}: {text}"
        text += received.decode()
    return text


def read_features(server: Ejabberd) -> tuple[str, str]:
    """The stream features before and after STARTTLS."""
    context = ssl.create_default_context(cafile=str(server.ca_file))
    with socket.create_connection((server.host, server.port), timeout=10) as connection:
        connection.sendall(OPEN_STREAM.format(server.domain).encode())
        before = read_until(connection, "</stream:features>")
        connection.sendall(START_TLS.encode())
        read_until(connection, "<proceed")
        with context.wrap_socket(connection, server_hostname=server.domain) as tls:
            tls.sendall(OPEN_STREAM.format(server.domain).encode())
            return before, read_until(tls, "</stream:features>")


def test_only_scram_sha_256_is_offered_and_only_inside_tls(ejabberd: Ejabberd):
    before, after = read_features(ejabberd)
    assert "<mechanism>" not in before
    assert set(re.findall("<mechanism>(.*?)</mechanism>", after)) <= {"SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"}
    assert "<mechanism>SCRAM-SHA-256</mechanism>" in after


async def test_plain_inside_tls_must_be_asked_for(tmp_path: Path, authority: Authority):
    server = make_ejabberd(tmp_path / "server", "own.localhost", authority, plain_inside_tls=True)
    server.start()
    before, after = read_features(server)
    server.register("guest", "word")
    stream = Stream("guest@own.localhost", "word", client_context(server.ca_file), allow_plain=True)
    stream.plugin["feature_mechanisms"].use_mechs = {"PLAIN"}
    await stream.login(server.host, server.port)
    assert stream.online
    await stream.logout()
    server.stop()
    assert "PLAIN" not in before
    assert "<mechanism>PLAIN</mechanism>" in after
    assert "SCRAM-SHA-256</mechanism>" in after


async def test_a_deep_message_does_not_end_the_server(server: Ejabberd):
    server.start()
    people = []
    for name in ("alice", "bob"):
        server.register(name, "word")
        person = Stream(f"{name}@own.localhost/desk", "word", client_context(server.ca_file))
        await person.login(server.host, server.port)
        people.append(person)
    alice, bob = people
    arrived = asyncio.get_running_loop().create_future()
    bob.on_message = arrived.set_result
    alice.send_raw(f"<message to='{bob.boundjid}'>{'<a>' * DEEP}{'</a>' * DEEP}</message>")
    async with asyncio.timeout(30):
        assert len((await arrived).findall(".//{jabber:client}a")) == DEEP
    assert server.pid is not None
    for person in people:
        await person.logout()


def test_browsers_come_in_over_websocket_when_asked_for(tmp_path: Path, authority: Authority):
    server = make_ejabberd(tmp_path / "server", "own.localhost", authority, websocket=True)
    server.start()
    context = ssl.create_default_context(cafile=str(server.ca_file))
    port = int(server.websocket_url.removeprefix("wss://127.0.0.1:").removesuffix("/xmpp"))
    with (
        socket.create_connection((server.host, port), timeout=10) as connection,
        context.wrap_socket(connection, server_hostname=server.host) as tls,
    ):
        tls.sendall(UPGRADE.format(server.domain).encode())
        answer = read_until(tls, "\r\n\r\n")
    server.stop()
    assert answer.startswith("HTTP/1.1 101")
    assert re.search("^sec-websocket-protocol: *xmpp\r$", answer, re.IGNORECASE | re.MULTILINE)


def test_without_websocket_there_is_no_address(ejabberd: Ejabberd):
    with pytest.raises(ValueError, match="websocket=True"):
        print(ejabberd.websocket_url)


def test_accounts_survive_a_crash_two_seconds_later(server: Ejabberd):
    server.start()
    server.register("student", "secret")
    time.sleep(2.5)
    server.kill()
    assert server.pid is None
    server.start()
    assert server.call("registered_users", host=server.domain) == ["student"]


def test_another_process_opens_and_stops_it(server: Ejabberd):
    server.start()
    again = Ejabberd(server.folder)
    assert (again.pid, again.port, again.settings) == (server.pid, server.port, server.settings)
    again.stop()
    assert server.pid is None


def test_an_account_is_made_once(ejabberd: Ejabberd, register):
    account = register()
    with pytest.raises(EjabberdError, match="already registered"):
        ejabberd.register(account.jid.partition("@")[0], "another")


def test_a_server_that_does_not_run_says_so(server: Ejabberd):
    with pytest.raises(EjabberdError, match="register: ejabberd does not answer"):
        server.register("student", "secret")


@pytest.mark.parametrize("guess", ["/api", "", f"/{'0' * 32}"])
def test_who_does_not_know_the_path_cannot_call(ejabberd: Ejabberd, guess: str):
    connection = http.client.HTTPConnection(ejabberd.host, ejabberd.settings.api_port, timeout=10)
    connection.request("POST", f"{guess}/status", "{}", {"Content-Type": "application/json"})
    assert connection.getresponse().status == http.HTTPStatus.NOT_FOUND
    connection.close()


async def test_only_administrators_manage_groups_and_nothing_else(server: Ejabberd):
    server.start()
    for name in ("admin", "bob"):
        server.register(name, f"{name}-secret")

    def api(name: str, password: str | None = None) -> ServerApi:
        settings = ConnectionSettings(jid=f"{name}@{server.domain}", password=password or f"{name}-secret", ca_file=server.ca_file)
        return ServerApi(settings, server.administration_url)

    assert await api("admin").call("srg_list", host=server.domain) == []
    for refused, command, words in (
        (api("bob"), "srg_list", "may not call it"),
        (api("admin", "wrong"), "srg_list", "does not take account and password"),
        (api("admin"), "registered_users", "may not call it"),
    ):
        with pytest.raises(ServerApiFailed, match=words):
            await refused.call(command, host=server.domain)
    connection = http.client.HTTPSConnection(server.host, server.settings.administration_port, context=_trust(server))
    connection.request("POST", "/api/registered_users", f'{{"host": "{server.domain}"}}', {"Host": server.domain})
    assert connection.getresponse().status == http.HTTPStatus.FORBIDDEN
    connection.close()


async def test_the_server_takes_the_shaper_of_the_guide(server: Ejabberd, root: Path):
    """With the packaged rates for everybody else; the account goes on logging in."""
    [block] = read_blocks(root / "docs" / "docsite" / "rst" / "guide_troubleshooting.rst", "yaml")
    said = yaml.safe_load(block.replace("example.org", server.domain))
    file = server.folder / "ejabberd.yml"
    whole = yaml.safe_load(file.read_text())
    for part in ("acl", "shaper_rules"):
        whole[part] |= said[part]
    whole["shaper"] = {"normal": {"rate": 3000, "burst_size": 20000}, "fast": 200000}
    file.write_text(yaml.safe_dump(whole))
    server.start()
    server.register("gitops", "gitops-secret")
    jid = f"gitops@{server.domain}"
    settings = ConnectionSettings(jid=jid, password="gitops-secret", host=server.host, port=server.port, ca_file=server.ca_file)
    async with Session(settings) as session:
        assert await session.contacts() == ()
    assert "shaper" not in (server.folder / "logs" / "ejabberd.log").read_text()


def _trust(server: Ejabberd) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(server.ca_file))
    context.check_hostname = False  # it is reached by its address
    return context


def test_the_path_is_seen_by_its_owner_only(ejabberd: Ejabberd):
    arguments = Path(f"/proc/{ejabberd.pid}/cmdline").read_text() + Path(f"/proc/{ejabberd.pid}/environ").read_text()
    assert ejabberd.settings.api_path not in arguments
    assert ejabberd.folder.stat().st_mode & 0o777 == 0o700


def test_a_wrong_option_is_named_in_the_error(server: Ejabberd):
    file = server.folder / "ejabberd.yml"
    file.write_text(file.read_text().replace("last_item_cache: false", "last_item_cach: false"))
    with pytest.raises(EjabberdError, match=r"did not start: .*Unknown option: last_item_cach\b"):
        server.start()
    assert server.pid is None


def test_it_runs_in_a_folder_with_a_long_name(tmp_path: Path, authority: Authority):
    server = make_ejabberd(tmp_path / ("x" * 150) / "server", "own.localhost", authority)
    server.start()
    server.register("student", "secret")
    server.stop()
    assert server.pid is None


def test_nothing_listens_beyond_loopback(server: Ejabberd):
    server.start()
    lines = subprocess.run(["ss", "-Hltnup"], capture_output=True, text=True, check=True).stdout.splitlines()
    local = [line.split()[4] for line in lines if f"pid={server.pid}," in line]
    ports = [server.port, server.settings.api_port, server.settings.administration_port]
    assert sorted(int(address.rpartition(":")[2]) for address in local) == sorted(port for port in ports if port is not None)
    assert all(address.startswith("127.0.0.1:") for address in local)
