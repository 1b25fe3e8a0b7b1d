# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules hypervisor_vmcasts and virtualmachine_appliance."""

from __future__ import annotations

from tests.conformance.row import HYPERVISOR, MACHINE, action, option, phrases, pushes, tokens

CASTS, APPLIANCE = "archipel:hypervisor:vmcasting", "archipel:virtualmachine:vmcasting"
H, VM = (HYPERVISOR,), (MACHINE,)

ROWS = (
    action(CASTS, "get", H, "feeds of appliances, with what is installed of them"),
    action(CASTS, "register", H, "subscribe to a feed"),
    action(CASTS, "unregister", H, "drop a feed"),
    action(CASTS, "downloadappliance", H, "fetch an appliance"),
    action(CASTS, "downloadqueue", H, "what is being fetched"),
    action(CASTS, "getappliances", H, "one appliance"),
    action(CASTS, "deleteappliance", H, "remove what was fetched; could remove /dev/null"),
    action(CASTS, "getinstalledappliances", H, "what was fetched"),
    action(APPLIANCE, "get", VM, "the appliances that can be attached"),
    action(APPLIANCE, "attach", VM, "make the machine from an appliance"),
    action(APPLIANCE, "detach", VM, "forget which appliance it was"),
    action(APPLIANCE, "package", VM, "make an appliance of the machine"),
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
