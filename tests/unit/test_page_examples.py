# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every code block of a page is run by a test, or says why it is not; every capability has an example that is run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.documentation import list_blocks, list_pages
from tests.unit.test_completeness import declared_capabilities
from tests.unit.test_documentation import list_functions

PAGES, COLLECTION = "tests/integration/agent/test_pages.py", "tests/integration/collection"
OPTIONS = "tests/unit/test_page_options.py::test_the_options_that_a_page_shows_are_taken"
CHATS = f"{PAGES}::test_what_a_page_says_in_a_chat_is_answered_so"
FROM_A_SHELL = f"{PAGES}::test_what_a_page_says_from_a_shell_is_answered_so"
LDAP = "tests/e2e/test_ldap_groups.py::test_a_member_has_the_right_and_loses_it_when_the_directory_takes_him_out"
GUIDES = f"{COLLECTION}/test_guides.py::test_what_a_guide_says_works"
TYPED = f"{COLLECTION}/test_command_line_pages.py::test_the_pages_of_the_command_line_are_true"

DECLARED = "tests/integration/agent/test_declaration.py::test_what_the_page_shows_is_answered_so"

# Which tests do what the blocks of a language on a page say: all of it, from the top to the bottom.
RUN_BY: dict[tuple[str, str], tuple[str, ...]] = {
    ("CONTRIBUTING", "python"): ("tests/unit/test_documentation.py::test_the_capability_of_the_contributing_page_works",),
    ("README", "yaml"): (f"{COLLECTION}/test_examples.py::test_the_play_of_the_readme_works",),
    ("appliances", "console"): (FROM_A_SHELL,),
    ("audit", "console"): (TYPED,),
    ("avatars", "console"): (FROM_A_SHELL,),
    ("capabilities", "python"): ("tests/unit/test_capabilities_page.py::test_the_page_shows_the_module_of_the_example",),
    ("capabilities", "toml"): ("tests/unit/test_capabilities_page.py::test_the_page_shows_the_entry_point_of_the_example",),
    ("chat", "console"): (FROM_A_SHELL,),
    ("chat", "text"): (CHATS, "tests/e2e/test_text_console.py::test_a_shell_answers_in_a_chat"),
    ("cli", "console"): (f"{COLLECTION}/test_command_line.py::test_the_page_of_the_command_line_is_true",),
    ("cli-guests", "console"): ("tests/unit/cli/test_scripted_page.py::test_the_page_of_guests_and_appliances_is_true",),
    ("cli-hosts", "console"): (TYPED,),
    ("cli-machines", "console"): (TYPED,),
    ("configuration", "ini"): (OPTIONS,),
    ("console", "console"): ("tests/integration/agent/test_console.py::test_what_the_page_says_in_a_chat_works",),
    ("console", "ini"): (OPTIONS,),
    ("declarations", "text"): (DECLARED,),
    ("declarations", "xml"): (DECLARED,),
    ("guest", "console"): ("tests/e2e/test_guest.py::test_what_the_page_says_from_a_shell_is_answered_so",),
    ("guest", "xml"): ("tests/e2e/test_guest.py::test_what_the_page_says_from_a_shell_is_answered_so",),
    ("guide_adopt", "console"): (GUIDES,),
    ("guide_adopt", "yaml"): (GUIDES,),
    ("guide_class", "yaml"): (f"{COLLECTION}/test_guide_class.py::test_the_class_of_the_guide_is_there_and_stays",),
    ("guide_declare", "console"): (GUIDES,),
    ("guide_declare", "yaml"): (GUIDES,),
    ("guide_getting_started", "console"): (GUIDES,),
    ("guide_getting_started", "sh"): (f"{COLLECTION}/test_artifact.py::test_what_the_guide_installs_answers",),
    ("guide_getting_started", "yaml"): (GUIDES,),
    ("guide_gitops", "console"): (GUIDES,),
    ("guide_gitops", "sh"): (GUIDES,),
    ("guide_gitops", "yaml"): (GUIDES,),
    ("guide_rights", "console"): (GUIDES,),
    ("guide_rights", "yaml"): (GUIDES,),
    ("guide_troubleshooting", "text"): (f"{COLLECTION}/test_troubles.py::test_the_words_of_the_guide_are_what_modules_say",),
    ("guide_troubleshooting", "yaml"): ("tests/integration/test_testbed_ejabberd.py::test_the_server_takes_the_shaper_of_the_guide",),
    ("health", "text"): (CHATS,),
    ("health", "xml"): (f"{PAGES}::test_the_history_is_asked_for_as_its_page_shows",),
    ("metrics", "console"): ("tests/integration/agent/test_metrics.py::test_figures_follow_what_happens",),
    ("metrics", "ini"): (OPTIONS,),
    ("migration", "ini"): (OPTIONS,),
    ("migration", "text"): ("tests/integration/agent/test_migrations.py::test_what_the_page_says_in_a_chat_moves_a_machine",),
    ("networks", "xml"): (f"{PAGES}::test_a_network_is_defined_as_its_page_shows",),
    ("notifications", "console"): ("tests/integration/agent/test_notifier.py::say_as_the_page",),
    ("notifications", "ini"): (OPTIONS,),
    ("notifications", "toml"): ("tests/unit/test_page_options.py::test_the_routes_that_the_page_of_the_notifier_shows_are_taken",),
    ("oomkiller", "console"): (FROM_A_SHELL,),
    ("parking", "ini"): (OPTIONS,),
    ("parking", "text"): (CHATS,),
    ("places", "ini"): (OPTIONS,),
    ("places", "xml"): (
        f"{PAGES}::test_the_place_is_told_as_its_page_shows",
        f"{PAGES}::test_the_users_of_the_server_are_asked_for_as_their_page_shows",
    ),
    ("rights", "console"): (TYPED,),
    ("rights", "yaml"): (LDAP,),
    ("rights", "xml"): (f"{PAGES}::test_a_role_is_given_to_a_group_as_its_page_shows",),
    ("scheduler", "text"): (CHATS,),
    ("scheduler", "xml"): (f"{PAGES}::test_a_job_is_scheduled_as_its_page_shows",),
    ("screenshots", "xml"): (f"{PAGES}::test_a_screen_is_seen_as_its_page_shows",),
    ("snapshots", "console"): (FROM_A_SHELL,),
    ("storage", "console"): ("tests/integration/agent/test_storage.py::test_what_the_page_says_in_a_chat_works",),
    ("storage-pools", "console"): ("tests/integration/agent/test_storage_pools.py::test_what_the_page_says_in_a_chat_works",),
}
# The page of each capability, and words of an example there that is run.
EXAMPLES: dict[str, tuple[str, str]] = {
    "audit": ("audit", "$ archipel audit web"),
    "avatars": ("avatars", "web avatar defaultvm.png"),
    "clones": ("cli-machines", "$ archipel clone web copy"),
    "contacts": ("cli-machines", "$ archipel contacts add web"),
    "control": ("cli", "$ archipel start --wait web"),
    "declaration": ("declarations", "<archipel action='describe'"),
    "definition": ("cli", "$ archipel define web.xml"),
    "geolocalization": ("places", "<gelocalization>"),
    "guest": ("guest", "web guest ping"),
    "health": ("health", "you: health 2"),
    "host": ("cli", '<archipel action="ip"/>'),
    "hypervisor_network": ("networks", "<archipel action='define'"),
    "hypervisor_vmcasts": ("cli-guests", "$ archipel appliance feeds"),
    "machines": ("cli-machines", "$ archipel manage legacy"),
    "metrics": ("metrics", "$ curl"),
    "migration": ("migration", "you: migrate"),
    "network_filters": ("cli-guests", "$ archipel nwfilter define"),
    "notices": ("cli-machines", "$ archipel notices set web"),
    "notifier": ("notifications", "notifier test night-shift"),
    "oomkiller": ("oomkiller", "web oom kernel -500"),
    "ownership": ("declarations", "you: owned"),
    "rights": ("cli", "$ archipel grant student@example.org info"),
    "rules": ("rights", "$ archipel deny bob@example.org destroy"),
    "scheduler": ("scheduler", "you: schedule daily"),
    "screenshots": ("screenshots", "<archipel action='screenshot'"),
    "snapshoting": ("snapshots", "web snapshot take"),
    "storage": ("storage", "web create drive"),
    "storage_pools": ("storage-pools", "start pool lab"),
    "tags": ("cli", "$ archipel tag set web"),
    "text_console": ("chat", "you: open console"),
    "virtualmachine_appliance": ("appliances", "web list appliances"),
    "vmparking": ("parking", "you: park web,db"),
    "vnc": ("console", "web console"),
    "xmppserver": ("places", "archipel:xmppserver:users"),
}


def test_every_block_of_a_page_is_run_by_a_test_or_says_why_not(root: Path) -> None:
    blocks = {(page.stem, block.language) for page in list_pages(root) for block in list_blocks(page) if block.reason is None}
    assert blocks - set(RUN_BY) == set(), "let a test run them and name it here, or write <!-- not run: REASON --> in the line before"
    assert set(RUN_BY) - blocks == set(), "there are no such blocks"


@pytest.mark.parametrize("name", sorted({name for names in RUN_BY.values() for name in names}))
def test_the_tests_that_run_blocks_are_there(root: Path, name: str) -> None:
    file, _, function = name.partition("::")
    assert function in list_functions(root / file)


def test_why_a_block_is_not_run_names_a_file_that_is_there_or_what_it_is(root: Path) -> None:
    reasons = [block.reason for page in list_pages(root) for block in list_blocks(page) if block.reason is not None]
    assert reasons
    assert [reason for reason in reasons if len(reason) < 10] == []
    named = [word.rstrip(",;") for reason in reasons for word in reason.split() if "/" in word]
    assert [file for file in named if not (root / file).is_file()] == []


def test_every_capability_has_a_page_with_an_example_that_is_run(root: Path) -> None:
    assert set(EXAMPLES) == set(declared_capabilities(root)), "name the page of the capability, and what of it is run"
    for capability, (page, words) in EXAMPLES.items():
        run = [block.body for block in list_blocks(root / "docs" / f"{page}.md") if block.reason is None]
        assert any(words in body for body in run), f"{capability}: docs/{page}.md has no such example"
