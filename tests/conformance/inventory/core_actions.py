# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Core: actions."""

from __future__ import annotations

from tests.conformance.row import EVERY, HYPERVISOR, MACHINE, action

AGENT = "tests/integration/agent"
MIGRATIONS = f"{AGENT}/test_migrations.py"
PERMISSIONS, SUBSCRIPTION, TAGS = "archipel:permissions", "archipel:subscription", "archipel:tags"
AVATAR, ROSTER = "archipel:avatar", "archipel:roster"
HOST, CONTROL, DEFINITION = "archipel:hypervisor:control", "archipel:vm:control", "archipel:vm:definition"
H, VM = (HYPERVISOR,), (MACHINE,)

PING = action(
    "urn:xmpp:ping",
    "ping",
    EVERY,
    "an answer to whoever asks, known or not",
    tests=(f"{AGENT}/test_envelopes.py::test_a_ping_is_answered",),
)
PEOPLE = (
    action(
        PERMISSIONS,
        "list",
        EVERY,
        "all rights that exist here, with default and description",
        tests=("tests/unit/agent/test_permission_commands.py::test_all_rights_that_exist_are_listed_with_what_they_mean",),
    ),
    action(
        PERMISSIONS,
        "get",
        EVERY,
        "the rights that somebody was granted",
        better="strangers are refused; the right to ask is the default of those whom the entity knows",
        tests=(
            f"{AGENT}/test_permissions.py::test_get_of_another_type_is_empty",
            f"{AGENT}/test_strangers.py::test_every_action_is_refused_and_nothing_changes",
        ),
    ),
    action(
        PERMISSIONS,
        "getown",
        EVERY,
        "one's own rights, without a right to ask",
        tests=(f"{AGENT}/test_permissions.py::test_getown_is_about_oneself",),
    ),
    action(
        PERMISSIONS,
        "set",
        EVERY,
        "grant and revoke, several people at once",
        better="all or none; a right that does not exist is refused with similar names; one push for each person; nobody takes away "
        "`all` who has less, nor gives the right to pass the domain policy who lacks it",
        tests=(
            f"{AGENT}/test_permissions.py::test_the_founders_words_for_yes_grant_and_all_others_revoke",
            f"{AGENT}/test_permissions.py::test_an_unknown_right_is_refused_with_similar_names_and_nothing_is_changed",
        ),
    ),
    action(
        PERMISSIONS,
        "setown",
        EVERY,
        "change one's own rights",
        better="nobody gives himself what he lacks",
        tests=(f"{AGENT}/test_permissions.py::test_setown_does_not_escalate",),
    ),
    action(
        SUBSCRIPTION,
        "add",
        EVERY,
        "take somebody into the roster, with the right to see the presence",
        tests=(f"{AGENT}/test_subscriptions.py::test_add_takes_somebody_in",),
    ),
    action(
        SUBSCRIPTION,
        "remove",
        EVERY,
        "remove somebody from the roster",
        tests=(f"{AGENT}/test_subscriptions.py::test_remove_lets_somebody_go",),
    ),
    action(
        TAGS,
        "settags",
        EVERY,
        "publish the entity's tags",
        better="answered when the tags are published; the item is named by the JID, so that none is left behind; it goes with its machine; "
        "who watches is told of emptied tags, too",
        tests=(
            f"{AGENT}/test_tags.py::test_tags_stand_on_the_platforms_node",
            f"{AGENT}/test_tags.py::test_the_tags_of_a_machine_go_with_it",
        ),
    ),
    action(
        AVATAR,
        "getavatars",
        EVERY,
        "the pictures to choose from",
        better="what does not fit in one answer follows in the next (`after`)",
        tests=(
            "tests/unit/agent/test_avatars.py::test_a_picture_is_told_as_founding_clients_read_it",
            "tests/unit/agent/test_avatars.py::test_an_answer_holds_what_fits_and_tells_how_many_follow",
        ),
    ),
    action(
        AVATAR,
        "setavatar",
        EVERY,
        "choose the picture of the vCard",
        better="a picture that is not there is an error; the choice outlives the agent",
        tests=(
            "tests/integration/agent/test_avatars.py::test_a_picture_that_is_not_there_is_not_chosen",
            "tests/integration/agent/test_avatars.py::test_a_choice_outlives_the_agent",
        ),
    ),
    action(
        ROSTER,
        "getroster",
        VM,
        "the roster; never finished, its answer was always empty",
        better="answers, of hypervisors too",
        tests=(f"{AGENT}/test_subscriptions.py::test_getroster_lists_who_is_in_the_roster",),
    ),
)

MACHINES = (
    action(
        HOST,
        "alloc",
        H,
        "make a machine, with name, organisation and definition",
        better="the answer comes when account, folder and definition are there and the machine can be talked to; an error leaves nothing",
        tests=(
            f"{AGENT}/test_hypervisor_control.py::test_alloc_as_founding_clients_ask_for_it",
            f"{AGENT}/test_allocations.py::test_a_definition_that_libvirt_refuses_leaves_nothing",
        ),
    ),
    action(
        HOST,
        "free",
        H,
        "destroy a machine with domain, account and folder",
        better="an error leaves the machine as it was; `keep='disks'` keeps its folder",
        tests=(f"{AGENT}/test_allocations.py::test_free_ends_a_machine_in_any_state_and_leaves_nothing",),
    ),
    action(
        HOST,
        "rostervm",
        H,
        "all machines of the host, managed or not",
        tests=(f"{AGENT}/test_hypervisor_control.py::test_rostervm_lists_managed_and_other_machines",),
    ),
    action(
        HOST,
        "clone",
        H,
        "copy a machine with its disks",
        better="tells the JID of the copy; an error leaves nothing; `linked` copies only what differs; who copies must be allowed to read the machine",
        tests=(
            "tests/integration/agent/test_clones.py::test_a_copy_is_the_same_machine_with_an_identity_of_its_own",
            "tests/integration/agent/test_clones.py::test_a_copy_that_was_cut_short_leaves_nothing",
            "tests/integration/agent/test_clones.py::test_who_may_not_read_a_machine_copies_nothing_of_it",
        ),
    ),
    action(HOST, "ip", H, "the host's address"),
    action(
        HOST,
        "migrationinfo",
        H,
        "where machines migrate to, for other hypervisors",
        better="for holders of the right, not for everybody",
        tests=(
            "tests/unit/agent/test_founding_options.py::test_another_value_is_seen[GLOBAL-migration_uri]",
            f"{AGENT}/test_every_action.py::test_who_lacks_the_right_is_told_which[hypervisor-hypervisor:control-migrationinfo]",
        ),
    ),
    action(
        HOST,
        "capabilities",
        H,
        "libvirt's capabilities; the request halted the founding agent",
        better="answers",
        tests=(f"{AGENT}/test_hypervisor_control.py::test_capabilities_are_libvirts",),
    ),
    action(
        HOST,
        "nodeinfo",
        H,
        "what the host is made of; the answer held the names of the figures only",
        better="one element with the figures under the founders' names",
        tests=(f"{AGENT}/test_hypervisor_control.py::test_nodeinfo_is_one_element_with_libvirts_figures",),
    ),
    action(
        HOST,
        "manage",
        H,
        "take existing domains in",
        better="the domains stay byte for byte as they are, running ones too; each is tried, the error names those that failed",
        tests=(
            f"{AGENT}/test_adoptions.py::test_a_domain_is_byte_for_byte_the_same_before_during_and_after",
            f"{AGENT}/test_adoptions.py::test_what_cannot_be_taken_in_is_named_and_the_others_are",
        ),
    ),
    action(
        HOST,
        "unmanage",
        H,
        "let machines go, with their domains as they are",
        better="each is tried, the error names those that failed",
        tests=(f"{AGENT}/test_adoptions.py::test_what_cannot_be_let_go_is_named_and_the_others_are",),
    ),
    action(
        HOST,
        "setorginfo",
        H,
        "name and organisation of a machine that is off",
        better="a new name survives a restart",
        tests=(
            f"{AGENT}/test_hypervisor_control.py::test_setorginfo_with_its_right_changes_the_vcard",
            f"{AGENT}/test_restarts.py::test_a_new_name_survives",
        ),
    ),
    action(
        HOST,
        "soft_alloc",
        H,
        "take a machine over from another hypervisor, with its account; anybody could send it",
        different="the password is no part of the domain any more, nor taken from anybody but hypervisors in migration_peers",
        tests=(
            f"{MIGRATIONS}::test_a_machine_that_is_off_moves_with_all_that_is_known_of_it_and_back",
            f"{MIGRATIONS}::test_nobody_hands_a_machine_over_but_a_trusted_hypervisor",
        ),
    ),
)

ON_MACHINE = (
    action(
        CONTROL,
        "info",
        VM,
        "state, memory, processors, load; of no valid IQ type for a machine without definition",
        better="an empty result where there is no definition; tells which pushes it includes",
        tests=(
            f"{AGENT}/test_machine_control.py::test_a_machine_without_definition_answers_info_with_nothing",
            f"{AGENT}/test_pushes.py::test_info_tells_which_pushes_it_includes",
        ),
    ),
    action(CONTROL, "create", VM, "start", tests=(f"{AGENT}/test_machine_control.py::test_a_machine_without_definition_does_not_start",)),
    action(
        CONTROL,
        "shutdown",
        VM,
        "ask the guest to shut down",
        tests=("tests/unit/agent/test_machine_commands.py::test_a_machine_that_was_asked_to_shut_down_says_so_as_long_as_it_runs",),
    ),
    action(
        CONTROL,
        "destroy",
        VM,
        "switch off; done already if it is off",
        tests=(f"{AGENT}/test_machine_control.py::test_destroy_of_a_machine_that_is_off_is_done_already",),
    ),
    action(
        CONTROL,
        "reboot",
        VM,
        "ask the guest to reboot",
        better="what libvirt refuses is told in the namespace of libvirt's errors, as for all others",
        tests=(f"{AGENT}/test_machine_control.py::test_what_needs_a_running_machine_fails_in_libvirts_words",),
    ),
    action(CONTROL, "suspend", VM, "pause"),
    action(CONTROL, "resume", VM, "go on after a pause"),
    action(
        CONTROL,
        "xmldesc",
        VM,
        "the definition, or `<not-defined/>`",
        better="without the passwords of consoles, which a definition that comes back without them keeps",
        tests=(
            f"{AGENT}/test_machine_control.py::test_a_machine_without_definition_says_not_defined",
            f"{AGENT}/test_secrets.py::test_the_description_lacks_the_consoles_password_and_defining_it_again_keeps_it",
        ),
    ),
    action(
        CONTROL,
        "migrate",
        VM,
        "move to another hypervisor, running or not",
        better="without shared storage, too; rights go along; the source forgets a machine when the destination serves it",
        tests=(
            f"{MIGRATIONS}::test_a_machine_that_is_off_moves_with_all_that_is_known_of_it_and_back",
            "tests/e2e/test_migration.py::test_a_running_guest_moves_and_nothing_is_lost",
        ),
    ),
    action(
        CONTROL,
        "autostart",
        VM,
        "start with the host",
        tests=(f"{AGENT}/test_machine_control.py::test_autostart_takes_the_founders_words_and_shows_in_info",),
    ),
    action(
        CONTROL,
        "memory",
        VM,
        "the memory in use, in KiB; pushed when the guest had taken it on, or after some seconds",
        different="pushed when libvirt has taken it on: a push is a hint, what is true is what `info` answers",
        tests=(f"{AGENT}/test_pushes.py::test_memory_and_cpus_are_pushed",),
    ),
    action(
        CONTROL,
        "setvcpus",
        VM,
        "the number of processors in use",
        tests=(f"{AGENT}/test_machine_control.py::test_more_cpus_than_defined_are_refused",),
    ),
    action(
        CONTROL,
        "networkinfo",
        VM,
        "counters of the network cards, while it runs; of no valid IQ type for a machine without definition",
        better="an empty result where there is no definition",
        tests=(
            f"{AGENT}/test_machine_control.py::test_counters_of_a_machine_that_is_off_are_an_error",
            "tests/integration/agent/test_chats.py::test_a_machine_without_definition_says_so",
        ),
    ),
    action(
        CONTROL,
        "free",
        VM,
        "destroy this machine",
        better="an error leaves the machine as it was; `keep='disks'` keeps its folder",
        tests=(f"{AGENT}/test_machine_control.py::test_the_holder_of_free_may_end_the_machine",),
    ),
    action(
        CONTROL,
        "screenshot",
        VM,
        "the screen as a picture",
        tests=(
            "tests/integration/agent/test_screenshots.py::test_a_picture_is_a_png_of_the_size_it_says",
            "tests/unit/agent/test_screenshots.py::test_a_screen_that_nobody_may_see_is_an_empty_answer",
        ),
    ),
    action(
        DEFINITION,
        "define",
        VM,
        "define anew; another name renames",
        better="what reaches the host needs a right of its own (the domain policy); an error changes nothing",
        tests=(
            f"{AGENT}/test_machine_definition.py::test_who_may_define_defines",
            f"{AGENT}/test_machine_definition.py::test_what_libvirt_refuses_is_told_in_its_words_and_changes_nothing",
            f"{AGENT}/test_behind_the_back.py::test_a_machine_is_renamed_everywhere_at_once",
        ),
    ),
    action(
        DEFINITION,
        "undefine",
        VM,
        "remove the definition; its errors bore the number of `destroy`",
        better="snapshots and saved states go with it; errors bear a number of their own, -1008",
        tests=(
            f"{AGENT}/test_machine_definition.py::test_who_may_undefine_undefines",
            "tests/unit/agent/virt/test_domain.py::test_undefining_removes_snapshots_and_saved_state_with_it",
        ),
    ),
    action(
        DEFINITION,
        "capabilities",
        VM,
        "libvirt's capabilities of the host",
        tests=(f"{AGENT}/test_machine_definition.py::test_who_may_sees_the_capabilities",),
    ),
)

ROWS = (PING, *PEOPLE, *MACHINES, *ON_MACHINE)
