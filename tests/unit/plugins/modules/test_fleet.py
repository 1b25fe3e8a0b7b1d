# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What module ``fleet`` asks of a hypervisor, and of nobody when the declaration is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from archipel.protocol import namespaces as ns
from tests.unit.client.scripted_stream import HYPERVISOR_FULL, MACHINE_FULL, UUID, error, no_right
from tests.unit.plugins.modules.wire import Wire, wire

__all__ = ["wire"]

LIST = "<archipel action='rostervm'/>"
OWNED = "<archipel action='owned'/>"
WEB = f"<item managed='True' name='web'>{MACHINE_FULL}</item>"
BOB = "bob@example.org"


def fleet(wire: Wire, *machines: dict[str, Any], check: bool = True, **arguments: Any) -> dict[str, Any]:
    """Declare machines and return what the module said."""
    return wire.run("fleet", check=check, document={"fleet": "course", "vms": list(machines)}, **arguments)


def play(wire: Wire, listed: str = "", owned: str = "", declare: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    wire.hypervisor("get", LIST, listed)
    wire.entity(HYPERVISOR_FULL, "get", ns.DECLARATION, OWNED, f"<owned>{owned}</owned>" if "<error" not in owned else owned)
    return fleet(wire, *declare)


def test_check_mode_plans_a_machine_and_what_people_may_do_there_without_changing_anything(wire: Wire) -> None:
    web = {"name": "web", "memory": 64, "roster": BOB, "permissions": {"subject": BOB, "rights": ["info"]}}
    answer = play(wire, declare=(web,))
    assert [(row["action"], row["kind"], row["name"], row["hypervisor"]) for row in answer["plan"]] == [
        ("create", "machine", "web", "hyp"),
        ("change", "contact", f"web: {BOB}", "hyp"),
        ("change", "grant", f"web: {BOB}: info", "hyp"),
    ]
    assert answer["plan"][0]["after"] == {"state": "present", "memory": 64}
    assert answer["plan"][2]["after"] == {BOB: ["info"]}
    assert (answer["changed"], answer["done"], len(answer["diff"])) == (True, [], 3)
    assert answer["counts"] == {"create": 1, "change": 2, "restart": 0, "remove": 0, "forget": 0, "none": 0, "failed": 0, "skipped": 0}
    wire.assert_asked()


def test_what_another_declaration_owns_fails_and_what_is_in_it_is_skipped(wire: Wire) -> None:
    wire.machine("get", "<archipel action='info'/>", "<not-defined/>")
    web = {"name": "web", "state": "present"}
    answer = play(wire, WEB, f"<item kind='machine' key='{UUID}' label='other'/>", (web,))
    assert answer["failed"]
    [failed] = answer["failed_objects"]
    assert (failed["name"], failed["declared_at"]) == ("web", "document")
    assert "belongs to the declaration 'other'" in failed["msg"]


def test_a_failure_names_the_hypervisor_and_the_options_that_were_to_change(wire: Wire) -> None:
    wire.hypervisor("get", LIST, WEB)
    wire.entity(HYPERVISOR_FULL, "get", ns.DECLARATION, OWNED, f"<owned><item kind='machine' key='{UUID}' label='course'/></owned>")
    wire.machine("get", "<archipel action='info'/>", "<info state='5' maxMem='1' memory='1' nrVirtCpu='1' hypervisor='h' autostart='0'/>")
    wire.machine("set", "<archipel value='1' action='autostart'/>", no_right("autostart"))
    answer = fleet(wire, {"name": "web", "autostart": True}, check=False)
    assert answer["msg"].startswith("1 of 1 failed: machine web on hyp (document), autostart: ")
    assert answer["failed_objects"][0]["keys"] == ["autostart"]


def test_what_was_there_is_adopted(wire: Wire) -> None:
    wire.machine("get", "<archipel action='info'/>", "<not-defined/>")
    answer = play(wire, WEB, declare=({"name": "web"},))
    [row] = answer["plan"]
    assert (row["action"], row["keys"], row["after"]) == ("change", ["owner"], {"owner": "course"})
    assert row["reason"] == "it was there before; the declaration has it from now on"


def test_an_older_agent_owns_nothing_and_does_its_work_all_the_same(wire: Wire) -> None:
    wire.machine("get", "<archipel action='info'/>", "<not-defined/>")
    answer = play(wire, WEB, error("feature-not-implemented"), ({"name": "web"},))
    assert [(row["action"], row["keys"]) for row in answer["plan"]] == [("none", [])]
    assert not answer["changed"]


def test_a_hypervisor_that_refuses_keeps_back_what_is_on_it(wire: Wire) -> None:
    wire.hypervisor("get", LIST, no_right("rostervm"))
    answer = fleet(wire, {"name": "web"})
    assert "the right rostervm" in answer["msg"]
    assert answer["failed_objects"][0]["missing_right"] == "rostervm"
    assert [row["reason"] for row in answer["skipped_objects"]] == ["skipped because hypervisor hyp on hyp failed"]


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"document": {"vms": [{"name": "web", "memoory": 1}]}}, "memoory is no option; did you mean memory"),
        ({"document": {"vms": []}, "prune": True}, "prune: needs to know what this declaration owns"),
        ({"document": {"vms": []}, "boots_at_once": 0}, "boots_at_once: must be 1 or more"),
        ({}, "one of the following is required: src, document"),
        ({"document": {}, "src": "/nowhere"}, "parameters are mutually exclusive"),
        ({"src": "/nowhere"}, "there is no /nowhere"),
    ],
)
def test_a_wrong_declaration_asks_nobody(arguments: dict[str, Any], words: str, wire: Wire) -> None:
    answer = wire.run("fleet", **arguments)
    assert answer["failed"]
    assert words in answer["msg"]
    assert all(not stream.asked for stream in wire.streams)


def test_a_word_of_limit_that_names_nothing_is_refused(wire: Wire) -> None:
    wire.hypervisor("get", LIST, "")
    assert "limit: 'mial' is neither a hypervisor nor a machine of the declaration; did you mean mail?" in str(
        fleet(wire, {"name": "mail"}, limit=["mial"])["msg"]
    )


def test_a_users_password_is_referred_to_and_never_told(wire: Wire, tmp_path: Path) -> None:
    wrong = wire.run("fleet", document={"users": [{"name": "bob", "password": "secret-of-bob"}]})
    assert "users bob: password is no option" in wrong["msg"]
    (tmp_path / "bob").write_text("secret-of-bob\n")
    (tmp_path / "bob").chmod(0o644)
    (tmp_path / "people.yml").write_text("users: [{name: bob, password_file: bob}]")
    [failed] = wire.run("fleet", src=str(tmp_path / "people.yml"))["failed_objects"]
    assert failed["msg"].startswith("password_file: others can read")
    assert "secret-of-bob" not in str(failed)


@pytest.mark.parametrize("where", ["document", "src"])
def test_passwords_that_have_no_place_in_a_declaration_are_not_shown_either(where: str, wire: Wire, tmp_path: Path) -> None:
    display = "<domain><graphics passwd='top-secret'></domain>"
    machines = [{"name": "a", "passwd": 987654, "definition": display}, {"name": "b", "boot": [{"password": "it's \\ odd"}]}]
    document = {"users": [{"name": "bob", "password": "geheim"}], "vms": machines}
    (tmp_path / "all.yml").write_text(yaml.safe_dump(document))
    failed = wire.run("fleet", **({"document": document} if where == "document" else {"src": str(tmp_path)}))
    assert "users bob: password is no option" in failed["msg"]
    assert not [secret for secret in ("geheim", "top-secret", "987654", "it's", "odd") if secret in str(failed)]
