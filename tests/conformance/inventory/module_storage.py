# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module storage."""

from __future__ import annotations

from tests.conformance.row import MACHINE, action, option, pushes, tokens

NS = "archipel:vm:disk"
VM = (MACHINE,)

ROWS = (
    action(NS, "create", VM, "make a drive, on a golden one if told so"),
    action(NS, "delete", VM, "remove a drive, from the definition too if told so; took any file of the folder"),
    action(NS, "get", VM, "the drives in the machine's folder"),
    action(NS, "getiso", VM, "images for CD drives"),
    action(NS, "convert", VM, "another format for a drive; took any file of the host"),
    action(NS, "rename", VM, "another name for a drive; the definition went on naming the old one"),
    action(NS, "getgolden", VM, "the golden drives"),
    action(NS, "setgolden", VM, "make a drive golden; took any file of the host"),
    *pushes("disk", "created", "deleted", "converted", "renamed", "goldened", meaning="drives changed"),
    *tokens(VM, "drives_create", "drives_delete", "drives_get", "drives_getiso", "drives_convert", "drives_rename"),
    *tokens(VM, "drives_create_golden", meaning="guarded nothing"),
    *tokens(VM, "drives_getgolden", "drives_setgolden", meaning="asked for and never made: for administrators only"),
    option("STORAGE", "iso_base_path", "%(archipel_folder_data)s/iso", better="several folders"),
    option("STORAGE", "use_metadata_preallocation", "True"),
    option("STORAGE", "qemu_img_bin_path", "/usr/bin/qemu-img"),
    option("STORAGE", "golden_drives_dir", "%(archipel_folder_data)s/goldens", better="several folders"),
)
