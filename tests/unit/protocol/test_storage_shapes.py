# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands about drives, pools and volumes, as they are on the wire, in both directions."""

from __future__ import annotations

import pytest

from archipel.protocol import drives, storage_pools
from archipel.protocol import namespaces as ns
from archipel.protocol.drives import Drive, GoldenDrive, IsoImage
from archipel.protocol.payload import Request
from archipel.protocol.storage_pools import Pool, Volume
from tests.unit.protocol.golden import Shape, archipel_of, xml

FIGURES = "capacity='9' allocation='4' available='5'"
POOL = Pool(
    name="lab", uuid="u", type="dir", active=True, persistent=True, autostart=False, capacity=9, allocation=4, available=5, path="/p"
)
SIZE = "size='4' unit='M'"

SHAPES = [
    Shape(
        drives.CreateDrive(name="data", size=4, unit="M", format="qcow2", preallocation="metadata"),
        f"<archipel action='create' name='data' {SIZE} format='qcow2' preallocation='metadata'/>",
        None,
        "",
    ),
    Shape(
        drives.CreateDrive(name="data", size=4, unit="G", format="qcow2", golden="base.qcow2"),
        "<archipel action='create' name='data' size='4' unit='G' format='qcow2' preallocation='' golden='base.qcow2'/>",
        None,
        "",
    ),
    Shape(
        drives.DeleteDrive(name="/vm/u/data.qcow2", undefine=True),
        "<archipel action='delete' name='/vm/u/data.qcow2' undefine='yes'/>",
        None,
        "",
    ),
    Shape(
        drives.GetDrives(),
        "<archipel action='get'/>",
        (
            Drive(name="a", path="/vm/a.qcow2", format="qcow2", virtual_size=4194304, disk_size=196624, backing_file="/g/base.qcow2"),
            Drive(name="b", path="/vm/b.qcow2", format="qcow2", disk_size=0, problem="torn"),
        ),
        "<disk name='a' path='/vm/a.qcow2' format='qcow2' virtualSize='4194304' diskSize='196624' backingFile='/g/base.qcow2'/>"
        "<disk name='b' path='/vm/b.qcow2' format='qcow2' diskSize='0' problem='torn'/>",
    ),
    Shape(
        drives.GetIsoImages(),
        "<archipel action='getiso'/>",
        (IsoImage(name="d.iso", path="/i/d.iso"),),
        "<iso name='d.iso' path='/i/d.iso'/>",
    ),
    Shape(drives.ConvertDrive(path="/vm/a.raw", format="qcow2"), "<archipel action='convert' path='/vm/a.raw' format='qcow2'/>", None, ""),
    Shape(drives.RenameDrive(path="/vm/a.raw", newname="b"), "<archipel action='rename' path='/vm/a.raw' newname='b'/>", None, ""),
    Shape(
        drives.ResizeDrive(path="a.raw", size=4, unit="M", shrink=True),
        f"<archipel action='resize' path='a.raw' {SIZE} shrink='1'/>",
        None,
        "",
    ),
    Shape(
        drives.GetGoldenDrives(),
        "<archipel action='getgolden'/>",
        (GoldenDrive(name="b.qcow2", path="/g/b.qcow2"),),
        "<golden name='b.qcow2' path='/g/b.qcow2'/>",
    ),
    Shape(
        drives.SetGoldenDrive(path="a.qcow2", name="b.qcow2"),
        "<archipel action='setgolden' path='a.qcow2' name='b.qcow2' replace='0'/>",
        None,
        "",
    ),
    Shape(
        storage_pools.GetPools(),
        "<archipel action='pools'/>",
        (POOL,),
        f"<pool name='lab' uuid='u' type='dir' active='1' persistent='1' autostart='0' {FIGURES} path='/p'/>",
    ),
    Shape(
        storage_pools.DefinePool(autostart=True, pool=xml("<pool type='dir'><name>lab</name></pool>")),
        "<archipel action='pooldefine' autostart='1'><pool type='dir'><name>lab</name></pool></archipel>",
        None,
        "",
    ),
    Shape(
        storage_pools.DescribePool(name="lab"),
        "<archipel action='pooldescribe' name='lab'/>",
        storage_pools.PoolDescription(stored=xml("<pool type='dir'/>"), running=xml("<pool type='fs'/>")),
        "<description><stored><pool type='dir'/></stored><running><pool type='fs'/></running></description>",
    ),
    Shape(storage_pools.CreatePool(name="lab", build=True), "<archipel action='poolcreate' name='lab' build='1'/>", None, ""),
    Shape(storage_pools.DestroyPool(name="lab"), "<archipel action='pooldestroy' name='lab'/>", None, ""),
    Shape(storage_pools.UndefinePool(name="lab"), "<archipel action='poolundefine' name='lab'/>", None, ""),
    Shape(storage_pools.RefreshPool(name="lab"), "<archipel action='poolrefresh' name='lab'/>", None, ""),
    Shape(
        storage_pools.GetVolumes(pool="lab"),
        "<archipel action='volumes' pool='lab'/>",
        (Volume(name="a", path="/p/a", format="raw", capacity=9, allocation=4),),
        "<volume name='a' path='/p/a' format='raw' capacity='9' allocation='4'/>",
    ),
    Shape(
        storage_pools.CreateVolume(pool="lab", name="a", size=4, unit="M"),
        f"<archipel action='volumecreate' pool='lab' name='a' {SIZE}/>",
        None,
        "",
    ),
    Shape(
        storage_pools.CreateVolume(pool="lab", name="a", size=4, unit="M", allocation=1),
        f"<archipel action='volumecreate' pool='lab' name='a' {SIZE} allocation='1'/>",
        None,
        "",
    ),
    Shape(
        storage_pools.CreateVolume(
            pool="lab", name="a", unit="M", format="qcow2", backing="base", backing_pool="big", backing_format="raw"
        ),
        "<archipel action='volumecreate' pool='lab' name='a' unit='M' format='qcow2' backing='base' backingpool='big' backingformat='raw'/>",
        None,
        "",
    ),
    Shape(storage_pools.DeleteVolume(pool="lab", name="a"), "<archipel action='volumedelete' pool='lab' name='a'/>", None, ""),
    Shape(
        storage_pools.ResizeVolume(pool="lab", name="a", size=4, unit="M"),
        f"<archipel action='volumeresize' pool='lab' name='a' {SIZE} shrink='0'/>",
        None,
        "",
    ),
]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_they_are_written_and_read_as_they_stand_here(shape: Shape) -> None:
    shape.assert_on_the_wire()


def test_every_command_has_a_shape_here() -> None:
    declared = {
        found
        for module in (drives, storage_pools)
        for found in vars(module).values()
        if isinstance(found, type) and issubclass(found, Request) and found is not Request
    }
    assert declared == {type(shape.request) for shape in SHAPES}


def test_founding_clients_leave_out_what_they_do_not_use() -> None:
    read = drives.CreateDrive.read(archipel_of(ns.VM_DISK, f"<archipel action='create' name='a' {SIZE} format='raw'/>"))
    assert (read.preallocation, read.golden) == ("", None)
    assert not drives.DeleteDrive.read(archipel_of(ns.VM_DISK, "<archipel action='delete' name='a.raw'/>")).undefine
