# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each of the founders' options changes: another value than that of the other tests, and what is seen of it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest import mock
from xml.etree import ElementTree as ET

from archipel.agent import daemon, geolocation, packaging, plugins
from archipel.agent.appliance_package import unpack
from archipel.agent.appliance_repository import Repository, repository_of
from archipel.agent.appliances import temporary_folder
from archipel.agent.capabilities import hypervisor_vmcasts as casts
from archipel.agent.config import load_settings, parse_settings
from archipel.agent.drive_work import work_on
from archipel.agent.geolocation import PlaceFinder
from archipel.agent.health_collector import Collector
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.logs import configure_logging
from archipel.agent.rights import Rights
from archipel.agent.secret import Secret
from archipel.agent.services import Services
from archipel.agent.settings import FLAGS, FOUNDING_NAMES, Settings
from archipel.agent.store import MachineRecord, Phase
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol import namespaces as ns
from archipel.protocol.appliances import PackageMachine
from archipel.protocol.errors import CommandError
from archipel.protocol.rights import EntityKind
from tests.unit.agent.conftest import ask, go_online
from tests.unit.agent.fake_xmpp import FakeXmpp
from tests.unit.agent.fakes import ADMIN, OTHER_UUID, SETTINGS, declared_settings, domain_xml
from tests.unit.agent.feed_house import ITEM_UUID, pack

PLACE = b"<Response><Latitude>48.85</Latitude><Longitude>2.35</Longitude></Response>"
PICTURE = Path(plugins.__file__).with_name("avatars") / "defaultvm.png"
SECRET = "other-secret"


@dataclass
class House:
    """An agent, not connected yet, with a configuration; ``folder`` is where all its files lie."""

    text: str
    folder: Path
    services: Services
    xmpp: FakeXmpp

    @cached_property
    def settings(self) -> Settings:
        return parse_settings(self.text, hostname="host1", capabilities=declared_settings())

    @cached_property
    def hypervisor(self) -> Hypervisor:
        return Hypervisor(replace(self.services, settings=self.settings))

    @cached_property
    def machine(self) -> VirtualMachine:
        record = MachineRecord(uuid=OTHER_UUID, name="web", password=Secret("machine"), phase=Phase.ACTIVE)
        return self.hypervisor.adopt_record(record)

    @cached_property
    def repository(self) -> Repository:
        return repository_of(self.hypervisor)

    async def ask(self, namespace: str, command: str) -> ET.Element:
        return await ask(self.hypervisor, namespace, command, ADMIN)

    async def close(self) -> None:
        if "hypervisor" in vars(self):
            for entity in (*self.hypervisor.machines.values(), self.hypervisor):
                await entity.close()


See = Callable[[House], Awaitable[object]]


@dataclass(frozen=True)
class Effect:
    """Another value of an option, what is looked at, and what is then seen and was not before; ``{{folder}}`` stands in value and sight.

    ``without`` are options of the other tests' configuration that would hide it, ``beside`` further lines.
    """

    section: str
    name: str
    value: str
    see: See
    seen: object
    without: tuple[str, ...] = ()
    beside: str = ""

    def configuration(self, folder: Path, *, changed: bool) -> str:
        text = SETTINGS.format(folder=folder, more=self.beside.format(folder=folder))
        for name in (self.name, *self.without):
            if changed or name != self.name:
                text = re.sub(rf"(?m)^{name} = .*\n", "", text)
        return text + (f"[{self.section}]\n{self.name} = {self.value.format(folder=folder)}\n" if changed else "")


# -- what is seen -------------------------------------------------------------------------------------------------------


async def account(house: House) -> str:
    return house.hypervisor.bare


async def database(house: House) -> list[str]:
    """Where the agent's state lies when it has started."""
    async with daemon.open_services(house.settings):
        return [str(file) for file in house.folder.rglob("*.sqlite3")]


async def folder_of_machine(house: House) -> str:
    return str(house.machine.folder)


async def pubsub(house: House) -> set[str]:
    """Whom the entity's PubSub requests go to."""
    asked: set[str] = set()

    def note(stream: Any, iq: ET.Element) -> ET.Element:
        if ns.PUBSUB in iq[0].tag:
            asked.add(iq.get("to", ""))
        return FakeXmpp.answer(house.xmpp, stream, iq)

    with mock.patch.object(house.xmpp, "answer", note):
        await go_online(house.hypervisor)
    return asked


async def boss_may(house: House) -> bool:
    rights = await Rights.load(house.services.store, house.services.rights.catalogue, house.settings.xmpp.root_admins)
    return Hypervisor(replace(house.services, settings=house.settings, rights=rights)).decide("boss@lab.example", "alloc").allowed


async def address(house: House) -> str:
    return (await house.ask(ns.HYPERVISOR_CONTROL, "<archipel action='ip'/>"))[0].text or ""


async def card(house: House) -> set[str]:
    """The texts of the vCard, and the names of what it holds."""
    await go_online(house.hypervisor)
    return {word for part in house.xmpp.vcards["hyp@lab.example"].iter() for word in (part.text or "", part.tag.rpartition("}")[2])}


def on_card(word: str) -> See:
    async def see(house: House) -> bool:
        return word in await card(house)

    return see


async def faces(house: House) -> bool:
    """Whether the picture in a folder of one's own is among those to choose from."""
    (house.folder / "faces").mkdir(parents=True)
    (house.folder / "faces" / "mine.png").write_bytes(PICTURE.read_bytes())
    answer = await house.ask(ns.AVATAR, "<archipel action='getavatars'/>")
    return any(part.get("name") == "mine.png" for part in answer.iter())


def picture(of: Callable[[House], bytes]) -> See:
    async def see(house: House) -> bool:
        folder, mine = house.settings.vcard.avatar_folder, PICTURE.read_bytes() + b"mine"
        folder.mkdir(parents=True)
        (folder / "mine.png").write_bytes(mine)
        return of(house) == mine

    return see


async def libvirt_uri(house: House) -> str:
    return daemon._connect_libvirt(house.settings.libvirt).uri


async def migration_uri(house: House) -> str:
    answer = await house.ask(ns.HYPERVISOR_CONTROL, "<archipel action='migrationinfo'/>")
    return answer[0].get("libvirt_uri", "")


async def address_of_folder(house: House) -> str:
    """The option that stands in a file of the folder of modules."""
    (house.folder / "mine.d").mkdir(parents=True)
    (house.folder / "mine.d" / "x.conf").write_text("[VCARD]\norgunit = from the folder\n")
    (house.folder / "archipel.conf").write_text(house.text)
    return load_settings((house.folder / "archipel.conf",), capabilities=declared_settings()).vcard.orgunit


async def logs_in(house: House) -> bool:
    house.xmpp.accounts["hyp"] = SECRET
    house.hypervisor.start()
    for _ in range(300):
        await asyncio.sleep(0)
    return house.hypervisor.online.is_set()


async def make(house: House, name: str) -> str:
    """Have a machine made; its UUID."""
    await go_online(house.hypervisor)
    made = await house.ask(ns.HYPERVISOR_CONTROL, f"<archipel action='alloc' name='{name} {house.folder.name}'/>")
    return made[0].get("jid", "").partition("@")[0]


async def made_password(house: House) -> int:
    """How long the password of a new machine's account is."""
    return len(house.xmpp.accounts[await make(house, "web")])


async def made_name(house: House) -> str:
    return house.hypervisor.machines[await make(house, "my web")].name


async def logged(house: House) -> list[str]:
    """What is in the log files after a line of each of two severities."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure_logging(house.settings.logging)
    for severity in (logging.DEBUG, logging.CRITICAL):
        logging.getLogger("archipel.x").log(severity, "a line")
    made = root.handlers[:]
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(False)
    for handler in made:
        handler.close()
    return [file.name for file in house.folder.rglob("*.log") for line in file.read_text().splitlines() if "a line" in line]


def capability(name: str) -> See:
    """Whether the actions of a capability are served."""

    async def see(house: House) -> bool:
        _catalogue, registry = plugins.load(house.settings)
        files = {found.handler.__module__ for kind in EntityKind for found in registry.commands(kind)}
        return f"archipel.agent.capabilities.{name}" in files

    return see


async def place(house: House) -> str:
    """Where the host stands, and who was asked."""
    asked: list[str] = []
    with mock.patch.object(geolocation, "download", lambda url: asked.append(url) or PLACE):
        try:
            found = await PlaceFinder(house.settings.capabilities["geolocalization"]).find()
        except CommandError as error:
            return str(error)
    return " ".join([*asked, str(found.latitude), str(found.longitude)])


async def sampled(house: House) -> set[float]:
    """The spans between samples of the host."""
    spans: set[float] = set()

    async def note(_work: object, interval: float) -> None:
        spans.add(interval)

    collector = Collector(house.hypervisor, house.settings.capabilities["health"])
    with mock.patch("archipel.agent.health_collector._repeat", note), mock.patch("archipel.agent.health_collector.FIRST_SPAN", 0):
        await collector.run()
    return spans


def images(action: str) -> See:
    """Whether an image in a folder of one's own is offered."""

    async def see(house: House) -> bool:
        (house.folder / "mine").mkdir(parents=True)
        (house.folder / "mine" / "an-image.iso").write_bytes(b"x")
        (house.folder / "mine" / "an-image.qcow2").write_bytes(b"x")
        answer = await ask(house.machine, ns.VM_DISK, f"<archipel action='{action}'/>", ADMIN)
        return any(part.get("name", "").startswith("an-image") for part in answer)

    return see


DRIVE = "<archipel action='create' name='x' size='1' unit='M' format='qcow2' preallocation='metadata'/>"


async def preallocated(house: House) -> bool:
    """Whether the metadata of a new drive is allocated, by who asks for that."""
    seen: list[bool] = []

    async def create(made: Path, *_: object, preallocate: bool, **_more: object) -> None:
        seen.append(preallocate)
        await asyncio.to_thread(made.write_bytes, b"")

    with mock.patch.object(work_on(house.hypervisor).qemu_img, "create", create):
        await ask(house.machine, ns.VM_DISK, DRIVE, ADMIN)
    return seen == [True]


async def complaint(house: House) -> bool:
    """Whether the program that the option names, which is not there, is what is missed."""
    try:
        await ask(house.machine, ns.VM_DISK, DRIVE, ADMIN)
    except CommandError as error:
        return f"{house.folder}/no-program is missing" in str(error)
    return False


async def repository(house: House) -> str:
    return str(house.repository.file_of(ITEM_UUID).parent)


async def unpacked(house: House) -> str:
    async with temporary_folder(house.repository) as folder:
        return str(folder.parent)


async def feeds(house: House) -> dict[str, bytes]:
    """The files of feeds that the agent wrote."""
    file = house.repository.settings.own_folder / "a.xvm2"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"x")
    await casts.refresh_own_feed(house.hypervisor)
    return {str(found): found.read_bytes() for found in house.folder.rglob("*") if found.is_file() and b"<rss" in found.read_bytes()}


async def files_of_feed(house: House) -> list[str]:
    return list(await feeds(house))


def in_feed(*path: str) -> See:
    """The text of an element of the own feed."""

    async def see(house: House) -> str:
        [content] = (await feeds(house)).values()
        return ET.fromstring(content).findtext("/".join(("channel", *path))) or ""

    return see


async def refreshed(house: House) -> list[float]:
    """How long the agent waits before it writes the feed again."""
    waits: list[float] = []

    async def wait(seconds: float) -> None:
        waits.append(seconds)
        raise asyncio.CancelledError

    with mock.patch("asyncio.sleep", wait), contextlib.suppress(asyncio.CancelledError):
        await casts.keep_own_feed(house.hypervisor)
    return waits


async def unnamed_drives(house: House) -> list[str]:
    """The drives of a package whose definition names none of them."""
    package, folder = house.folder / "x.xvm2", house.folder / "unpacked"
    folder.mkdir(parents=True)
    package.write_bytes(pack({"description.xml": domain_xml().encode(), "data.special": b"x", "readme.txt": b"x"}))
    with contextlib.suppress(CommandError):
        return list(unpack(package, folder, house.repository.settings.endings, 1 << 20).drives)
    return []


def compressed(wish: bool | None) -> See:
    """Whether a package's drives would be compressed."""

    async def see(house: House) -> bool:
        house.services.host.domain(OTHER_UUID).stored = domain_xml("web", OTHER_UUID)  # type: ignore[attr-defined] # a fake host
        plan = await packaging._plan(house.machine, house.repository, PackageMachine(name="web", gzip=wish))
        return plan.compress

    return see


# -- all of them --------------------------------------------------------------------------------------------------------

AUTO = "[GEOLOCALIZATION]\nlocalization_mode = auto\n"
SERVICE = "localization_service_url = https://place.example\n"
MANUAL = "[GEOLOCALIZATION]\nlocalization_latitude = 45\nlocalization_longitude = 6\n"
OTHER = "5a5d23ef-0b0e-4a3c-8b5a-04a0c9b7c2f1"

CORE = (
    Effect("DEFAULT", "xmpp_server", "other.example", account, "host1@other.example", ("hypervisor_xmpp_jid",)),
    Effect("DEFAULT", "archipel_folder_lib", "{folder}/state", database, ["{folder}/state/archipel.sqlite3"]),
    Effect("DEFAULT", "archipel_general_uuid", OTHER, in_feed("uuid"), OTHER),
    Effect("DEFAULT", "archipel_folder_data", "{folder}/disks", folder_of_machine, f"{{folder}}/disks/drives/{OTHER_UUID}"),
    Effect("GLOBAL", "xmpp_pubsub_server", "events.lab.example", pubsub, {"events.lab.example"}),
    Effect("GLOBAL", "archipel_root_admins", "boss@%(xmpp_server)s", boss_may, True),
    Effect("GLOBAL", "machine_ip", "198.51.100.9", address, "198.51.100.9"),
    Effect("GLOBAL", "use_avatar", "True", on_card("PHOTO"), True),
    Effect("GLOBAL", "machine_avatar_directory", "{folder}/faces", faces, True),
    Effect("GLOBAL", "libvirt_uri", "qemu:///session", libvirt_uri, "qemu:///session"),
    Effect("GLOBAL", "migration_uri", "qemu+tls://other/system", migration_uri, "qemu+tls://other/system"),
    Effect("GLOBAL", "modules_configuration_path", "{folder}/mine.d", address_of_folder, "from the folder"),
    *(
        Effect("VCARD", name, f"mine-{name}@a.example", on_card(f"mine-{name}@a.example"), True)
        for name in ("orgname", "orgunit", "userid", "locality", "url", "categories")
    ),
    Effect("HYPERVISOR", "hypervisor_xmpp_jid", "rack@lab.example", account, "rack@lab.example"),
    Effect("HYPERVISOR", "hypervisor_xmpp_password", SECRET, logs_in, True),
    Effect("HYPERVISOR", "hypervisor_name", "Rack 7", on_card("Rack 7"), True),
    Effect("HYPERVISOR", "hypervisor_database_path", "{folder}/mine.sqlite3", database, ["{folder}/mine.sqlite3"]),
    Effect("HYPERVISOR", "hypervisor_default_avatar", "mine.png", picture(lambda house: house.hypervisor.avatar()), True),
    Effect("VIRTUALMACHINE", "vm_base_path", "{folder}/machines", folder_of_machine, f"{{folder}}/machines/{OTHER_UUID}"),
    Effect("VIRTUALMACHINE", "vm_default_avatar", "mine.png", picture(lambda house: house.machine.avatar()), True),
    Effect("VIRTUALMACHINE", "xmpp_password_size", "40", made_password, 40),
    Effect("VIRTUALMACHINE", "allow_blank_space_in_vm_name", "False", made_name, "my-web-after"),
    Effect("LOGGING", "logging_level", "debug", logged, ["x.log"] * 2, beside="[LOGGING]\nlogging_file_path = {folder}/x.log\n"),
    Effect("LOGGING", "logging_file_path", "{folder}/mine.log", logged, ["mine.log"]),
)
MODULES = tuple(
    Effect(FLAGS, FOUNDING_NAMES.get(name, name), "False", capability(name), False)
    for name in (
        *("scheduler", "geolocalization", "health", "hypervisor_network", "oomkiller", "snapshoting", "storage", "vnc"),
        *("hypervisor_vmcasts", "virtualmachine_appliance", "vmparking", "xmppserver"),
    )
)
GEOLOCALIZATION = (
    Effect("GEOLOCALIZATION", "localization_mode", "auto", place, "https://place.example 48.85 2.35", beside=MANUAL + SERVICE),
    Effect(
        "GEOLOCALIZATION", "localization_latitude", "-33.9", place, "-33.9 6.0", beside=MANUAL.replace("localization_latitude = 45\n", "")
    ),
    Effect(
        "GEOLOCALIZATION", "localization_longitude", "18.4", place, "45.0 18.4", beside=MANUAL.replace("localization_longitude = 6\n", "")
    ),
    Effect("GEOLOCALIZATION", "localization_service_url", "https://other.example", place, "https://other.example 48.85 2.35", beside=AUTO),
    Effect("GEOLOCALIZATION", "localization_service_request", "/ip", place, "https://place.example/ip 48.85 2.35", beside=AUTO + SERVICE),
)
HEALTH = (Effect("HEALTH", "health_collection_interval", "7", sampled, {7.0, 15.0, 60.0}),)
STORAGE = (
    Effect("STORAGE", "iso_base_path", "{folder}/mine", images("getiso"), True),
    Effect("STORAGE", "golden_drives_dir", "{folder}/mine", images("getgolden"), True),
    Effect("STORAGE", "use_metadata_preallocation", "False", preallocated, False),
    Effect("STORAGE", "qemu_img_bin_path", "{folder}/no-program", complaint, True),
)
CASTS = (
    Effect("VMCASTING", "repository_path", "{folder}/mine", repository, "{folder}/mine"),
    Effect("VMCASTING", "temp_path", "{folder}/mine", unpacked, "{folder}/mine"),
    Effect("VMCASTING", "own_vmcast_name", "Casts of $HOSTNAME", in_feed("title"), "Casts of host1"),
    Effect("VMCASTING", "own_vmcast_description", "All of $HOSTNAME", in_feed("description"), "All of host1"),
    Effect("VMCASTING", "own_vmcast_uuid", OTHER, in_feed("uuid"), OTHER),
    Effect("VMCASTING", "own_vmcast_url", "https://casts.example/x", in_feed("link"), "https://casts.example/x/rss.xml"),
    Effect("VMCASTING", "own_vmcast_file_name", "mine.xml", files_of_feed, ["{folder}/vm/vmcasts/mine.xml"]),
    Effect("VMCASTING", "own_vmcast_lang", "fr-fr", in_feed("language"), "fr-fr"),
    Effect("VMCASTING", "own_vmcast_path", "{folder}/mine", files_of_feed, ["{folder}/mine/rss.xml"]),
    Effect("VMCASTING", "own_vmcast_refresh_interval", "7", refreshed, [7.0]),
    Effect("VMCASTING", "disks_extensions", ".special", unnamed_drives, ["data.special"]),
    Effect("VMCASTING", "should_gzip_drives", "False", compressed(None), False),
    Effect("VMCASTING", "ignore_user_gzip_choice", "True", compressed(False), True),
)
EFFECTS = {(effect.section, effect.name): effect for effect in (*CORE, *MODULES, *GEOLOCALIZATION, *HEALTH, *STORAGE, *CASTS)}
