# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``archipel-agent --check``: a line for each thing that the agent needs, in plain words, without secrets."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
from pathlib import Path

import pytest

from archipel.agent import check
from archipel.agent.settings import Settings
from archipel.protocol.errors import CommandError
from archipel.xmpp.errors import NoAnswer
from tests.unit.agent.fake_xmpp import FakeXmpp
from tests.unit.agent.fakes import HYP, make_settings

PLAIN = "[GLOBAL]\ninsecure_plaintext = True"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> FakeXmpp:
    server = FakeXmpp()
    monkeypatch.setattr(check, "Stream", server.open_stream)
    monkeypatch.setattr(check, "DEADLINE", 0.2)
    return server


async def lines(settings: Settings, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, str], str]:
    """Return the exit status, what was said of each thing, and the last line."""
    status = await check.run(settings)
    *said, last = capsys.readouterr().out.splitlines()
    return status, {line.partition(":")[0]: line.partition(": ")[2] for line in said}, last


async def test_all_is_well(server: FakeXmpp, agent_settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    status, said, last = await lines(agent_settings, capsys)
    assert (status, last) == (0, "everything is usable")
    assert list(said) == ["ok    configuration", "ok    XMPP server", "ok    libvirt", "ok    database", "ok    folders", "ok    images"]
    assert said["ok    configuration"] == f"the agent is {HYP}/host1, and its capabilities can be loaded"
    assert said["ok    XMPP server"] == f"logged in as {HYP}, pubsub.lab.example answers"
    assert re.fullmatch(r"test:///default, libvirt \d+\.\d+\.\d+, \d+ domains", said["ok    libvirt"])
    assert said["ok    database"] == f"{agent_settings.state.database} will be made"
    assert said["ok    folders"] == "machines' folders and logs can be written"
    assert not agent_settings.state.database.exists(), "looking makes nothing"


async def test_the_service_that_may_be_running_is_not_thrown_out(server: FakeXmpp, agent_settings: Settings) -> None:
    await check.run(agent_settings)
    assert server.streams[HYP].boundjid.resource == check.RESOURCE != agent_settings.hostname
    assert server.streams[HYP].lost.done(), "it is logged out again"


async def test_a_wrong_password_is_told_without_it(server: FakeXmpp, agent_settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    server.accounts["hyp"] = "other"
    status = await check.run(agent_settings)
    said = capsys.readouterr().out
    assert status == 1
    assert "FAIL  XMPP server: wrong password" in said
    assert said.endswith("1 of 6 checks failed: the agent would not work\n")
    assert agent_settings.xmpp.password.reveal() not in said.replace("wrong password", "")


@pytest.mark.parametrize("error", [NoAnswer("pubsub.lab.example did not answer within 10 s"), CommandError("service-unavailable")])
async def test_a_pubsub_service_that_does_not_answer_is_told(
    server: FakeXmpp, agent_settings: Settings, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    server.refuse["read metadata"] = error
    status, said, _last = await lines(agent_settings, capsys)
    assert (status, said["FAIL  XMPP server"]) == (1, str(error))


async def test_missing_encryption_is_shouted(server: FakeXmpp, agent_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = await check.run(make_settings(agent_folder, PLAIN))
    said = capsys.readouterr().out
    assert status == 0
    assert said.startswith("note  ")
    assert "(WITHOUT encryption)" in said


async def test_an_authority_that_is_no_certificate_is_told(
    server: FakeXmpp, agent_settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ca.pem").write_text("nonsense")
    xmpp = dataclasses.replace(agent_settings.xmpp, ca_file=tmp_path / "ca.pem")
    status, said, _last = await lines(dataclasses.replace(agent_settings, xmpp=xmpp), capsys)
    assert status == 1
    assert "FAIL  XMPP server" in said


async def test_a_libvirt_that_is_not_there_is_told(server: FakeXmpp, agent_settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    libvirt = dataclasses.replace(agent_settings.libvirt, uri="test+unix:///default?socket=/nowhere")
    status, said, _last = await lines(dataclasses.replace(agent_settings, libvirt=libvirt), capsys)
    assert status == 1
    assert "no connection to libvirt (test+unix:///default?socket=/nowhere)" in said["FAIL  libvirt"]


async def test_a_database_that_is_there_is_opened(
    server: FakeXmpp, agent_settings: Settings, empty_database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    agent_settings.state.database.parent.mkdir(parents=True)
    shutil.copy(empty_database, agent_settings.state.database)
    _status, said, _last = await lines(agent_settings, capsys)
    assert said["ok    database"] == f"{agent_settings.state.database}, 0 machines"


async def test_a_damaged_database_is_told(server: FakeXmpp, agent_settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    agent_settings.state.database.parent.mkdir(parents=True)
    agent_settings.state.database.write_text("not at all a database" * 100)
    status, said, _last = await lines(agent_settings, capsys)
    assert status == 1
    assert str(agent_settings.state.database) in said["FAIL  database"]


async def test_a_folder_that_cannot_be_made_is_told(
    server: FakeXmpp, agent_settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    machines = dataclasses.replace(agent_settings.machines, base_path=tmp_path / "file" / "drives")
    status, said, _last = await lines(dataclasses.replace(agent_settings, machines=machines), capsys)
    assert status == 1
    assert said["FAIL  folders"].startswith(f"{tmp_path / 'file'} cannot be written by user ")


@pytest.mark.parametrize("mode, told", [(0o777, "others than user "), (None, "No such file")])
async def test_a_shared_folder_that_cannot_be_trusted_is_told(
    server: FakeXmpp, tmp_path: Path, capsys: pytest.CaptureFixture[str], mode: int | None, told: str
) -> None:
    folder = tmp_path / "parking"
    if mode is not None:
        folder.mkdir()
        os.chmod(folder, mode)
    status, said, _last = await lines(make_settings(tmp_path, f"[VMPARKING]\nshared_folder = {folder}\n"), capsys)
    assert status == 1
    assert said["FAIL  folders"].startswith(f"[VMPARKING] shared_folder: {folder}: {told}")


async def test_everything_is_tried_whatever_failed_before(
    server: FakeXmpp, agent_settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    server.accounts.clear()
    agent_settings.state.database.parent.mkdir(parents=True)
    agent_settings.state.database.write_text("not at all a database" * 100)
    _status, said, last = await lines(agent_settings, capsys)
    assert [name[:4] for name in said] == ["ok  ", "FAIL", "ok  ", "FAIL", "ok  ", "ok  "]
    assert last == "2 of 6 checks failed: the agent would not work"
