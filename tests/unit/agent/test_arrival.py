# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a machine that is to come: nothing is written or removed outside of its folder, nothing overwritten; hostile luggage."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archipel.agent import arrival_files, migration_store
from archipel.agent.arrival_files import make_room, remove_made
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.luggage import Luggage
from archipel.agent.migration_plan import MARK
from archipel.agent.migration_store import Incoming
from archipel.agent.virt.qemu_img import QemuImg
from archipel.protocol.errors import BadRequest, CommandError
from archipel.protocol.migration import Expect, MovedDisk, NeededFile
from tests.unit.agent.fakes import UUID, VM

ATTEMPT = "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"


@pytest.fixture
def base(hypervisor: Hypervisor, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of machines' folders; images are made by writing their size."""

    async def create(_self: QemuImg, path: Path, image_format: str, size: int) -> None:
        await asyncio.to_thread(path.write_text, f"{image_format} {size}")

    monkeypatch.setattr(QemuImg, "create", create)
    monkeypatch.setattr(arrival_files, "PAUSE", 0.0)
    found = hypervisor.services.settings.machines.base_path
    found.mkdir(parents=True)
    return found


@pytest.fixture
def incoming() -> Incoming:
    return Incoming(uuid=UUID, attempt=ATTEMPT, source="second@lab.example", mover="admin@lab.example", definition="<domain/>")


def announced(base: Path, *disks: str, files: tuple[NeededFile, ...] = (), folder: bool = True, image_format: str = "raw") -> Expect:
    moved = tuple(MovedDisk(target=f"vd{number}", path=path, format=image_format, capacity=7) for number, path in enumerate(disks))
    return Expect(
        attempt=ATTEMPT,
        uuid=UUID,
        name="web",
        base_folder=str(base),
        folder=folder,
        mover="admin@lab.example",
        domain=ET.Element("domain"),
        disks=moved,
        files=files,
    )


async def test_what_both_hosts_see_is_not_sent(hypervisor: Hypervisor, base: Path, incoming: Incoming) -> None:
    (base / UUID).mkdir()
    (base / UUID / f"{MARK}{ATTEMPT}").touch()
    assert await make_room(hypervisor, incoming, announced(base, f"{base}/{UUID}/a.raw")) == (True, [])
    assert [path.name for path in (base / UUID).iterdir()] == [f"{MARK}{ATTEMPT}"]


async def test_images_are_made_for_what_is_sent_and_removed_if_it_does_not_come(
    hypervisor: Hypervisor, base: Path, incoming: Incoming
) -> None:
    await migration_store.expect(hypervisor.services.store, incoming, "web")
    shared, copied = await make_room(hypervisor, incoming, announced(base, f"{base}/{UUID}/a.raw", f"{base}/{UUID}/b.raw"))
    assert (shared, copied) == (False, ["vd0", "vd1"])
    assert (base / UUID / "b.raw").read_text() == "raw 7"
    noted = await migration_store.find_incoming(hypervisor.services.store, UUID)
    assert noted is not None
    remove_made(noted)
    assert not (base / UUID).exists()
    remove_made(noted)


async def test_somebodys_files_are_neither_taken_nor_removed(hypervisor: Hypervisor, base: Path, incoming: Incoming) -> None:
    (base / UUID).mkdir()
    (base / UUID / "thesis.raw").write_text("years of work")
    with pytest.raises(CommandError, match="holds files here"):
        await make_room(hypervisor, incoming, announced(base, f"{base}/{UUID}/thesis.raw"))
    assert (base / UUID / "thesis.raw").read_text() == "years of work"


@pytest.mark.parametrize(
    "path",
    [
        "{base}/other/a.raw",
        "{base}/{uuid}/../other/a.raw",
        "{base}/{uuid}/sub/a.raw",
        "{base}/../x/../../a.raw",
        "{base}",
        "{base}/{uuid}/..",
    ],
)
async def test_no_path_leads_into_others_folders(hypervisor: Hypervisor, base: Path, incoming: Incoming, path: str) -> None:
    with pytest.raises(CommandError):
        await make_room(hypervisor, incoming, announced(base, path.format(base=base, uuid=UUID)))
    assert os.listdir(base) == []


async def test_a_disk_elsewhere_is_sent_by_libvirt_or_refused_where_one_is(
    hypervisor: Hypervisor, base: Path, incoming: Incoming, tmp_path: Path
) -> None:
    there = tmp_path / "a.raw"
    assert (await make_room(hypervisor, incoming, announced(base, str(there))))[1] == ["vd0"]
    there.touch()
    with pytest.raises(CommandError, match="nothing shows that it is the same file"):
        await make_room(hypervisor, incoming, announced(base, str(there)))


@pytest.mark.parametrize("size, wrong", [(None, "is missing here"), (3, "is another file here"), (4, ""), (0, "is another")])
async def test_what_is_read_must_be_here(
    hypervisor: Hypervisor, base: Path, incoming: Incoming, tmp_path: Path, size: int | None, wrong: str
) -> None:
    path = tmp_path / "a.iso"
    if size is not None:
        path.write_bytes(bytes(size))
    wanted = announced(base, files=(NeededFile(path=str(path), size=4),), folder=False)
    if wrong:
        with pytest.raises(CommandError, match=wrong):
            await make_room(hypervisor, incoming, wanted)
    else:
        assert await make_room(hypervisor, incoming, wanted) == (True, [])


@pytest.mark.parametrize("other, image_format, wrong", [("/elsewhere", "raw", "vm_base_path must be the same"), ("", "vmdk", "are sent")])
async def test_what_cannot_come_is_told(
    hypervisor: Hypervisor, base: Path, incoming: Incoming, other: str, image_format: str, wrong: str
) -> None:
    wanted = announced(Path(other) if other else base, f"{base}/{UUID}/a", image_format=image_format)
    with pytest.raises(CommandError, match=wrong):
        await make_room(hypervisor, incoming, wanted)
    assert os.listdir(base) == []


# -- luggage --------------------------------------------------------------------------------------------------------------


def packed(value: object) -> str:
    return base64.b64encode(zlib.compress(json.dumps(value).encode())).decode()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
FIELDS = st.fixed_dictionaries(
    {
        "entity": st.just(VM),
        "name": st.just("web"),
        "adopted": st.just(False),
        "autostart": st.just(False),
        "created_at": st.just("2026-01-01T00:00:00+00:00"),
    },
    optional=dict.fromkeys(("organisation", "tags", "grants", "rules", "jobs", "maker", "oom", "avatar", "more"), JSON),
)


@given(
    st.one_of(
        st.text(max_size=40), JSON.map(packed), FIELDS.map(packed), st.binary(max_size=40).map(lambda raw: base64.b64encode(raw).decode())
    )
)
def test_whatever_comes_as_luggage_is_read_or_refused(text: str) -> None:
    try:
        found = Luggage.unpack(text, VM)
    except BadRequest:
        return
    assert found.entity == VM


def test_luggage_that_unpacks_without_an_end_is_refused() -> None:
    bomb = base64.b64encode(zlib.compress(bytes(64 << 20), 9)).decode()
    with pytest.raises(BadRequest):
        Luggage.unpack(bomb, VM)


def described() -> dict[str, Any]:
    organisation = dict.fromkeys(("orgname", "orgunit", "locality", "userid", "categories"), "")
    moment = "2026-01-01T00:00:00+00:00"
    plain = {"entity": VM, "name": "web", "adopted": False, "autostart": False, "created_at": moment, "organisation": organisation}
    return {**plain, "tags": [], "grants": [], "rules": [], "jobs": []}


def wrong_parts() -> Iterator[dict[str, Any]]:
    grant = {"entity": "other@lab.example", "subject": "no jid at all", "token": "all", "granted_by": ""}
    yield {"grants": [grant]}
    yield {"grants": [{**grant, "subject": "eve@lab.example", "expires_at": "2026-01-01T00:00:00"}]}
    yield {"rules": [{"entity": VM, "subject": "eve@lab.example", "right": "all", "scope": "everywhere"}]}
    rule = {"entity": VM, "subject": "eve@lab.example", "right": "all", "granted_by": "", "granted_at": "2026-01-01T00:00:00Z"}
    plain = {**rule, "is_group": False, "is_role": False, "denies": False, "expires_at": None, "reason": ""}
    yield from ({"rules": [{**plain, "scope": scope}]} for scope in ("hypervisor", "own", "tag:exam"))  # they would reach other machines
    yield {"jobs": [{"uid": "x"}]}
    yield {"entity": "other@lab.example"}


@pytest.mark.parametrize("part", list(wrong_parts()), ids=str)
def test_luggage_with_a_wrong_part_is_refused_whole(part: dict[str, Any]) -> None:
    assert Luggage.unpack(packed(described()), VM).name == "web"
    with pytest.raises(BadRequest):
        Luggage.unpack(packed({**described(), **part}), VM)


def test_a_right_on_another_machine_becomes_one_on_this_one() -> None:
    grant = {
        "entity": "other@lab.example",
        "subject": "eve@lab.example",
        "token": "info",
        "granted_by": "",
        "granted_at": "2026-01-01T00:00:00Z",
    }
    found = Luggage.unpack(packed({**described(), "grants": [grant]}), VM)
    assert [grant.entity for grant in found.grants] == [VM]
