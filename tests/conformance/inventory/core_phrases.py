# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Core: what is said in a chat."""

from __future__ import annotations

from tests.conformance.row import EVERY, HYPERVISOR, MACHINE, Kind, Row, phrases

HOST, CONTROL = "archipel:hypervisor:control", "archipel:vm:control"
CHATS = "tests/integration/agent/test_chats.py"
ASKED = "asks whether its asker means it, because it destroys"


def said(on: tuple[str, ...], words: str, meaning: str, **more: object) -> Row:
    """What is said that is no command."""
    return Row(Kind.PHRASE, "", words, on, meaning, **more)


ROWS = (
    said(EVERY, "help", "what the asker may say here", tests=(f"{CHATS}::test_help_lists_what_the_asker_may",)),
    said(
        EVERY,
        "hello, hey, hi, good morning, yo",
        "a greeting; whatever began with these letters was one",
        better="whole words: `history` is no greeting",
        tests=(f"{CHATS}::test_a_greeting_is_returned",),
    ),
    said(EVERY, "five rude words", "a mild answer", tests=("tests/unit/agent/test_chat.py::test_rude_words_get_a_mild_answer",)),
    *phrases(HYPERVISOR, (HOST, "capabilities"), "capabilities"),
    *phrases(HYPERVISOR, (HOST, "nodeinfo"), "nodeinfo"),
    *phrases(HYPERVISOR, (HOST, "migrationinfo"), "libvirt uri", "migration info"),
    *phrases(HYPERVISOR, (HOST, "ip"), "ip"),
    *phrases(HYPERVISOR, (HOST, "rostervm"), "roster", "vms", "virtual machines", "domains"),
    *phrases(HYPERVISOR, (HOST, "alloc"), "alloc NAME", tests=(f"{CHATS}::test_machines_are_made_and_freed_in_a_chat",)),
    *phrases(HYPERVISOR, (HOST, "free"), "free NAME", different=ASKED, tests=(f"{CHATS}::test_machines_are_made_and_freed_in_a_chat",)),
    *phrases(HYPERVISOR, (HOST, "clone"), "clone NAME"),
    *phrases(
        MACHINE,
        ("archipel:roster", "getroster"),
        "roster",
        "users",
        meaning="for administrators only, by a mistake",
        better="for all who hold the right `roster`",
        tests=(f"{CHATS}::test_what_a_machine_says_of_itself",),
    ),
    *phrases(MACHINE, (CONTROL, "create"), "start", "create", "boot", "play", "run", tests=(f"{CHATS}::test_a_machine_obeys",)),
    *phrases(MACHINE, (CONTROL, "shutdown"), "shutdown", "stop", tests=(f"{CHATS}::test_a_machine_obeys",)),
    *phrases(
        MACHINE,
        (CONTROL, "destroy"),
        "destroy",
        different=ASKED,
        tests=(f"{CHATS}::test_a_machine_is_destroyed_when_its_asker_says_that_he_means_it",),
    ),
    *phrases(MACHINE, (CONTROL, "suspend"), "pause", "suspend", tests=(f"{CHATS}::test_a_machine_obeys",)),
    *phrases(MACHINE, (CONTROL, "resume"), "resume", "unpause", tests=(f"{CHATS}::test_a_machine_obeys",)),
    *phrases(MACHINE, (CONTROL, "info"), "info", "how are you", "and you", tests=(f"{CHATS}::test_what_a_machine_says_of_itself",)),
    *phrases(MACHINE, (CONTROL, "xmldesc"), "desc", "xml", tests=(f"{CHATS}::test_what_a_machine_says_of_itself",)),
    *phrases(MACHINE, (CONTROL, "networkinfo"), "net", "stat", tests=(f"{CHATS}::test_a_machine_without_definition_says_so",)),
)
