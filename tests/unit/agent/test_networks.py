# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import dataclasses
import os
import stat
import uuid as uuids
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree as ET

import libvirt
import pytest

from archipel.agent import networks as saving
from archipel.agent.dispatch import Caller
from archipel.agent.rights import Decision, Rule
from archipel.agent.virt.errors import LibvirtError, LibvirtUnavailable
from archipel.agent.virt.networks import Networks, NetworkState
from archipel.protocol.errors import BadRequest, CommandError, LibvirtFailed, PermissionDenied
from archipel.protocol.network import DefineNetwork
from tests.unit.agent.fakes import ADMIN, STUDENT, failure, make_settings

LAB = "6f0c2a3e-1b7d-4c55-9a0e-3d2b1c4f5a69"


class FakeNetworks(Networks):
    """Networks in memory; ``refuse`` maps calls to errors."""

    def __init__(self) -> None:
        super().__init__(connection=None)
        self.known: dict[str, NetworkState] = {}
        self.refuse: dict[str, list[Exception]] = {}

    def _visit(self, call: str) -> None:
        if self.refuse.get(call):
            raise self.refuse[call].pop(0)

    async def find(self, reference: str) -> NetworkState:
        self._visit("find")
        for state in self.known.values():
            if reference in (state.name, state.uuid):
                return state
        raise LibvirtError(libvirt.VIR_ERR_NO_NETWORK, 0, f"no network {reference}")

    async def define(self, xml: str) -> str:
        self._visit("define")
        root = ET.fromstring(xml)
        uuid, name = root.findtext("uuid") or str(uuids.uuid4()), root.findtext("name") or ""
        old = self.known.get(uuid)
        self.known[uuid] = NetworkState(name, uuid, bool(old and old.active), True, bool(old and old.autostart), xml, xml)
        return uuid

    async def undefine(self, reference: str) -> None:
        self._visit("undefine")
        state = await self.find(reference)
        if state.active:
            self.known[state.uuid] = dataclasses.replace(state, persistent=False, autostart=False)
        else:
            del self.known[state.uuid]

    async def set_autostart(self, reference: str, autostart: bool) -> None:
        self._visit("set autostart")
        state = await self.find(reference)
        self.known[state.uuid] = dataclasses.replace(state, autostart=autostart)


class House:
    """A hypervisor as far as networks ask for it; the administrator may pass the policy."""

    def __init__(self, folder: Path) -> None:
        self.networks = FakeNetworks()
        self.folder = folder / "lib" / saving.FOLDER
        self.services = SimpleNamespace(settings=make_settings(folder), host=SimpleNamespace(networks=self.networks))

    def decide(self, bare: str, _right: str) -> Decision:
        return Decision(bare == ADMIN.bare, Rule.ADMINISTRATOR if bare == ADMIN.bare else Rule.NOT_GRANTED)

    async def define(
        self, inner: str = "", *, caller: Caller = STUDENT, name: str = "lab", uuid: str = LAB, autostart: bool | None = None
    ) -> None:
        identity = f"<uuid>{uuid}</uuid>" if uuid else ""
        network = ET.fromstring(f"<network><name>{name}</name>{identity}{inner}</network>")
        await saving.define(self.me, DefineNetwork(autostart=autostart, network=network), caller)

    async def undefine(self, reference: str = "lab", caller: Caller = STUDENT) -> None:
        await saving.undefine(self.me, reference, caller)

    @property
    def me(self) -> Any:
        return self

    @property
    def lab(self) -> NetworkState | None:
        return self.networks.known.get(LAB)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


async def test_a_network_starts_with_its_host_as_it_was_asked(house: House) -> None:
    await house.define(autostart=True)
    assert house.lab is not None
    assert house.lab.autostart
    await house.define("<mtu size='1400'/>")
    assert house.lab.autostart
    await house.define(autostart=False)
    assert not house.lab.autostart


async def test_the_name_of_a_network_stands_for_its_uuid(house: House) -> None:
    await house.define()
    await house.define("<mtu size='1400'/>", uuid="")
    assert [state.uuid for state in house.networks.known.values()] == [LAB]
    await house.undefine()
    await house.define(uuid="")
    assert house.lab is not None


BAD = "<forward mode='x'/>"


async def test_a_bad_definition_brings_the_old_one_back(house: House) -> None:
    await house.define("<mtu size='1400'/>", autostart=True)
    before = house.lab
    await house.undefine(LAB)
    with pytest.raises(BadRequest) as first:
        await house.define(BAD, autostart=False)
    assert "forward/@mode" in first.value.text
    assert first.value.text.endswith("the network lab is defined as it was before")
    assert house.lab == before
    with pytest.raises(BadRequest) as caught:
        await house.define(BAD)
    assert "as it was" not in str(caught.value.text)


async def test_a_network_that_runs_goes_on_and_is_defined_again(house: House) -> None:
    await house.define(autostart=True)
    assert house.lab is not None
    house.networks.known[LAB] = dataclasses.replace(house.lab, active=True)
    before = house.lab
    await house.undefine()
    assert not house.lab.persistent
    with pytest.raises(BadRequest):
        await house.define(BAD)
    assert house.lab == before


@pytest.mark.parametrize("network", [None, ET.Element("network"), ET.Element("domain")])
async def test_what_names_nothing_brings_the_last_one_back(house: House, network: ET.Element | None) -> None:
    await house.define()
    await house.undefine()
    with pytest.raises(BadRequest):
        await saving.define(house.me, DefineNetwork(network=network), STUDENT)
    assert house.lab is not None


async def test_what_the_policy_forbids_brings_the_old_one_back(house: House) -> None:
    await house.define()
    await house.undefine()
    with pytest.raises(PermissionDenied) as caught:
        await house.define("<ip address='8.8.8.8' prefix='24'/>")
    assert caught.value.text.endswith("the network lab is defined as it was before")
    assert house.lab is not None
    await house.define("<ip address='8.8.8.8' prefix='24'/>", caller=ADMIN)


async def test_what_libvirt_refuses_brings_the_old_one_back(house: House) -> None:
    await house.define(autostart=True)
    before = house.lab
    await house.undefine()
    house.networks.refuse["define"] = [failure("no such bridge")]
    with pytest.raises(LibvirtFailed, match="no such bridge; the network lab is defined as it was before"):
        await house.define("<mtu size='1400'/>", autostart=True)
    assert house.lab == before


async def test_another_network_brings_nothing_back(house: House) -> None:
    await house.define()
    await house.undefine()
    with pytest.raises(BadRequest):
        await house.define(BAD, name="other", uuid="7a1d3b4f-2c8e-4d66-8b1f-4e3c2d5a6b70")
    assert house.lab is None


async def test_neither_somebody_else_nor_somebody_later_gets_it_back(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.define()
    await house.undefine()
    with pytest.raises(BadRequest):
        await house.define(BAD, caller=ADMIN)
    monkeypatch.setattr(saving, "GRACE", 0)
    with pytest.raises(BadRequest):
        await house.define(BAD)
    assert house.lab is None


async def test_what_cannot_be_brought_back_now_is_brought_back_next_time(house: House) -> None:
    await house.define()
    await house.undefine()
    house.networks.refuse["find"] = [LibvirtUnavailable("gone")]
    with pytest.raises(CommandError) as first:
        await house.define(BAD)
    assert f"its definition is in {saving.FOLDER}/{LAB}.xml" in first.value.text
    assert "<name>lab</name>" in (house.folder / f"{LAB}.xml").read_text()
    with pytest.raises(BadRequest) as second:
        await house.define(BAD)
    assert second.value.text.endswith("as it was before")
    assert house.lab is not None


async def test_a_definition_without_its_autostart_is_taken_back(house: House) -> None:
    house.networks.refuse["set autostart"] = [failure()]
    with pytest.raises(LibvirtFailed):
        await house.define(autostart=True)
    assert house.lab is None
    await house.define("<mtu size='1400'/>")
    house.networks.refuse["set autostart"] = [failure()]
    with pytest.raises(LibvirtFailed):
        await house.define("<mtu size='9000'/>", autostart=True)
    assert house.lab is not None
    assert "1400" in house.lab.definition


async def test_an_undefining_that_fails_is_not_remembered(house: House) -> None:
    await house.define()
    house.networks.refuse["undefine"] = [failure("still in use")]
    with pytest.raises(LibvirtError, match="still in use"):
        await house.undefine()
    with pytest.raises(BadRequest) as caught:
        await house.define(BAD)
    assert "as it was" not in caught.value.text


def test_files_of_definitions_are_private_and_few(tmp_path: Path) -> None:
    for number in range(saving.MOST_FILES + 3):
        uuid = f"00000000-0000-0000-0000-{number:012}"
        saving.keep_file(tmp_path / "kept", NetworkState("lab", uuid, False, True, False, "<a/>", "<network/>"))
        os.utime(tmp_path / "kept" / f"{uuid}.xml", (number, number))
    kept = sorted((tmp_path / "kept").iterdir())
    assert len(kept) == saving.MOST_FILES
    assert kept[0].name.endswith("3.xml")
    assert stat.S_IMODE(kept[0].stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "kept").stat().st_mode) == 0o700


def test_a_file_that_cannot_be_written_costs_only_the_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    saving.keep_file(tmp_path / "file", NetworkState("lab", LAB, False, True, False, "", ""))
    assert "cannot be kept" in caplog.text
