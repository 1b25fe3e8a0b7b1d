# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules hypervisor_vmcasts and virtualmachine_appliance."""

from __future__ import annotations

from tests.conformance.row import HYPERVISOR, MACHINE, action, option, phrases, pushes, tokens

CASTS, APPLIANCE = "archipel:hypervisor:vmcasting", "archipel:virtualmachine:vmcasting"
H, VM = (HYPERVISOR,), (MACHINE,)
FEEDS, MACHINES = "tests/unit/agent/test_appliance_feeds.py", "tests/unit/agent/test_appliances.py"
HELD = ("tests/unit/agent/test_founding_rights.py::test_who_holds_it_may_and_who_lacks_it_is_told",)
SAID = ("tests/integration/agent/test_appliances.py::test_an_appliance_is_downloaded_installed_and_let_go",)
MADE = (f"{MACHINES}::test_a_machine_is_made_from_an_appliance_with_an_identity_of_its_own",)
PROGRESS = (f"{FEEDS}::test_what_is_being_downloaded_is_told_and_pushed_with_its_progress",)

ROWS = (
    action(
        CASTS,
        "get",
        H,
        "feeds of appliances, with what is installed of them",
        better="a feed that cannot be read stays, and says why; known appliances follow their feed",
        tests=("tests/unit/agent/test_appliance_feeds.py::test_a_feed_that_cannot_be_read_stays_with_what_was_known_of_it",),
    ),
    action(
        CASTS,
        "register",
        H,
        "subscribe to a feed",
        better="https only, no private addresses, no declarations in the XML",
        tests=(
            "tests/unit/agent/test_appliance_feeds.py::test_only_https_is_read",
            "tests/unit/agent/test_appliance_feeds.py::test_private_addresses_are_not_asked",
            "tests/unit/agent/test_appliance_feeds.py::test_a_hostile_feed_is_refused",
        ),
    ),
    action(
        CASTS,
        "unregister",
        H,
        "drop a feed",
        better="what was downloaded can still be deleted",
        tests=("tests/unit/agent/test_appliance_feeds.py::test_what_is_downloaded_stays_when_its_feed_goes_and_can_be_deleted",),
    ),
    action(
        CASTS,
        "downloadappliance",
        H,
        "fetch an appliance",
        better="goes on where it broke off, checks the digest, never fills the disk",
        tests=(
            "tests/unit/agent/test_appliance_feeds.py::test_a_download_that_breaks_off_goes_on_where_it_was",
            "tests/unit/agent/test_appliance_feeds.py::test_what_has_another_digest_than_the_feed_says_is_thrown_away",
        ),
    ),
    action(CASTS, "downloadqueue", H, "what is being fetched", tests=PROGRESS),
    action(CASTS, "getappliances", H, "one appliance", tests=(f"{FEEDS}::test_one_appliance_is_told_with_its_file_when_it_is_there",)),
    action(
        CASTS,
        "deleteappliance",
        H,
        "remove what was fetched; could remove /dev/null",
        better="nothing but files of the repository is removed",
        tests=("tests/unit/agent/test_appliance_feeds.py::test_an_appliance_is_offered_downloaded_listed_and_deleted",),
    ),
    action(
        CASTS,
        "getinstalledappliances",
        H,
        "what was fetched",
        tests=(f"{FEEDS}::test_an_appliance_is_offered_downloaded_listed_and_deleted",),
    ),
    action(APPLIANCE, "get", VM, "the appliances that can be attached", tests=MADE),
    action(
        APPLIANCE,
        "attach",
        VM,
        "make the machine from an appliance",
        better="unpacks only plain files within limits, overwrites nothing, leaves nothing when it fails; takes plain qcow2 images and OVA, too",
        tests=(
            "tests/unit/agent/test_appliances.py::test_a_hostile_package_is_refused",
            "tests/unit/agent/test_appliances.py::test_an_appliance_that_is_refused_leaves_nothing",
            "tests/unit/agent/test_appliance_imports.py::test_an_ova_becomes_the_machine_that_it_describes",
            "tests/unit/agent/test_appliance_imports.py::test_a_plain_image_becomes_a_machine_as_the_settings_say",
        ),
    ),
    action(APPLIANCE, "detach", VM, "forget which appliance it was", tests=MADE),
    action(
        APPLIANCE,
        "package",
        VM,
        "make an appliance of the machine",
        better="refuses a machine that is on; drives stand on nothing",
        tests=(
            "tests/unit/agent/test_appliances.py::test_a_machine_that_is_on_is_left_alone",
            "tests/unit/agent/test_appliances.py::test_what_is_packaged_can_be_unpacked",
        ),
    ),
    *pushes("vmcasting", "register", "unregister", meaning="feeds"),
    *pushes("vmcasting", "download_start", "download_complete", "download_error", "appliancedeleted", meaning="appliances of the host"),
    *pushes("vmcasting", "applianceinstalling", "applianceinstalled", "applianceerror", "appliancedetached", meaning="of a machine"),
    *pushes("vmcasting", "packaging", "packaged", "packagingerror", meaning="an appliance is made of a machine"),
    *phrases(MACHINE, (APPLIANCE, "get"), "list appliances", tests=SAID),
    *phrases(MACHINE, (APPLIANCE, "attach"), "attach appliance UUID", tests=SAID),
    *phrases(MACHINE, (APPLIANCE, "detach"), "detach appliance", tests=SAID),
    *tokens(H, "vmcasting_get", "vmcasting_downloadqueue", "vmcasting_getinstalledappliances"),
    *tokens(H, "vmcasting_register", "vmcasting_unregister", "vmcasting_downloadappliance", tests=HELD),
    *tokens(H, "vmcasting_getappliances", "vmcasting_deleteappliance", tests=HELD),
    *tokens(VM, "appliance_get"),
    *tokens(VM, "appliance_attach", "appliance_detach", "appliance_package", tests=HELD),
    option("VMCASTING", "vmcasting_database_path", "%(archipel_folder_lib)s/vmcasting.sqlite3"),
    option("VMCASTING", "repository_path", "%(archipel_folder_data)s/repo"),
    option("VMCASTING", "temp_path", "%(archipel_folder_data)s/tmp"),
    option("VMCASTING", "own_vmcast_name", "Local VM casts of $HOSTNAME"),
    option("VMCASTING", "own_vmcast_description", "This is the own vmcast feed of the hypervisor $HOSTNAME"),
    option("VMCASTING", "own_vmcast_uuid", "%(archipel_general_uuid)s"),
    option("VMCASTING", "own_vmcast_url", "http://127.0.0.1:8088/vmcasts/"),
    option("VMCASTING", "own_vmcast_file_name", "rss.xml"),
    option("VMCASTING", "own_vmcast_lang", "en-us"),
    option("VMCASTING", "own_vmcast_path", "%(archipel_folder_data)s/vmcasts/"),
    option("VMCASTING", "own_vmcast_refresh_interval", "60"),
    option("VMCASTING", "disks_extensions", ".qcow2;.qcow;.img;.iso"),
    option("VMCASTING", "should_gzip_drives", "True"),
    option("VMCASTING", "ignore_user_gzip_choice", "False"),
)
