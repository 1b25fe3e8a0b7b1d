# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Core: options of archipel.conf."""

from __future__ import annotations

from tests.conformance.row import option

CONFIG = "tests/unit/agent/test_config.py"

LEFT_OUT = f"{CONFIG}::TestCapabilities::test_founding_modules_that_are_gone_are_taken_and_load_nothing"
SWITCH = "whether the module is loaded"
MODULES = (
    *("action_scheduler", "hypervisor_health", "hypervisor_network", "hypervisor_vmcasts", "oomkiller", "snapshoting", "storage"),
    *("virtualmachine_appliance", "vmparking", "vnc", "xmppserver"),
)
SWITCHED_OFF = ("geolocalization",)
GONE = {
    "hypervisor_nuage_network": "Nuage's controller is no longer sold: the flag is taken and loads nothing",
    "iphone_notification": "that service is gone: the flag is taken and loads nothing; the capability notifier tells people",
}

ROWS = (
    option("DEFAULT", "xmpp_server", "lab.example", better="taken from hypervisor_xmpp_jid if left out"),
    option("DEFAULT", "archipel_folder_lib", "/var/lib/archipel/"),
    option("DEFAULT", "archipel_general_uuid", "5a5d23ef-0b0e-4a3c-8b5a-04a0c9b7c2f1", meaning="identity of the own appliance feed"),
    option("DEFAULT", "archipel_folder_data", "/vm/"),
    option("GLOBAL", "xmpp_pubsub_server", "pubsub.%(xmpp_server)s"),
    option("GLOBAL", "archipel_root_admins", "admin@%(xmpp_server)s boss@%(xmpp_server)s"),
    option("GLOBAL", "machine_ip", "gateway_interface", meaning="auto, gateway_interface or an address"),
    option("GLOBAL", "use_avatar", "True"),
    option("GLOBAL", "machine_avatar_directory", "%(archipel_folder_lib)s/avatars"),
    option("GLOBAL", "libvirt_uri", "qemu:///system"),
    option("GLOBAL", "migration_uri", "qemu+ssh://10.0.0.1/system"),
    option("GLOBAL", "modules_configuration_path", "/etc/archipel/modules.d/"),
    option(
        "GLOBAL",
        "module_loading_policy",
        "restrictive",
        different="permissive unless told otherwise: what is installed is meant to be used",
        tests=(
            "tests/unit/agent/test_plugins.py::test_the_settings_decide_what_is_loaded",
            f"{CONFIG}::TestCapabilities::test_flags_and_policy_decide_what_is_loaded",
        ),
    ),
    option("GLOBAL", "stateless_node", "False"),
    option("GLOBAL", "libvirt_need_authentication", "False"),
    option("GLOBAL", "libvirt_auth_password", "secret"),
    option("VCARD", "orgname", "Example Corp", better="may be empty"),
    option("VCARD", "orgunit", "Dev", better="may be empty"),
    option("VCARD", "userid", "contact@lab.example", better="may be empty"),
    option("VCARD", "locality", "Somewhere", better="may be empty"),
    option("VCARD", "url", "https://lab.example", meaning="read and not used", better="stands in the vCard"),
    option("VCARD", "categories", "Archipel", better="may be empty"),
    option("HYPERVISOR", "hypervisor_xmpp_jid", "hyp-1@%(xmpp_server)s"),
    option("HYPERVISOR", "hypervisor_xmpp_password", "password", better="hypervisor_xmpp_password_file keeps it out of the file"),
    option("HYPERVISOR", "hypervisor_name", "auto"),
    option(
        "HYPERVISOR",
        "hypervisor_database_path",
        "%(archipel_folder_lib)s/hypervisor.sqlite3",
        different="holds machines and all rights, in tables of its own; a founding database is not read",
    ),
    option("HYPERVISOR", "hypervisor_default_avatar", "defaulthypervisor.png"),
    option("HYPERVISOR", "name_generation_file", "%(archipel_folder_lib)s/names.txt"),
    option("HYPERVISOR", "hypervisor_permissions_database_path", "%(archipel_folder_lib)s/permissions.sqlite3"),
    option("VIRTUALMACHINE", "vm_base_path", "%(archipel_folder_data)s/drives"),
    option("VIRTUALMACHINE", "vm_perm_path", "/vm/permissions"),
    option("VIRTUALMACHINE", "vm_default_avatar", "defaultvm.png"),
    option("VIRTUALMACHINE", "xmpp_password_size", "32", different="32 at least: shorter ones are guessed"),
    option("VIRTUALMACHINE", "vm_permissions_database_path", "/permissions.sqlite3"),
    option("VIRTUALMACHINE", "allow_blank_space_in_vm_name", "True"),
    option("VIRTUALMACHINE", "enable_block_device_access", "True"),
    option(
        "VIRTUALMACHINE",
        "disable_screenshot",
        "False",
        tests=("tests/unit/agent/test_screenshots.py::test_a_screen_that_nobody_may_see_is_an_empty_answer",),
    ),
    option("LOGGING", "logging_level", "debug", different="info unless told otherwise"),
    option("LOGGING", "log_pubsub_item_expire", "3600", meaning="not used by the founders either"),
    option("LOGGING", "log_pubsub_max_items", "1000", meaning="of a node on which nothing was published"),
    option("LOGGING", "logging_file_path", "/var/log/archipel/archipel.log"),
    option("LOGGING", "logging_max_bytes", "5000000"),
    option("LOGGING", "logging_backup_count", "5"),
    option("LOGGING", "logging_date_format", "%Y-%m-%d %H:%M:%S"),
    option("LOGGING", "logging_formatter", "%(levelname)s::%(message)s"),
    option("LOGGING", "xmpppy_debug", "False"),
    *(option("MODULES", name, "True", meaning=SWITCH) for name in MODULES),
    *(option("MODULES", name, "False", meaning=f"{SWITCH}; off as it was shipped") for name in SWITCHED_OFF),
    *(option("MODULES", name, "True", meaning=SWITCH, dropped=why, tests=(LEFT_OUT,)) for name, why in GONE.items()),
    *(option("MODULES", name, "True", meaning=SWITCH, central=True) for name in ("centraldb", "platformrequest")),
)
