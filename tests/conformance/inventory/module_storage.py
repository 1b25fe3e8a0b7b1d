# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module storage."""

from __future__ import annotations

from tests.conformance.row import MACHINE, action, option, pushes, tokens

NS = "archipel:vm:disk"
VM = (MACHINE,)

ROWS = (
    action(
        NS,
        "create",
        VM,
        "make a drive, on a golden one if told so",
        better="golden drives and formats are named to QEMU, nothing else of the host can be stood on; `cow`, which QEMU gave up, is refused",
        tests=(
            "tests/integration/agent/test_storage.py::test_a_drive_is_made_in_each_format_and_listed_as_it_is",
            "tests/integration/agent/test_storage.py::test_a_drive_stands_on_a_golden_one_that_then_stays_as_it_is",
        ),
    ),
    action(
        NS,
        "delete",
        VM,
        "remove a drive, from the definition too if told so; took any file of the folder",
        better="drives only; one that the definition names goes with its disk or not at all",
        tests=(
            "tests/integration/agent/test_storage.py::test_an_attached_drive_is_deleted_with_its_disk_only",
            "tests/integration/agent/test_storage.py::test_other_files_of_the_folder_are_no_drives",
        ),
    ),
    action(
        NS,
        "get",
        VM,
        "the drives in the machine's folder",
        better="sizes as they are; an image that names files of the host is not read",
        tests=("tests/integration/agent/test_storage.py::test_an_image_that_names_a_file_of_the_host_is_not_read",),
    ),
    action(
        NS,
        "getiso",
        VM,
        "images for CD drives",
        tests=("tests/integration/agent/test_storage.py::test_other_files_of_the_folder_are_no_drives",),
    ),
    action(
        NS,
        "convert",
        VM,
        "another format for a drive; took any file of the host",
        better="drives of the machine only; an error leaves the drive as it was",
        tests=(
            "tests/integration/agent/test_storage.py::test_the_definition_follows_a_conversion_and_a_renaming",
            "tests/integration/agent/test_storage.py::test_a_definition_that_is_refused_leaves_the_drive_as_it_was",
        ),
    ),
    action(
        NS,
        "rename",
        VM,
        "another name for a drive; the definition went on naming the old one",
        better="drives of the machine only; the definition follows",
        tests=("tests/integration/agent/test_storage.py::test_the_definition_follows_a_conversion_and_a_renaming",),
    ),
    action(
        NS,
        "getgolden",
        VM,
        "the golden drives",
        tests=("tests/integration/agent/test_storage.py::test_a_drive_stands_on_a_golden_one_that_then_stays_as_it_is",),
    ),
    action(
        NS,
        "setgolden",
        VM,
        "make a drive golden; took any file of the host",
        different="the golden drive is a copy that stands on nothing, in qcow2: the machine keeps its drive, and nothing dangles",
        tests=("tests/integration/agent/test_storage.py::test_a_golden_drive_holds_all_by_itself_and_its_origin_stays_attached",),
    ),
    *pushes("disk", "created", "deleted", "converted", "renamed", "goldened", meaning="drives changed"),
    *tokens(VM, "drives_create", "drives_delete", "drives_get", "drives_getiso", "drives_convert", "drives_rename"),
    *tokens(
        VM,
        "drives_create_golden",
        meaning="guarded nothing",
        different="can be granted, as clients show it, and guards nothing here either",
        tests=("tests/unit/agent/test_founding_rights.py::test_what_guards_nothing_is_granted_as_founding_clients_ask",),
    ),
    *tokens(VM, "drives_getgolden", "drives_setgolden", meaning="asked for and never made: for administrators only"),
    option("STORAGE", "iso_base_path", "%(archipel_folder_data)s/iso", better="several folders"),
    option("STORAGE", "use_metadata_preallocation", "True"),
    option("STORAGE", "qemu_img_bin_path", "/usr/bin/qemu-img"),
    option("STORAGE", "golden_drives_dir", "%(archipel_folder_data)s/goldens", better="several folders"),
)
