# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules hypervisor_vmcasts and virtualmachine_appliance."""

from __future__ import annotations

from tests.conformance.row import HYPERVISOR, MACHINE, action, option, phrases, pushes, tokens

CASTS, APPLIANCE = "archipel:hypervisor:vmcasting", "archipel:virtualmachine:vmcasting"
H, VM = (HYPERVISOR,), (MACHINE,)

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
    action(CASTS, "downloadqueue", H, "what is being fetched"),
    action(CASTS, "getappliances", H, "one appliance"),
    action(
        CASTS,
        "deleteappliance",
        H,
        "remove what was fetched; could remove /dev/null",
        better="nothing but files of the repository is removed",
        tests=("tests/unit/agent/test_appliance_feeds.py::test_an_appliance_is_offered_downloaded_listed_and_deleted",),
    ),
    action(CASTS, "getinstalledappliances", H, "what was fetched"),
    action(APPLIANCE, "get", VM, "the appliances that can be attached"),
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
    action(APPLIANCE, "detach", VM, "forget which appliance it was"),
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
    *phrases(MACHINE, (APPLIANCE, "get"), "list appliances"),
    *phrases(MACHINE, (APPLIANCE, "attach"), "attach appliance UUID"),
    *phrases(MACHINE, (APPLIANCE, "detach"), "detach appliance"),
    *tokens(H, "vmcasting_get", "vmcasting_register", "vmcasting_unregister", "vmcasting_downloadappliance", "vmcasting_downloadqueue"),
    *tokens(H, "vmcasting_getappliances", "vmcasting_deleteappliance", "vmcasting_getinstalledappliances"),
    *tokens(VM, "appliance_get", "appliance_attach", "appliance_detach", "appliance_package"),
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
