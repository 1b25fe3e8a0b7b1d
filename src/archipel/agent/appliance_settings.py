# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: RUF009 (Section.option returns dataclasses.field, which is no shared default)
"""Options of appliances: where they lie, where they may come from, how the host's own feed looks."""

from __future__ import annotations

import enum
import uuid as uuids
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from archipel.agent import options as kinds
from archipel.agent.metrics_listener import ADDRESS, LOOPBACK
from archipel.agent.options import Host, Kind, Section, choice, integer, optional, seconds
from archipel.agent.settings import DEFAULT
from archipel.protocol.appliances import proper_url

CASTS: Final = Section("VMCASTING")
GIBIBYTE: Final = 1 << 30
NAME: Final = "hypervisor_vmcasts"  # in [MODULES]


def _parse_uuid(text: str) -> str:
    try:
        return str(uuids.UUID(text))
    except ValueError:
        raise ValueError(f"{text!r} is no UUID") from None


def _parse_url(text: str) -> str:
    if wrong := proper_url(text):
        raise ValueError(wrong)
    return text.rstrip("/")


def _parse_endings(text: str) -> tuple[str, ...]:
    endings = tuple(dict.fromkeys(word.strip().lower() for word in text.replace(",", ";").split(";") if word.strip()))
    for ending in endings:
        if not ending.startswith(".") or "/" in ending or len(ending) < 2:
            raise ValueError(f"{ending!r} is no ending of a file's name such as .qcow2")
    return endings


UUID: Final = Kind("a UUID", _parse_uuid)
URL: Final = Kind("an address that begins with https:// or http://", _parse_url)
ENDINGS: Final = Kind("endings of files' names, several with a semicolon between them", _parse_endings)


class Runner(enum.StrEnum):
    """libvirt's word for who runs a machine."""

    KVM = "kvm"
    QEMU = "qemu"


@dataclass(frozen=True, kw_only=True)
class ApplianceSettings:
    """Appliances of a host."""

    general_uuid: str | None = DEFAULT.option("archipel_general_uuid", optional(UUID), "", "Identity of the host's own feed of appliances.")
    repository: Path = CASTS.option("repository_path", kinds.PATH, "%(archipel_folder_data)s/repo", "Folder of downloaded appliances.")
    temporary: Path = CASTS.option(
        "temp_path", kinds.PATH, "%(archipel_folder_data)s/tmp", "Folder where appliances are unpacked and packed."
    )
    own_name: str = CASTS.option(
        "own_vmcast_name", kinds.TEXT, "Local VM casts of $HOSTNAME", "Name of the own feed; $HOSTNAME is the host's name."
    )
    own_description: str = CASTS.option(
        "own_vmcast_description",
        kinds.TEXT,
        "This is the own vmcast feed of the hypervisor $HOSTNAME",
        "Description of the own feed.",
    )
    own_uuid: str | None = CASTS.option(
        "own_vmcast_uuid", optional(UUID), "", "Identity of the own feed; left out, archipel_general_uuid, or one is made and kept."
    )
    own_url: str = CASTS.option("own_vmcast_url", URL, "http://127.0.0.1:8088/vmcasts/", "Where others find the packages of the own feed.")
    own_file: str = CASTS.option("own_vmcast_file_name", kinds.FILE_NAME, "rss.xml", "File of the own feed.")
    own_language: str = CASTS.option("own_vmcast_lang", kinds.WORD, "en-us", "Language of the own feed.")
    own_folder: Path = CASTS.option(
        "own_vmcast_path", kinds.PATH, "%(archipel_folder_data)s/vmcasts/", "Folder of packages of this host, and of the own feed."
    )
    own_interval: float = CASTS.option(
        "own_vmcast_refresh_interval", seconds(1, 86400), "60", "Time after which the own feed is written anew."
    )
    own_listen: Host | None = CASTS.option(
        "own_vmcast_listen", optional(LOOPBACK), "", "Where the agent itself serves the own feed to this host: 127.0.0.1:8088."
    )
    insecure_own_listen: Host | None = CASTS.option(
        "insecure_own_vmcast_listen", optional(ADDRESS), "", "The same for other hosts: whoever reaches the port reads all packages."
    )
    endings: tuple[str, ...] = CASTS.option(
        "disks_extensions", ENDINGS, ".qcow2;.qcow;.img;.iso", "What is a drive in a package although its definition does not name it."
    )
    compress: bool = CASTS.option("should_gzip_drives", kinds.BOOLEAN, "True", "Whether drives in packages are compressed.")
    ignore_wish: bool = CASTS.option("ignore_user_gzip_choice", kinds.BOOLEAN, "False", "Whether that counts even for who asks otherwise.")
    private: bool = CASTS.option(
        "allow_private_feeds", kinds.BOOLEAN, "False", "Whether feeds and appliances may come from private addresses (10.0.0.0/8, ...)."
    )
    plain: bool = CASTS.option(
        "insecure_http_feeds", kinds.BOOLEAN, "False", "Whether http will do: whoever is on the way changes what is installed."
    )
    authorities: Path | None = CASTS.option(
        "vmcasting_ca_file", optional(kinds.EXISTING_FILE), "", "Authorities (PEM) that vouch for feeds; left out, the system's."
    )
    import_runner: Runner | None = CASTS.option(
        "import_domain_type",
        optional(choice(Runner)),
        "",
        "What runs machines made from plain images and OVA files; left out, kvm where the host has it.",
    )
    import_network: str = CASTS.option(
        "import_network", kinds.TEXT, "default", "libvirt network of the cards of machines made from plain images and OVA files."
    )
    import_memory: int = CASTS.option("import_memory", integer(64, 1 << 20), "1024", "Memory of a machine made from a plain image, in MiB.")
    import_vcpus: int = CASTS.option("import_vcpus", integer(1, 1024), "1", "Processors of a machine made from a plain image.")
    most_gibibytes: int = CASTS.option("largest_appliance", integer(1, 100_000), "100", "Most GiB of an appliance, downloaded or unpacked.")

    @property
    def most_bytes(self) -> int:
        """Most bytes of an appliance."""
        return self.most_gibibytes * GIBIBYTE

    @property
    def addresses(self) -> tuple[Host, ...]:
        """Where the own feed is served."""
        return tuple(host for host in (self.own_listen, self.insecure_own_listen) if host is not None)
