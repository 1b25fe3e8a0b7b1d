# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restricted machine's definition may say besides its devices (libvirt, "Domain XML format").

Left out on purpose: seclabel, resource, launchSecurity, keywrap, idmap, sysinfo, perf, memoryBacking, memory, processor and disk
tuning, NUMA, IO threads, ACPI tables, device trees, boot loaders on the host, container settings: they reach or load the host.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from archipel.agent.virt.allow_list import NUMBER, ON_OFF, WORD, YES_NO, Rule, anything, many, matching, one_of, shorter_than, up_to
from archipel.agent.virt.confined_paths import PathRefused, confine
from archipel.agent.virt.device_rules import DEVICES

if TYPE_CHECKING:
    from archipel.agent.virt.domain_policy import Scope


# -- values that settings decide on --------------------------------------------------------------------------------------


def domain_type(value: str, scope: Scope) -> str | None:
    """Allow the hypervisors of the settings."""
    types = sorted(scope.policy.domain_types)
    return None if value in types else f"use {' or '.join(types)}"


def _confined(value: str, folders: Iterable[Path], fix: str) -> str | None:
    try:
        confine(value, folders)
    except PathRefused as error:
        return f"the path {error}; {fix}"
    return None


def readable_file(value: str, scope: Scope) -> str | None:
    """Allow files that the machine may read."""
    return _confined(value, scope.policy.readable_folders, "use a file in the machine's folder or an image folder")


def firmware_file(value: str, scope: Scope) -> str | None:
    """Allow the firmware that is installed on the host."""
    return _confined(value, scope.policy.firmware_folders, "leave it out, with firmware='efi' libvirt finds it")


def nvram_file(value: str, scope: Scope) -> str | None:
    """Allow a file in the machine's folder, or exactly the one that libvirt makes for a machine of this name."""
    own = scope.policy.nvram_folder and scope.policy.nvram_folder / f"{scope.domain.name}_VARS.fd"
    return None if own and value == str(own) else _confined(value, [scope.policy.vm_folder], "leave it out, libvirt makes it")


# -- the machine ---------------------------------------------------------------------------------------------------------

_STATE: Final = Rule({"state": ON_OFF})
_MEMORY_UNIT: Final = one_of("b", "bytes", "KB", "k", "KiB", "MB", "M", "MiB", "GB", "G", "GiB", "TB", "T", "TiB")
_MEMORY: Final = Rule({"unit": _MEMORY_UNIT, "dumpCore": ON_OFF}, text=up_to(2**50))
_ACTION: Final = Rule(text=one_of("destroy", "restart", "preserve"))

_OS: Final = Rule(
    {"firmware": one_of("bios", "efi")},
    {
        "type": Rule({"arch": WORD, "machine": WORD}, text=one_of("hvm")),
        "firmware": Rule(children={"feature": many(Rule({"enabled": YES_NO, "name": one_of("enrolled-keys", "secure-boot")}))}),
        "loader": Rule(
            # without readonly QEMU opens the file to write into it
            {
                "readonly": one_of("yes"),
                "type": one_of("pflash", "rom"),
                "secure": YES_NO,
                "stateless": YES_NO,
                "format": one_of("raw", "qcow2"),
            },
            text=firmware_file,
            required=("readonly",),
        ),
        "nvram": Rule({"template": firmware_file, "templateFormat": one_of("raw", "qcow2"), "format": one_of("raw")}, text=nvram_file),
        "boot": many(Rule({"dev": one_of("hd", "cdrom", "network", "fd")})),
        "bootmenu": Rule({"enable": YES_NO, "timeout": up_to(65535)}),
        "bios": Rule({"useserial": YES_NO, "rebootTimeout": up_to(65535)}),
        "kernel": Rule(text=readable_file),
        "initrd": Rule(text=readable_file),
        "cmdline": Rule(text=anything),
    },
)

_HYPERV: Final = Rule(
    {"mode": one_of("custom", "passthrough")},
    {
        "spinlocks": Rule({"state": ON_OFF, "retries": NUMBER}),
        "stimer": Rule({"state": ON_OFF}, {"direct": _STATE}),
        "vendor_id": Rule({"state": ON_OFF, "value": WORD}),
        **dict.fromkeys(
            (
                "relaxed",
                "vapic",
                "vpindex",
                "runtime",
                "synic",
                "reset",
                "frequencies",
                "reenlightenment",
                "tlbflush",
                "ipi",
                "evmcs",
                "avic",
            ),
            _STATE,
        ),
    },
)
_FEATURES: Final = Rule(
    children={
        "apic": Rule({"eoi": ON_OFF}),
        "hyperv": _HYPERV,
        "kvm": Rule(children={"hidden": _STATE, "hint-dedicated": _STATE, "poll-control": _STATE}),
        "ioapic": Rule({"driver": one_of("kvm", "qemu")}),
        "gic": Rule({"version": WORD}),
        **dict.fromkeys(("acpi", "pae", "viridian"), Rule()),
        **dict.fromkeys(("hap", "pmu", "pvspinlock", "smm", "vmport", "vmcoreinfo"), _STATE),
    }
)

_CPU: Final = Rule(
    {
        "mode": one_of("custom", "host-model", "host-passthrough", "maximum"),
        "match": one_of("minimum", "exact", "strict"),
        "check": one_of("none", "partial", "full"),
        "migratable": ON_OFF,
    },
    {
        "model": Rule({"fallback": one_of("allow", "forbid"), "vendor_id": matching(r"[^,]{12}", "twelve characters")}, text=WORD),
        "vendor": Rule(text=WORD),
        "topology": Rule(dict.fromkeys(("sockets", "dies", "clusters", "cores", "threads"), up_to(4096))),
        "feature": many(Rule({"policy": one_of("force", "require", "optional", "disable", "forbid"), "name": WORD})),
        "cache": Rule({"level": up_to(3), "mode": one_of("emulate", "passthrough", "disable")}),
        "maxphysaddr": Rule({"mode": one_of("emulate", "passthrough"), "bits": up_to(64), "limit": up_to(64)}),
    },
)

_CLOCK: Final = Rule(
    {
        "offset": one_of("utc", "localtime", "timezone", "variable"),
        "timezone": matching(r"[A-Za-z0-9_+-]{1,32}(/[A-Za-z0-9_+-]{1,32}){0,2}", "a time zone such as Europe/Berlin"),
        "adjustment": matching(r"reset|-?[0-9]{1,12}", "a number of seconds"),
        "basis": one_of("utc", "localtime"),
    },
    {
        "timer": many(
            Rule(
                {
                    "name": one_of("platform", "hpet", "kvmclock", "pit", "rtc", "tsc", "hypervclock", "armvtimer"),
                    "present": YES_NO,
                    "tickpolicy": one_of("delay", "catchup", "merge", "discard"),
                    "track": one_of("boot", "guest", "wall"),
                    "frequency": NUMBER,
                    "mode": one_of("auto", "native", "emulate", "paravirt", "smpsafe"),
                },
                {"catchup": Rule(dict.fromkeys(("threshold", "slew", "limit"), NUMBER))},
            )
        )
    },
)

DOMAIN: Final = Rule(
    {"type": domain_type, "id": NUMBER},
    {
        # libvirt makes file names of it
        "name": Rule(text=matching(r"(?!\.{1,2}$)[^/\x00-\x1f\x7f]{1,255}", "a name without slash and control characters")),
        "uuid": Rule(text=matching(r"[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}", "a UUID")),
        "genid": Rule(text=matching(r"[0-9a-fA-F-]{0,36}", "a UUID")),
        "title": Rule(text=shorter_than(256)),
        "description": Rule(text=shorter_than(4096)),
        "metadata": Rule(opaque=True),
        "memory": _MEMORY,
        "currentMemory": _MEMORY,
        "vcpu": Rule({"placement": one_of("static"), "current": up_to(4096)}, text=up_to(4096)),
        "vcpus": Rule(children={"vcpu": many(Rule({"id": NUMBER, "enabled": YES_NO, "hotpluggable": YES_NO, "order": NUMBER}))}),
        "os": _OS,
        "features": _FEATURES,
        "cpu": _CPU,
        "clock": _CLOCK,
        "on_poweroff": _ACTION,
        "on_reboot": _ACTION,
        "on_crash": _ACTION,
        "pm": Rule(children=dict.fromkeys(("suspend-to-mem", "suspend-to-disk"), Rule({"enabled": YES_NO}))),
        "devices": DEVICES,
    },
    required=("type",),
)
