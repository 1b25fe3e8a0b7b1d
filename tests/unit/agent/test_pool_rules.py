# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which storage pools may be defined, by whom."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archipel.agent.pool_rules import read_pool, refuse_forbidden_pool, refuse_machine_folders
from archipel.protocol.errors import BadRequest, PermissionDenied


def pool(path: str = "/srv/pools/one", kind: str = "dir", more: str = "", name: str = "one") -> ET.Element:
    return ET.fromstring(f"<pool type='{kind}'><name>{name}</name>{more}<target><path>{path}</path></target></pool>")


def path_of(path: str) -> ET.Element:
    element = pool()
    element.findall("target/path")[0].text = path
    return element


@pytest.mark.parametrize("kind", ["dir", "fs", "netfs", "logical"])
def test_pools_of_four_types_are_taken(kind: str) -> None:
    assert read_pool(pool(kind=kind)).get("type") == kind


def test_a_volume_group_may_leave_its_place_to_libvirt() -> None:
    read_pool(ET.fromstring("<pool type='logical'><name>vg</name><source><name>vg0</name></source></pool>"))


@pytest.mark.parametrize(
    "wrong, told",
    [
        (ET.Element("domain"), "must be a <pool>"),
        (pool(kind="iscsi"), "must be a <pool>"),
        (pool(name="../x"), "<name>"),
        (pool(more="<uuid>x</uuid>"), "<uuid>"),
        (pool(more="<!-- long -->" + "<x/>" * 10_000), "bytes"),
        (pool(more="<target><path>/srv/other</path></target>"), "<path>"),
        (pool(path=""), "<path>"),
    ],
)
def test_what_is_no_such_pool_is_told(wrong: ET.Element, told: str) -> None:
    with pytest.raises(BadRequest, match=told):
        read_pool(wrong)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(path=st.lists(st.sampled_from(["pools", "..", ".", "", "a", "link", "drives"])).map("/".join) | st.text(max_size=30))
def test_no_way_of_writing_leads_out_of_the_folders(tmp_path: Path, path: str) -> None:
    root = tmp_path / "pools"
    root.mkdir(exist_ok=True)
    if not (root / "link").is_symlink():
        (root / "link").symlink_to("/etc")
    wanted = path_of(f"{tmp_path}/{path}")
    try:
        refuse_forbidden_pool(read_pool(wanted), [root])
    except (BadRequest, PermissionDenied):
        return
    place = Path(wanted.findtext("target/path", ""))
    assert place.resolve().is_relative_to(root.resolve())
    assert place.resolve() != root.resolve()


@pytest.mark.parametrize("path", ["/vm/drives", "/vm/drives/some", "/vm", "/vm/goldens/x"])
def test_the_folders_of_machines_are_no_pools_for_anybody(path: str) -> None:
    with pytest.raises(BadRequest, match="lie in one another"):
        refuse_machine_folders(pool(path), [Path("/vm/drives"), Path("/vm/goldens")])
    refuse_machine_folders(pool("/vm/pools/x"), [Path("/vm/drives"), Path("/vm/goldens")])


@pytest.mark.parametrize(
    "wanted, told",
    [
        (pool(kind="fs"), "type dir"),
        (pool(kind="netfs"), "type dir"),
        (pool("/srv/elsewhere"), "must lie in"),
        (pool("/srv/pools"), "must lie in"),
        (pool(more="<source><dir path='/etc'/></source>"), "holds more than .*: source"),
        (ET.fromstring("<pool type='dir'><name>a</name><target><path>/srv/pools/a</path><permissions/></target></pool>"), "permissions"),
    ],
)
def test_what_takes_the_host_takes_the_right_to_it(wanted: ET.Element, told: str) -> None:
    with pytest.raises(PermissionDenied, match=told) as refused:
        refuse_forbidden_pool(read_pool(wanted), [Path("/srv/pools")])
    assert refused.value.right == "domain_policy_bypass"


def test_without_folders_nobody_defines_pools_without_that_right() -> None:
    with pytest.raises(PermissionDenied, match="there is none"):
        refuse_forbidden_pool(pool(), [])
