# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: RUF009 (Section.option returns dataclasses.field, which is no shared default)
"""The agent's settings, each declared once: the reader, the reference page and the example file follow from this.

Sections and names are those of the founding agent where it had the option. Empty values count as absent.
"""

from __future__ import annotations

import enum
import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archipel.agent import options as kinds
from archipel.agent.options import Host, Option, Problem, Section, choice, declared_options, integer, list_of, optional, per_second, seconds
from archipel.agent.secret import Secret
from archipel.protocol.vcard import Organisation

DEFAULT = Section("DEFAULT")
GLOBAL = Section("GLOBAL")
HYPERVISOR = Section("HYPERVISOR")
VIRTUALMACHINE = Section("VIRTUALMACHINE")
STORAGE = Section("STORAGE")
POLICY = Section("POLICY")
VCARD = Section("VCARD")
LOGGING = Section("LOGGING")
LIMITS = Section("LIMITS")
FLAGS = "MODULES"  # the section whose options are capabilities, each True or False
# What was no module with the founders: their files say "restrictive" and name modules alone, and nobody means to switch these off.
CORE_CAPABILITIES = frozenset(
    {
        *("avatars", "clones", "contacts", "control", "definition", "host", "machines"),
        *("migration", "notices", "rights", "rules", "screenshots", "tags"),
    }
)
# Where the founders' flag is another word, or was for more.
FOUNDING_NAMES = {"scheduler": "action_scheduler", "health": "hypervisor_health", "network_filters": "hypervisor_network"}


class LoadingPolicy(enum.StrEnum):
    """Which installed capabilities are loaded: those set to True, or those not set to False."""

    PERMISSIVE = "permissive"
    RESTRICTIVE = "restrictive"


class LogFormat(enum.StrEnum):
    """How a log line looks."""

    TEXT = "text"
    JSON = "json"


class LogLevel(enum.StrEnum):
    """From which severity on a line is written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    WARN = "warn"  # founding files have this word, and the next
    ERROR = "error"
    CRITICAL = "critical"


@dataclass(frozen=True, kw_only=True)
class Places:
    """Names that other options are built from."""

    server: str = DEFAULT.option("xmpp_server", kinds.DOMAIN, "", "The XMPP domain; left out, it is that of hypervisor_xmpp_jid.")
    lib: Path = DEFAULT.option("archipel_folder_lib", kinds.PATH, "/var/lib/archipel", "Folder of the agent's own state.")
    data: Path = DEFAULT.option("archipel_folder_data", kinds.PATH, "/vm", "Folder of disks and images.")


@dataclass(frozen=True, kw_only=True)
class Xmpp:
    """The hypervisor's account, the server, and who is trusted on it.

    ``password`` is the secret itself, whether it stood in the file or in ``hypervisor_xmpp_password_file``.
    """

    jid: str = HYPERVISOR.option("hypervisor_xmpp_jid", kinds.ACCOUNT, "@HOSTNAME@@%(xmpp_server)s", "The hypervisor's account.")
    password: Secret = HYPERVISOR.option(
        "hypervisor_xmpp_password", kinds.SECRET, "", "Password of that account; better kept out of this file.", secret=True
    )
    password_file: Secret | None = HYPERVISOR.option(
        "hypervisor_xmpp_password_file", optional(kinds.SECRET_FILE), "", "File with the password, instead of the option above."
    )
    hosts: tuple[Host, ...] = GLOBAL.option(
        "xmpp_hosts", list_of(kinds.HOST), "", "Servers to connect to, tried in turn; left out, the domain's SRV records decide."
    )
    port: int | None = GLOBAL.option(
        "xmpp_port", optional(kinds.PORT), "", "Port of servers named without one; given without xmpp_hosts, it replaces SRV."
    )
    ca_file: Path | None = GLOBAL.option(
        "xmpp_ca_file", optional(kinds.EXISTING_FILE), "", "Authorities (PEM) that vouch for the server; left out, the system's."
    )
    insecure_plaintext: bool = GLOBAL.option(
        "insecure_plaintext", kinds.BOOLEAN, "False", "No TLS: whoever is on the way reads and changes everything. Tests only."
    )
    pubsub_service: str = GLOBAL.option(
        "xmpp_pubsub_server", kinds.DOMAIN, "pubsub.%(xmpp_server)s", "The PubSub service; notifications count from nowhere else."
    )
    root_admins: tuple[str, ...] = GLOBAL.option(
        "archipel_root_admins", list_of(kinds.ACCOUNT), "admin@%(xmpp_server)s", "Accounts that may do everything everywhere."
    )
    trusted_publishers: tuple[str, ...] = GLOBAL.option(
        "xmpp_trusted_publishers",
        list_of(kinds.ACCOUNT),
        "%(archipel_root_admins)s",
        "Accounts that may name administrators on /archipel/adminaccounts, and make rules for the platform on /archipel/rules.",
    )
    login_parallel: int = GLOBAL.option(
        "xmpp_login_parallel", integer(1, 300), "20", "How many entities log in at once: a restarted server is not stormed."
    )
    login_timeout: float = GLOBAL.option(
        "xmpp_login_timeout", seconds(1, 300), "30", "Time from connecting to a session; then the attempt is given up."
    )
    probe_interval: float = GLOBAL.option(
        "xmpp_probe_interval", seconds(0.1, 300), "2", "Least time between two attempts to reach a server that is down."
    )

    @property
    def domain(self) -> str:
        """The domain of the hypervisor's account, which its machines share."""
        return self.jid.partition("@")[2]

    @property
    def endpoints(self) -> tuple[tuple[str | None, int | None], ...]:
        """Host and port to try, in turn; a single ``(None, None)`` where DNS decides."""
        if self.hosts:
            return tuple((host.name, host.port or self.port or 5222) for host in self.hosts)
        return ((self.domain, self.port),) if self.port else ((None, None),)


@dataclass(frozen=True, kw_only=True)
class Hypervisor:
    """How the hypervisor presents itself."""

    name: str = HYPERVISOR.option("hypervisor_name", kinds.TEXT, "auto", "Its displayed name; auto is the host's name.")
    machine_ip: str = GLOBAL.option(
        "machine_ip", kinds.MACHINE_IP, "auto", "The address it tells; gateway_interface is that of the default route's interface."
    )


@dataclass(frozen=True, kw_only=True)
class Libvirt:
    """The way to libvirt."""

    uri: str = GLOBAL.option("libvirt_uri", kinds.WORD, "qemu:///system", "Connection URI of the local libvirt.")
    pool_size: int = GLOBAL.option("libvirt_pool_size", integer(1, 16), "8", "How many calls run at once, a thread each.")
    change_timeout: float = GLOBAL.option(
        "libvirt_change_timeout", seconds(1, 3600), "60", "Time for a change, such as a start; after it nobody knows what became of it."
    )


@dataclass(frozen=True, kw_only=True)
class Machines:
    """Virtual machines: folders, names, accounts."""

    base_path: Path = VIRTUALMACHINE.option(
        "vm_base_path", kinds.PATH, "%(archipel_folder_data)s/drives", "Each machine has a folder here, named by its UUID."
    )
    iso_folders: tuple[Path, ...] = STORAGE.option(
        "iso_base_path", list_of(kinds.PATH, blanks=False), "%(archipel_folder_data)s/iso", "Folders of images for CD drives."
    )
    golden_folders: tuple[Path, ...] = STORAGE.option(
        "golden_drives_dir", list_of(kinds.PATH, blanks=False), "%(archipel_folder_data)s/goldens", "Folders of golden disks."
    )
    allow_blank_space: bool = VIRTUALMACHINE.option(
        "allow_blank_space_in_vm_name", kinds.BOOLEAN, "True", "Whether names keep their blanks; if not, a hyphen stands for each."
    )
    password_size: int = VIRTUALMACHINE.option(
        "xmpp_password_size", integer(32, 128), "32", "Length of the passwords made for machines' accounts, in characters."
    )
    disable_screenshot: bool = VIRTUALMACHINE.option(
        "disable_screenshot", kinds.BOOLEAN, "False", "Whether nobody sees machines' screens: pictures of them are empty answers then."
    )


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What a definition may use although its author lacks the right ``domain_policy_bypass``; entries are shell patterns."""

    networks: tuple[str, ...] = POLICY.option(
        "allowed_networks", list_of(kinds.PATTERN), "default", "libvirt networks that every machine may use."
    )
    bridges: tuple[str, ...] = POLICY.option(
        "allowed_bridges", list_of(kinds.PATTERN), "", "Bridges of the host that every machine may use."
    )
    pools: tuple[str, ...] = POLICY.option(
        "allowed_pools", list_of(kinds.PATTERN), "", "libvirt storage pools where disks of every machine may lie."
    )
    max_vcpus: int | None = POLICY.option(
        "max_vcpus", optional(integer(1, 4096)), "", "Most processors of a machine; left out, as many as the host has."
    )
    max_memory: int | None = POLICY.option(
        "max_memory", optional(integer(1, 2**30)), "", "Most memory of a machine, in MiB; left out, as much as the host has."
    )

    def allows_network(self, name: str) -> bool:
        """Whether a machine may be attached to the libvirt network ``name``."""
        return _matches(name, self.networks)

    def allows_bridge(self, name: str) -> bool:
        """Whether a machine may be attached to the host's bridge ``name``."""
        return _matches(name, self.bridges)

    def allows_pool(self, name: str) -> bool:
        """Whether a machine's disks may lie in the storage pool ``name``."""
        return _matches(name, self.pools)


@dataclass(frozen=True, kw_only=True)
class VCard:
    """What vCards say where a machine says nothing else."""

    orgname: str = VCARD.option("orgname", kinds.TEXT, "", "Organisation.")
    orgunit: str = VCARD.option("orgunit", kinds.TEXT, "", "Unit of the organisation.")
    userid: str = VCARD.option("userid", kinds.TEXT, "", "Owner, as a mail address.")
    locality: str = VCARD.option("locality", kinds.TEXT, "", "Place.")
    url: str = VCARD.option("url", kinds.TEXT, "", "Web page.")
    categories: str = VCARD.option("categories", kinds.TEXT, "", "Free words.")
    use_avatar: bool = GLOBAL.option("use_avatar", kinds.BOOLEAN, "True", "Whether vCards carry a picture.")
    avatar_folder: Path = GLOBAL.option(
        "machine_avatar_directory", kinds.PATH, "%(archipel_folder_lib)s/avatars", "Folder of the pictures."
    )
    hypervisor_avatar: str = HYPERVISOR.option(
        "hypervisor_default_avatar",
        kinds.FILE_NAME,
        "defaulthypervisor.png",
        "The hypervisor's picture; if the file is missing, a packaged one.",
    )
    machine_avatar: str = VIRTUALMACHINE.option(
        "vm_default_avatar", kinds.FILE_NAME, "defaultvm.png", "A machine's first picture; if missing, a packaged one."
    )

    @property
    def organisation(self) -> Organisation:
        """The organisation fields, as vCards and new machines carry them."""
        return Organisation(self.orgname, self.orgunit, self.locality, self.userid, self.categories)


@dataclass(frozen=True, kw_only=True)
class State:
    """What the agent must not forget."""

    database: Path = HYPERVISOR.option(
        "hypervisor_database_path", kinds.PATH, "%(archipel_folder_lib)s/archipel.sqlite3", "Machines, their passwords and all rights."
    )


@dataclass(frozen=True, kw_only=True)
class Logging:
    """What is written down, and where."""

    level: LogLevel = LOGGING.option("logging_level", choice(LogLevel), "info", "Least severity that is logged.")
    format: LogFormat = LOGGING.option("logging_format", choice(LogFormat), "text", "A line for people, or a JSON object a line.")
    file: Path | None = LOGGING.option(
        "logging_file_path", optional(kinds.PATH), "", "Log file; left out, the log goes to standard error (under systemd: the journal)."
    )
    audit_file: Path = LOGGING.option(
        "audit_log_path", kinds.PATH, "/var/log/archipel/audit.log", "Who did what on which entity, by which right: JSON lines."
    )


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one sender may ask of one entity, and all senders together of the agent; rates are requests per second."""

    rate: float = LIMITS.option(
        "request_rate", per_second(0.1, 10_000), "100", "Requests per second that somebody known may send to an entity."
    )
    burst: int = LIMITS.option("request_burst", integer(1, 100_000), "2000", "As many he may send at once, after a rest.")
    admin_rate: float = LIMITS.option("admin_request_rate", per_second(0.1, 10_000), "500", "The same for administrators.")
    admin_burst: int = LIMITS.option("admin_request_burst", integer(1, 100_000), "5000", "As many they may send at once.")
    stranger_rate: float = LIMITS.option(
        "stranger_request_rate", per_second(0.1, 10_000), "5", "The same for who is not known to the entity."
    )
    stranger_burst: int = LIMITS.option("stranger_request_burst", integer(1, 100_000), "50", "As many they may send at once.")
    under_way: int = LIMITS.option(
        "requests_under_way", integer(10, 10_000), "400", "Most requests that the agent works on at once; no sender gets more than half."
    )
    waiting: int = LIMITS.option(
        "requests_waiting", integer(10, 100_000), "10000", "Most that wait for that; then only who has none waiting may add one."
    )


@dataclass(frozen=True, kw_only=True)
class Modules:
    """Which capabilities are loaded."""

    folder: Path = GLOBAL.option(
        "modules_configuration_path", kinds.PATH, "/etc/archipel/modules.d", "Every *.conf in this folder is read as well."
    )
    policy: LoadingPolicy = GLOBAL.option(
        "module_loading_policy",
        choice(LoadingPolicy),
        "permissive",
        f"restrictive loads what [{FLAGS}] sets to True and what no agent does without, permissive what it does not set to False.",
    )


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings of an agent, checked.

    ``hostname`` is the host's name, which is also the hypervisor's XMPP resource; ``flags`` holds [MODULES];
    ``capabilities`` maps a capability's name to its own settings; ``warnings`` are for the log.
    """

    hostname: str
    places: Places
    xmpp: Xmpp
    hypervisor: Hypervisor
    libvirt: Libvirt
    machines: Machines
    policy: Policy
    vcard: VCard
    state: State
    logging: Logging
    limits: Limits
    modules: Modules
    flags: Mapping[str, bool]
    capabilities: Mapping[str, Any]
    warnings: tuple[Problem, ...] = ()

    def loads(self, capability: str) -> bool:
        """Whether the capability of that name is to be loaded."""
        name = capability.lower()
        flag = self.flags.get(name, self.flags.get(FOUNDING_NAMES.get(name, "")))
        if flag is not None:
            return flag
        return name in CORE_CAPABILITIES or self.modules.policy is LoadingPolicy.PERMISSIVE


CONCERNS: Mapping[str, type[Any]] = {
    "places": Places,
    "xmpp": Xmpp,
    "hypervisor": Hypervisor,
    "libvirt": Libvirt,
    "machines": Machines,
    "policy": Policy,
    "vcard": VCard,
    "state": State,
    "logging": Logging,
    "limits": Limits,
    "modules": Modules,
}

OPTIONS: tuple[Option, ...] = tuple(found for name, concern in CONCERNS.items() for found in declared_options(concern, name))


def option_of(attribute: str) -> Option:
    """Return the option behind a setting such as ``libvirt.uri``, to name it in a message."""
    return next(found for found in OPTIONS if found.attribute == attribute)


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
