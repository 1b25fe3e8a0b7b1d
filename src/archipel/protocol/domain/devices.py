# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices of a domain, as far as they are declared, checked or shown; the names are libvirt's.

Properties whose names also stand in :mod:`archipel.protocol.domain.declaration` are what a person may declare.
"""

from __future__ import annotations

from archipel.protocol.domain.xml_model import Attribute, Child, Element, Presence, Text, Values
from archipel.protocol.domain.xml_values import INTEGER, ON_OFF, YES_NO


class Disk(Element, tag="disk"):
    """A hard disk, or a drive for CDs or floppies."""

    type = Attribute("type", default="file")
    device = Attribute("device", default="disk")
    path = Attribute("source/@file")
    block = Attribute("source/@dev")
    folder = Attribute("source/@dir")
    pool = Attribute("source/@pool")
    volume = Attribute("source/@volume")
    protocol = Attribute("source/@protocol")
    network_name = Attribute("source/@name")
    startup_policy = Attribute("source/@startupPolicy")
    driver = Attribute("driver/@name")
    format = Attribute("driver/@type")
    cache = Attribute("driver/@cache", default="default")
    io = Attribute("driver/@io")
    discard = Attribute("driver/@discard")
    target = Attribute("target/@dev")
    bus = Attribute("target/@bus")
    serial = Text("serial")
    boot_order = Attribute("boot/@order", INTEGER)
    readonly = Presence("readonly")
    shareable = Presence("shareable")
    alias = Attribute("alias/@name")


class Interface(Element, tag="interface"):
    """A network interface."""

    type = Attribute("type", default="network")
    mac = Attribute("mac/@address")
    network = Attribute("source/@network")
    bridge = Attribute("source/@bridge")
    host_device = Attribute("source/@dev")
    target = Attribute("target/@dev")
    model = Attribute("model/@type")
    vlan = Attribute("vlan/tag/@id", INTEGER)
    filter = Attribute("filterref/@filter")
    link = Attribute("link/@state")
    boot_order = Attribute("boot/@order", INTEGER)
    alias = Attribute("alias/@name")


class Graphics(Element, tag="graphics"):
    """A display that a viewer connects to."""

    type = Attribute("type", default="vnc")
    port = Attribute("port", INTEGER)
    tls_port = Attribute("tlsPort", INTEGER)
    websocket = Attribute("websocket", INTEGER)
    autoport = Attribute("autoport", YES_NO)
    listen_attribute = Attribute("listen")
    listen_type = Attribute("listen/@type")
    listen_address = Attribute("listen/@address")
    keymap = Attribute("keymap")
    password = Attribute("passwd")
    socket = Attribute("socket")


class VideoModel(Element, tag="model"):
    """What a graphics card is, and its memory in KiB."""

    type = Attribute("type")
    heads = Attribute("heads", INTEGER)
    vram = Attribute("vram", INTEGER)
    primary = Attribute("primary", YES_NO)


class Video(Element, tag="video"):
    """A graphics card."""

    model = Child("model", VideoModel)


class Serial(Element, tag="serial"):
    """A serial port, and where the host ends it."""

    type = Attribute("type", default="pty")
    path = Attribute("source/@path")
    port = Attribute("target/@port", INTEGER)
    target_type = Attribute("target/@type")
    log = Attribute("log/@file")


class Console(Element, tag="console"):
    """A console; libvirt adds one that stands for the first serial port."""

    type = Attribute("type", default="pty")
    path = Attribute("source/@path")
    tty = Attribute("tty")
    port = Attribute("target/@port", INTEGER)
    target_type = Attribute("target/@type", default="serial")
    log = Attribute("log/@file")


class Channel(Element, tag="channel"):
    """A channel between host and guest, such as that of the guest agent."""

    type = Attribute("type", default="unix")
    path = Attribute("source/@path")
    target_type = Attribute("target/@type")
    name = Attribute("target/@name")
    state = Attribute("target/@state")


class Input(Element, tag="input"):
    """A mouse, keyboard or tablet."""

    type = Attribute("type")
    bus = Attribute("bus")


class Address(Element, tag="address"):
    """Where a device sits on a bus of the guest; numbers are kept as written (often hexadecimal)."""

    type = Attribute("type")
    domain = Attribute("domain")
    bus = Attribute("bus")
    slot = Attribute("slot")
    function = Attribute("function")


class Controller(Element, tag="controller"):
    """A bus controller of the guest."""

    type = Attribute("type")
    index = Attribute("index", INTEGER)
    model = Attribute("model")
    address = Child("address", Address)


class Memballoon(Element, tag="memballoon"):
    """The device through which a running guest gives memory back; model ``none`` is its absence."""

    model = Attribute("model")


class Rng(Element, tag="rng"):
    """A source of random numbers."""

    model = Attribute("model")
    backend = Attribute("backend/@model")
    source = Text("backend")


class Tpm(Element, tag="tpm"):
    """A trusted platform module."""

    model = Attribute("model")
    backend = Attribute("backend/@type")
    version = Attribute("backend/@version")
    path = Attribute("backend/device/@path")


class Watchdog(Element, tag="watchdog"):
    """A timer that acts when the guest hangs."""

    model = Attribute("model")
    action = Attribute("action")


class Sound(Element, tag="sound"):
    """A sound card."""

    model = Attribute("model")


class Hostdev(Element, tag="hostdev"):
    """A device of the host given to the guest."""

    mode = Attribute("mode", default="subsystem")
    type = Attribute("type")
    managed = Attribute("managed", YES_NO)


class Filesystem(Element, tag="filesystem"):
    """A folder of the host shown to the guest."""

    type = Attribute("type", default="mount")
    source = Attribute("source/@dir")
    target = Attribute("target/@dir")
    readonly = Presence("readonly")


class Features(Element, tag="features"):
    """What the machine offers to its guest's firmware and kernel."""

    acpi = Presence("acpi")
    apic = Presence("apic")
    pae = Presence("pae")
    smm = Attribute("smm/@state", ON_OFF)
    vmport = Attribute("vmport/@state", ON_OFF)


class Cpu(Element, tag="cpu"):
    """The processor as the guest sees it."""

    mode = Attribute("mode", default="custom")
    match = Attribute("match")
    check = Attribute("check")
    migratable = Attribute("migratable", ON_OFF)
    model = Text("model")
    fallback = Attribute("model/@fallback")
    sockets = Attribute("topology/@sockets", INTEGER)
    cores = Attribute("topology/@cores", INTEGER)
    threads = Attribute("topology/@threads", INTEGER)


class OperatingSystem(Element, tag="os"):
    """What the machine starts, and with which firmware; paths are those of the host."""

    type = Text("type")
    arch = Attribute("type/@arch")
    machine = Attribute("type/@machine")
    firmware = Attribute("firmware")
    loader = Text("loader")
    loader_type = Attribute("loader/@type")
    loader_readonly = Attribute("loader/@readonly", YES_NO)
    loader_secure = Attribute("loader/@secure", YES_NO)
    nvram = Text("nvram")
    nvram_template = Attribute("nvram/@template")
    boot = Values("boot/@dev")
    kernel = Text("kernel")
    initrd = Text("initrd")
    cmdline = Text("cmdline")
    dtb = Text("dtb")
