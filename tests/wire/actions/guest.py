# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The actions of software in guests. libvirt's test driver has no guest agent, but some calls that would ask one."""

from __future__ import annotations

from tests.wire.action import MACHINE, Action, Wrong

GUEST = "archipel:vm:guest"
CODE = -18001
HELLO = "<content>aGVsbG8=</content>"
SECRET = "<password>hidden-secret</password>"


def guest(action: str, right: str, attributes: str = "", inner: str = "", **more) -> Action:
    return Action(MACHINE, GUEST, action, right, CODE, attributes, inner, state="running", **more)


PATHS = (Wrong("path"), Wrong("path", "path=''"), Wrong("path", f"path='/{'x' * 4096}'"))
READ = (*PATHS, Wrong("path", "path='etc/passwd'"), Wrong("path", "path='/etc/../root/x'"))
ROWS = (
    guest("info", "guest_info", unsupported=True),
    guest("ping", "guest_info", unsupported=True),
    guest(
        "exec",
        "guest_exec",
        "path='/bin/true' timeout='1'",
        "<arg>-x</arg><input>aGVsbG8=</input>",
        unsupported=True,
        malformed=(
            *PATHS,
            Wrong("timeout", "path='/bin/true' timeout='-1'"),
            Wrong("timeout", "path='/bin/true' timeout='301'"),
            Wrong("input", "path='/bin/true'", "<input>no!</input>"),
            Wrong("arg", "path='/bin/true'", f"<arg>{'x' * 32769}</arg>"),
        ),
    ),
    guest(
        "execstatus", "guest_exec", "pid='7'", unsupported=True, malformed=(Wrong("pid"), Wrong("pid", "pid='0'"), Wrong("pid", "pid='x'"))
    ),
    guest(
        "fileread",
        "guest_file_read",
        "path='/etc/hostname'",
        unsupported=True,
        malformed=(
            *READ,
            Wrong("offset", "path='/x' offset='-1'"),
            Wrong("offset", f"path='/x' offset='{2**63}'"),
            Wrong("count", "path='/x' count='0'"),
            Wrong("count", "path='/x' count='131073'"),
        ),
    ),
    guest(
        "filewrite",
        "guest_file_write",
        "path='/tmp/x'",
        HELLO,
        unsupported=True,
        malformed=(
            *(Wrong(wrong.field, wrong.attributes, HELLO) for wrong in READ),
            Wrong("append", "path='/tmp/x' append='maybe'", HELLO),
            Wrong("offset", "path='/tmp/x' offset='-1'", HELLO),
            Wrong("offset", "path='/tmp/x' offset='1' append='1'", HELLO),
            Wrong("content", "path='/tmp/x'"),
            Wrong("content", "path='/tmp/x'", "<content>%</content>"),
        ),
    ),
    guest(
        "setpassword",
        "guest_password",
        "user='root'",
        SECRET,
        malformed=(
            Wrong("user", inner=SECRET),
            Wrong("user", "user=''", SECRET),
            Wrong("crypted", "user='root' crypted='maybe'", SECRET),
            Wrong("password", "user='root'"),
            Wrong("password", "user='root'", "<password/>"),
        ),
    ),
    guest("freezestatus", "guest_info", unsupported=True),
    guest("freeze", "guest_freeze", answer="<filesystems count='*'/>"),
    guest("thaw", "guest_freeze", answer="<filesystems count='*'/>"),
    guest("clock", "guest_info", answer="<time seconds='*' offset='*'/>"),
    guest("synctime", "guest_time", answer="<time seconds='*' offset='*'/>"),
)
