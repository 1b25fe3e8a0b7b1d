# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The devices that a restricted machine may have (libvirt, "Domain XML format", "Devices"), and their settings.

Left out on purpose, because it reaches the host: hostdev, filesystem, parallel, smartcard, shmem, panic, vsock, lease, memory,
iommu, nvram, crypto; serial ports and consoles that end in files, sockets or host devices, and log files; vhost-user in any
device; scripts, direct and other host networking; sound to a file or server; displays on sockets or the host's screen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from archipel.agent.virt.allow_list import NUMBER, ON_OFF, WORD, YES_NO, Rule, anything, many, matching, one_of, up_to

if TYPE_CHECKING:
    from archipel.agent.virt.domain_policy import Scope


# -- values that settings decide on --------------------------------------------------------------------------------------


def network(value: str, scope: Scope) -> str | None:
    """Allow the libvirt networks of the settings."""
    return None if scope.policy.allows_network(value) else "use one of the networks in allowed_networks"


def bridge(value: str, scope: Scope) -> str | None:
    """Allow the bridges of the settings."""
    return None if scope.policy.allows_bridge(value) else "use one of the bridges in allowed_bridges"


def pool(value: str, scope: Scope) -> str | None:
    """Allow the storage pools of the settings."""
    return None if scope.policy.allows_pool(value) else "use one of the pools in allowed_pools"


def interface_type(value: str, scope: Scope) -> str | None:
    """Allow libvirt networks and bridges; QEMU's user network, which reaches the host's loopback, where the settings do."""
    allowed = ("network", "bridge", "user") if scope.policy.user_networks else ("network", "bridge")
    return None if value in allowed else f"use {' or '.join(allowed)}"


def listen_address(value: str, scope: Scope) -> str | None:
    """Allow the addresses of the settings."""
    addresses = sorted(scope.policy.listen_addresses)
    return None if value in addresses else f"use {' or '.join(addresses)}"


def emulator(value: str, scope: Scope) -> str | None:
    """Allow the emulators that libvirt itself chooses."""
    return None if value in scope.policy.emulators else "leave the emulator out; libvirt finds it"


# -- parts of many devices -----------------------------------------------------------------------------------------------

_PORT: Final = up_to(65535)
_PLACE: Final = {
    "alias": Rule({"name": matching(r"[A-Za-z0-9_.:-]{1,64}", "a plain name")}),
    "address": Rule(
        {
            "type": one_of("pci", "drive", "usb", "virtio-serial", "isa", "ccid", "virtio-mmio"),
            "port": matching(r"[0-9]{1,3}(\.[0-9]{1,3}){0,6}|0x[0-9a-fA-F]{1,4}", "a port such as 1 or 1.2"),
            "multifunction": ON_OFF,
            **dict.fromkeys(
                ("domain", "bus", "slot", "function", "controller", "target", "unit", "iobase", "irq"),
                matching(r"0x[0-9a-fA-F]{1,8}|[0-9]{1,10}", "a number"),
            ),
        }
    ),
}
_BOOT: Final = {"boot": Rule({"order": NUMBER})}
_VIRTIO_DRIVER: Final = dict.fromkeys(("iommu", "ats", "packed", "page_per_vq"), ON_OFF)
_FORMAT: Final = one_of("raw", "qcow2")

# -- disks (where their paths lead is judged apart) ----------------------------------------------------------------------

_DISK_SOURCE: Final = Rule(
    {
        "file": anything,
        "pool": pool,
        "volume": matching(r"(?!\.{1,2}$)[^/\x00-\x1f\x7f]{1,255}", "the name of a volume"),
        "startupPolicy": one_of("mandatory", "requisite", "optional"),
        "index": NUMBER,
    }
)


def _backing_store(depth: int) -> Rule:
    """Return the rule for a chain of this many images; nobody writes longer ones by hand."""
    deeper = {"backingStore": _backing_store(depth - 1)} if depth else {}
    return Rule(
        {"type": one_of("file", "volume"), "index": NUMBER},
        {"format": Rule({"type": _FORMAT}), "source": _DISK_SOURCE, **deeper},
    )


_DISK: Final = Rule(
    {
        "type": one_of("file", "volume"),
        "device": one_of("disk", "cdrom", "floppy"),
        "model": one_of("virtio", "virtio-transitional", "virtio-non-transitional"),
        "snapshot": one_of("no", "internal", "external", "manual"),
    },
    {
        "driver": Rule(
            {
                "name": one_of("qemu"),
                "type": _FORMAT,
                "cache": one_of("default", "none", "writethrough", "writeback", "directsync", "unsafe"),
                "io": one_of("threads", "native", "io_uring"),
                "discard": one_of("unmap", "ignore"),
                "detect_zeroes": one_of("off", "on", "unmap"),
                "error_policy": one_of("stop", "report", "ignore", "enospace"),
                "rerror_policy": one_of("stop", "report", "ignore"),
                "queues": up_to(64),
                "queue_size": up_to(1024),
                **dict.fromkeys(("ioeventfd", "event_idx", "copy_on_read"), ON_OFF),
                **_VIRTIO_DRIVER,
            }
        ),
        "source": _DISK_SOURCE,
        "backingStore": _backing_store(16),
        "target": Rule(
            {
                "dev": matching(r"(vd|sd|hd|fd)[a-z]{1,3}", "a target such as vda"),
                "bus": one_of("virtio", "sata", "scsi", "ide", "usb", "fdc"),
                "tray": one_of("open", "closed"),
                "removable": ON_OFF,
                "rotation_rate": up_to(65535),
            }
        ),
        "readonly": Rule(),
        "shareable": Rule(),
        "serial": Rule(text=matching(r"[A-Za-z0-9_.+ -]{0,36}", "letters, digits and _ . + -")),
        "wwn": Rule(text=matching(r"[0-9a-fA-F]{16}", "16 hexadecimal digits")),
        "vendor": Rule(text=matching(r"[ -~]{0,8}", "at most 8 characters")),
        "product": Rule(text=matching(r"[ -~]{0,16}", "at most 16 characters")),
        "blockio": Rule(dict.fromkeys(("logical_block_size", "physical_block_size", "discard_granularity"), NUMBER)),
        **_BOOT,
        **_PLACE,
    },
)

# -- network cards -------------------------------------------------------------------------------------------------------

_INTERFACE: Final = Rule(
    {"type": interface_type},
    {
        "mac": Rule({"address": matching(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}", "a MAC address")}),
        "source": Rule({"network": network, "bridge": bridge}),
        # names that libvirt makes, and forgets when it stores a definition
        "target": Rule({"dev": matching(r"(vnet|testnet)[0-9]{1,9}", "no name; libvirt makes one")}),
        "model": Rule({"type": WORD}),
        "driver": Rule({"name": one_of("qemu", "vhost"), "queues": up_to(16), **_VIRTIO_DRIVER}),
        "link": Rule({"state": one_of("up", "down")}),
        "filterref": Rule(
            {"filter": WORD},
            {"parameter": many(Rule({"name": WORD, "value": matching(r"[A-Za-z0-9_.:/-]{1,128}", "a plain value")}))},
        ),
        "bandwidth": Rule(children=dict.fromkeys(("inbound", "outbound"), Rule(dict.fromkeys(("average", "peak", "burst"), NUMBER)))),
        **_BOOT,
        **_PLACE,
    },
    required=("type",),  # libvirt's default is the user network
)

# -- ports, consoles, channels -------------------------------------------------------------------------------------------

_PORT_TARGET: Final = Rule({"type": WORD, "port": _PORT}, {"model": Rule({"name": WORD})})
_TERMINAL: Final = Rule({"type": one_of("pty", "null")}, {"target": _PORT_TARGET, **_PLACE})
_CHANNEL: Final = Rule(
    {"type": one_of("unix", "spicevmc")},
    {
        # without a path libvirt makes the socket, in a folder of its own
        "source": Rule({"mode": one_of("bind")}),
        "target": Rule(
            {
                "type": one_of("virtio"),
                "name": one_of("org.qemu.guest_agent.0", "com.redhat.spice.0"),
                "state": one_of("connected", "disconnected"),
            }
        ),
        **_PLACE,
    },
)

# -- displays, input, sound ----------------------------------------------------------------------------------------------

_SWITCH: Final = Rule({"enable": YES_NO, "copypaste": YES_NO, "mode": WORD, "compression": WORD, "name": WORD})
_GRAPHICS: Final = Rule(
    {
        "type": one_of("vnc", "spice"),
        "autoport": YES_NO,
        "listen": listen_address,
        # QEMU takes a name with slashes for a file to read
        "keymap": matching(r"[a-z]{2}(-[a-z]{2,3})?", "a keymap such as de or en-us"),
        "passwd": anything,
        "passwdValidTo": matching(r"[0-9T:-]{1,32}", "a time such as 2030-01-31T12:00:00"),
        "connected": one_of("keep", "disconnect", "fail"),
        "sharePolicy": one_of("allow-exclusive", "force-shared", "ignore"),
        "defaultMode": one_of("any", "secure", "insecure"),
        **dict.fromkeys(("port", "tlsPort", "websocket"), _PORT),
    },
    {
        "listen": many(Rule({"type": one_of("address", "none"), "address": listen_address}, required=("type",))),
        "channel": many(_SWITCH),
        **dict.fromkeys(("image", "jpeg", "zlib", "playback", "streaming", "clipboard", "mouse", "filetransfer"), _SWITCH),
    },
    required=("type",),
)
_VIDEO_MEMORY: Final = up_to(1 << 20)  # KiB
_VIDEO: Final = Rule(
    children={
        "model": Rule(
            {
                "type": one_of("none", "vga", "cirrus", "qxl", "virtio", "bochs", "ramfb"),
                "heads": up_to(16),
                "primary": YES_NO,
                **dict.fromkeys(("vram", "vram64", "ram", "vgamem"), _VIDEO_MEMORY),
            },
            {"acceleration": Rule({"accel3d": one_of("no"), "accel2d": one_of("no")}), "resolution": Rule({"x": _PORT, "y": _PORT})},
        ),
        "driver": Rule({"name": one_of("qemu"), **_VIRTIO_DRIVER}),
        **_PLACE,
    }
)
_INPUT: Final = Rule({"type": one_of("mouse", "keyboard", "tablet"), "bus": one_of("ps2", "usb", "virtio"), "model": WORD}, {**_PLACE})

# -- all devices ---------------------------------------------------------------------------------------------------------

_CONTROLLER: Final = Rule(
    {
        "type": one_of("usb", "ide", "sata", "scsi", "virtio-serial", "pci", "fdc", "isa"),
        "index": NUMBER,
        "model": WORD,
        "ports": up_to(255),
        "vectors": up_to(255),
    },
    {
        "driver": Rule({"queues": up_to(64), "cmd_per_lun": NUMBER, "max_sectors": NUMBER, "ioeventfd": ON_OFF, **_VIRTIO_DRIVER}),
        "master": Rule({"startport": NUMBER}),
        "model": Rule({"name": WORD}),
        "target": Rule({**dict.fromkeys(("chassis", "chassisNr", "port", "busNr", "index"), NUMBER), "hotplug": ON_OFF}),
        "pcihole64": Rule({"unit": WORD}, text=NUMBER),
        **_PLACE,
    },
)

DEVICES: Final = Rule(
    children={
        "emulator": Rule(text=emulator),
        "disk": many(_DISK),
        "controller": many(_CONTROLLER),
        "interface": many(_INTERFACE),
        "serial": many(_TERMINAL),
        "console": many(_TERMINAL),
        "channel": many(_CHANNEL),
        "input": many(_INPUT),
        "graphics": many(_GRAPHICS),
        "video": many(_VIDEO),
        "audio": many(Rule({"id": NUMBER, "type": one_of("none", "spice")}, required=("type",))),
        "sound": many(Rule({"model": WORD}, {"codec": many(Rule({"type": WORD})), "audio": Rule({"id": NUMBER}), **_PLACE})),
        "hub": many(Rule({"type": one_of("usb")}, {**_PLACE})),
        "redirdev": many(Rule({"bus": one_of("usb"), "type": one_of("spicevmc")}, {**_BOOT, **_PLACE}, required=("type",))),
        "watchdog": many(
            Rule({"model": WORD, "action": one_of("reset", "shutdown", "poweroff", "pause", "none", "inject-nmi")}, {**_PLACE})
        ),
        "memballoon": Rule(
            {
                "model": one_of("virtio", "virtio-transitional", "virtio-non-transitional", "none"),
                "autodeflate": ON_OFF,
                "freePageReporting": ON_OFF,
            },
            {"stats": Rule({"period": NUMBER}), "driver": Rule(_VIRTIO_DRIVER), **_PLACE},
        ),
        "rng": many(
            Rule(
                {"model": one_of("virtio", "virtio-transitional", "virtio-non-transitional")},
                {
                    "rate": Rule({"bytes": NUMBER, "period": NUMBER}),
                    "backend": Rule(
                        {"model": one_of("random", "builtin")}, text=one_of("/dev/urandom", "/dev/random", ""), required=("model",)
                    ),
                    "driver": Rule(_VIRTIO_DRIVER),
                    **_PLACE,
                },
            )
        ),
        "tpm": Rule(
            {"model": one_of("tpm-tis", "tpm-crb")},
            {
                "backend": Rule(
                    {"type": one_of("emulator"), "version": one_of("1.2", "2.0"), "persistent_state": YES_NO}, required=("type",)
                ),
                **_PLACE,
            },
        ),
    }
)
