# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The audit file: who did what, without a secret in it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from archipel.agent.audit import MINUTE, MOST_OF_STRANGER, AuditLog, StrangerQuota, summarise, summarise_phrase
from archipel.agent.rights import Rule
from archipel.agent.secret import Secret
from archipel.protocol.every_entity import Grant, SetRights
from archipel.protocol.hypervisor import Alloc

VM = "6f0c2a3e-1b7d-4c55-9a0e-3d2b1c4f5a69@lab.example"
DOMAIN = "<domain type='kvm'><name>web</name><devices><graphics type='vnc' passwd='hunter2'/></devices></domain>"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log" / "audit.log"


@pytest.fixture
def audit(path: Path) -> Iterator[AuditLog]:
    opened = AuditLog(path)
    yield opened
    opened.close()


def record(audit: AuditLog, **changes: Any) -> None:
    entry: dict[str, Any] = {
        "caller": "Eve@lab.example/phone",
        "entity": VM,
        "namespace": "archipel:vm:control",
        "action": "create",
        "arguments": None,
        "rule": Rule.GRANT,
        "outcome": "ok",
        "seconds": 0.01234,
    }
    audit.record(**entry | changes)


def entries(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_an_entry_tells_who_what_where_by_which_rule_and_how_it_ended(audit: AuditLog, path: Path):
    record(audit)
    (entry,) = entries(path)
    assert entry.pop("time").endswith("Z")
    assert entry == {
        "who": "eve@lab.example",
        "jid": "Eve@lab.example/phone",
        "resource": "phone",
        "server": "lab.example",
        "entity": VM,
        "namespace": "archipel:vm:control",
        "action": "create",
        "arguments": {},
        "rule": "granted",
        "outcome": "ok",
        "milliseconds": 12.3,
    }


def test_what_was_said_in_a_chat_is_kept(audit: AuditLog, path: Path):
    record(audit, phrase="start please")
    assert entries(path)[0]["phrase"] == "start please"


def test_arguments_are_summarised(audit: AuditLog, path: Path):
    record(audit, action="alloc", arguments=Alloc(name="web", orgname="o", domain=ET.XML(DOMAIN)))
    record(audit, action="set", arguments=SetRights(grants=(Grant(target="bob@lab.example", name="info", value="1"),)))
    assert entries(path)[0]["arguments"] == {"name": "web", "orgname": "o", "domain": "<domain>"}
    assert entries(path)[1]["arguments"] == {"grants": [{"target": "bob@lab.example", "name": "info", "value": "1", "type": "user"}]}
    assert "hunter2" not in path.read_text()


def test_a_line_stays_one_line_whatever_is_in_it(audit: AuditLog, path: Path):
    record(audit, caller='eve@lab.example/\n{"who": "admin"}\u2028', outcome="error: a\nb")
    assert len(path.read_text().splitlines()) == 1
    assert entries(path)[0]["resource"] == '\n{"who": "admin"}\u2028'


def test_a_caller_without_a_proper_address_is_written_down_too(audit: AuditLog, path: Path):
    record(audit, caller="a b@lab.example/x")
    assert (entries(path)[0]["who"], entries(path)[0]["jid"]) == ("", "a b@lab.example/x")


def test_names_that_somebody_else_chose_are_shortened(audit: AuditLog, path: Path):
    record(audit, namespace="archipel:" + "x" * 100_000, action="y" * 100_000, arguments=ET.Element("archipel", {"z" * 100_000: "1"}))
    assert path.stat().st_size < 2000


class TestStrangers:
    def test_of_each_only_the_beginning_is_written_and_then_how_much_is_left_out(
        self, audit: AuditLog, path: Path, caplog: pytest.LogCaptureFixture
    ):
        caplog.set_level(logging.INFO)
        for number in range(MOST_OF_STRANGER + 7):
            record(audit, caller=f"eve@lab.example/{number}", rule=Rule.STRANGER, outcome="error: no", stranger=True)
        record(audit, caller="mallory@lab.example/x", rule=Rule.STRANGER, outcome="error: no", stranger=True)
        record(audit)
        audit.close()
        *written, last = entries(path)
        assert [entry["jid"] for entry in written[MOST_OF_STRANGER:]] == ["mallory@lab.example/x", "Eve@lab.example/phone"]
        assert (last["who"], last["outcome"]) == ("eve@lab.example", "left out: 7 more requests of this sender within a minute")
        assert len(caplog.records) == len(written) + 1

    def test_who_is_known_is_written_down_always(self, audit: AuditLog, path: Path):
        for _ in range(3 * MOST_OF_STRANGER):
            record(audit, outcome="error: no")
        assert len(entries(path)) == 3 * MOST_OF_STRANGER

    def test_a_minute_ends_for_each_of_them_by_itself(self):
        now = [0.0]
        quota = StrangerQuota(lambda: now[0])
        for _ in range(MOST_OF_STRANGER + 2):
            quota.admits("eve@lab.example")
        now[0] = MINUTE / 2
        assert not quota.admits("eve@lab.example")
        assert quota.admits("mallory@lab.example")
        assert list(quota.end_minutes()) == []
        now[0] = MINUTE
        assert list(quota.end_minutes()) == [("eve@lab.example", 3)]
        assert quota.admits("eve@lab.example")
        assert list(quota.end_minutes(now=True)) == []


class TestFile:
    def test_it_is_private(self, audit: AuditLog, path: Path):
        record(audit)
        assert path.stat().st_mode & 0o777 == 0o600

    def test_it_becomes_private_if_it_was_not(self, tmp_path: Path):
        file = tmp_path / "audit.log"
        file.write_text("{}\n")
        file.chmod(0o644)
        audit = AuditLog(file)
        record(audit)
        audit.close()
        assert file.stat().st_mode & 0o777 == 0o600
        assert len(entries(file)) == 2

    def test_it_begins_anew_when_logrotate_moved_it(self, audit: AuditLog, path: Path):
        record(audit, action="one")
        old = path.rename(path.with_suffix(".1"))
        record(audit, action="two")
        assert [[entry["action"] for entry in entries(file)] for file in (old, path)] == [["one"], ["two"]]
        assert path.stat().st_mode & 0o777 == 0o600

    def test_it_goes_on_after_it_was_asked_to_reopen(self, audit: AuditLog, path: Path):
        record(audit, action="one")
        audit.reopen()
        audit.reopen()
        record(audit, action="two")
        assert [entry["action"] for entry in entries(path)] == ["one", "two"]

    def test_a_disk_that_takes_nothing_stops_nobody_and_is_told_once(self, audit: AuditLog, path: Path, capsys: pytest.CaptureFixture[str]):
        path.unlink()
        path.parent.rmdir()
        record(audit)
        record(audit)
        assert capsys.readouterr().err.count(f"{path} cannot be written") == 1
        path.parent.mkdir()
        record(audit, action="back")
        assert [entry["action"] for entry in entries(path)] == ["back"]

    def test_a_file_that_cannot_be_made_is_an_error_at_once(self, tmp_path: Path):
        (tmp_path / "file").touch()
        with pytest.raises(OSError, match="file"):
            AuditLog(tmp_path / "file" / "audit.log")


def test_an_entry_goes_to_the_log_as_well(audit: AuditLog, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    record(audit, outcome="error: eve lacks a right")
    (line,) = caplog.records
    assert (line.name, line.getMessage()) == ("archipel.audit", "create: error")
    assert line.fields["who"] == "eve@lab.example"


class TestSummaries:
    @pytest.mark.parametrize(
        "value,expected",
        [
            (None, {}),
            ({"name": "web", "empty": "", "none": None, "list": ()}, {"name": "web"}),
            ({"password": "x", "passwd": "x", "new_password": "x", "pwd": "x", "api_key": "x", "client_secret": "x"}, dict.fromkeys(
                ["password", "passwd", "new_password", "pwd", "api_key", "client_secret"], "***"
            )),
            ({"password": ""}, {}),
            ({"value": Secret("x")}, {"value": "***"}),
            ({"keyboard": "de", "passthrough": "1", "bypass": "no"}, {"keyboard": "de", "passthrough": "1", "bypass": "***"}),
            ({"numbers": [1, 2.5, True]}, {"numbers": [1, 2.5, True]}),
            ({"raw": b"abc"}, {"raw": "(bytes)"}),
            ({"x": object}, {"x": "(type)"}),
            ("a" * 300, f"{'a' * 200}... (300 characters)"),
            (["x"] * 502, ["x"] * 500 + ["and 2 more"]),
        ],
    )  # fmt: skip
    def test_they_show_values_but_no_secrets(self, value: object, expected: object):
        assert summarise(value) == expected
        assert json.loads(json.dumps(summarise(value))) == expected

    def test_of_an_element_only_attributes_and_the_tags_inside_are_shown(self):
        element = ET.XML(f"<archipel xmlns='archipel:x' action='define' name='web' password='hunter2'>{DOMAIN}</archipel>")
        assert summarise(element) == {"name": "web", "password": "***", "children": ["<domain>"]}
        assert summarise(ET.XML(DOMAIN)) == "<domain>"

    def test_only_so_much_is_looked_at_as_is_shown(self):
        """Two hundred thousand children kept the agent busy for half a second."""
        looked: list[str] = []

        class Watched(ET.Element):
            @property
            def tag(self) -> str:
                looked.append("tag")
                return "a"

            @tag.setter
            def tag(self, _value: str) -> None: ...

        element = ET.Element("archipel")
        element.extend([Watched("a") for _ in range(5000)])
        assert summarise(element)["children"][-1] == "and 4500 more"
        assert len(looked) < 1000

    def test_of_many_attributes_only_the_first_are_shown(self):
        shown = summarise(ET.Element("archipel", {f"a{number}": "x" for number in range(5000)}))
        assert (len(shown), shown["..."]) == (501, "and 4500 more")

    @pytest.mark.parametrize(
        "body,expected",
        [
            ("alloc web", "alloc web"),
            ("set Password hunter2 now", "set Password ***"),
            ("password: hunter2", "password: ***"),
            ("my passphrase\nis hunter2", "my passphrase\n***"),
            ("password $$$x", "password ***"),
            ("password is at the end: pwd", "password ***"),
            ("what is my password", "what is my password"),
            ("pwd" * 1365, "pwd" * 66 + "pw***"),
            ("x" * 190 + " password hunter2", "x" * 190 + " password ***"),
            ("x" * 195 + " password hunter2", "x" * 195 + " pass... (212 characters)"),
            ("vncpasswd=hunter2", "vncpasswd=***"),
            ("x" * 300, f"{'x' * 200}... (300 characters)"),
        ],
    )
    def test_what_follows_a_word_for_secrets_in_a_chat_is_left_out(self, body: str, expected: str):
        assert summarise_phrase(body) == expected
