# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of guests, as it is on the wire, in both directions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archipel.protocol import guest
from archipel.protocol.errors import BadRequest
from tests.unit.protocol.golden import Shape, archipel_of

SYSTEM = guest.GuestSystem(
    hostname="web",
    interfaces=(guest.GuestInterface(name="eth0", addresses=(guest.InterfaceAddress(address="192.0.2.7", prefix=24),)),),
    users=(guest.GuestUser(name="root"),),
    filesystems=(guest.GuestFilesystem(mountpoint="/", type="ext4", total=9, used=4),),
)
RUN = guest.Execute(path="/bin/cat", arguments=(guest.Argument(arg="-n"), guest.Argument(arg=" x")), private_input="aGk=")
RAN = guest.Execution(pid=7, exited=True, exitcode=0, outputs=(guest.Output(stream="stdout", data="aGk="),))
SHAPES = [
    Shape(
        guest.GetGuest(),
        "<archipel action='info'/>",
        SYSTEM,
        "<guest hostname='web'><interface name='eth0' mac=''><address address='192.0.2.7' prefix='24'/></interface>"
        "<user name='root' domain=''/><filesystem mountpoint='/' type='ext4' total='9' used='4'/></guest>",
    ),
    Shape(guest.PingGuest(), "<archipel action='ping'/>", None, ""),
    Shape(
        RUN,
        "<archipel action='exec' path='/bin/cat' timeout='30'><input>aGk=</input><arg>-n</arg><arg> x</arg></archipel>",
        RAN,
        "<exec pid='7' exited='1' exitcode='0'><output stream='stdout' truncated='0'>aGk=</output></exec>",
    ),
    Shape(
        guest.GetExecution(pid=7),
        "<archipel action='execstatus' pid='7'/>",
        guest.Execution(pid=7, exited=False),
        "<exec pid='7' exited='0'/>",
    ),
    Shape(
        guest.ReadFile(path="/etc/motd"),
        "<archipel action='fileread' path='/etc/motd' offset='0' count='131072'/>",
        guest.FilePart(path="/etc/motd", size=2, eof=True, data="aGk="),
        "<file path='/etc/motd' size='2' eof='1'>aGk=</file>",
    ),
    Shape(
        guest.WriteFile(path="/tmp/x", private_content="aGk="),
        "<archipel action='filewrite' path='/tmp/x' append='0'><content>aGk=</content></archipel>",
        guest.WrittenFile(path="/tmp/x", size=2),
        "<file path='/tmp/x' size='2'/>",
    ),
    Shape(
        guest.SetPassword(user="root", password="new"),
        "<archipel action='setpassword' user='root' crypted='0'><password>new</password></archipel>",
        None,
        "",
    ),
    Shape(guest.Freeze(), "<archipel action='freeze'/>", guest.Filesystems(count=2), "<filesystems count='2'/>"),
    Shape(guest.Thaw(), "<archipel action='thaw'/>", guest.Filesystems(count=2), "<filesystems count='2'/>"),
    Shape(
        guest.WriteFile(path="/tmp/x", offset=9, private_content="aGk="),
        "<archipel action='filewrite' path='/tmp/x' append='0' offset='9'><content>aGk=</content></archipel>",
        guest.WrittenFile(path="/tmp/x", size=2),
        "<file path='/tmp/x' size='2'/>",
    ),
    Shape(guest.GetFreezeState(), "<archipel action='freezestatus'/>", guest.FreezeState(frozen=True), "<filesystems frozen='1'/>"),
    Shape(guest.GetTime(), "<archipel action='clock'/>", guest.Clock(seconds=1.5, offset=0.1), "<time seconds='1.5' offset='0.1'/>"),
    Shape(guest.SetTime(), "<archipel action='synctime'/>", guest.Clock(seconds=1.5, offset=0.1), "<time seconds='1.5' offset='0.1'/>"),
]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_they_are_written_and_read_as_they_stand_here(shape: Shape) -> None:
    shape.assert_on_the_wire()
    assert shape.read_request() == shape.request


@given(st.binary(max_size=200))
def test_base64_comes_back(data: bytes) -> None:
    assert guest.decode(guest.encode(data), "x") == data


def test_base64_may_be_wrapped_and_has_a_largest_size() -> None:
    def write(content: str) -> guest.WriteFile:
        asked = f"<archipel action='filewrite' path='/x'><content>{content}</content></archipel>"
        return guest.WriteFile.read(archipel_of(guest.WriteFile.namespace, asked))

    assert guest.decode(write("aGVs\n bG8=").private_content, "content") == b"hello"
    write(guest.encode(bytes(guest.MOST_BYTES)))
    with pytest.raises(BadRequest, match="content: must have 131072 bytes at most"):
        write(guest.encode(bytes(guest.MOST_BYTES + 1)))


def test_no_secret_is_an_attribute_which_errors_give_back() -> None:
    written = guest.SetPassword(user="root", password="new").write()
    assert "new" not in written.attrib.values()
