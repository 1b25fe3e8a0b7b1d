# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A machine as module ``vm`` declares it: made, adopted, changed, started, stopped, freed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.archipel.platform.plugins.module_utils.machine.declared_drives import DeclaredDrives
from ansible_collections.archipel.platform.plugins.module_utils.machine.plan import (
    MachinePlan,
    blocked_reasons,
    change_while_running,
    make_plan,
)
from ansible_collections.archipel.platform.plugins.module_utils.machine.references import refuse_what_is_missing
from ansible_collections.archipel.platform.plugins.module_utils.machine.run_state import (
    PAUSED,
    RUN_STATES,
    RUNNING,
    STOPPED,
    reach,
    run_state,
    stop,
)
from ansible_collections.archipel.platform.plugins.module_utils.machine.snapshot import REPORTED, Snapshot, parts_for
from ansible_collections.archipel.platform.plugins.module_utils.machine.specification import read_specification
from ansible_collections.archipel.platform.plugins.module_utils.reconciler import Change, Resource, Values

try:
    from archipel.client import MachineEntry, MachineNotFound
    from archipel.protocol.errors import LibvirtFailed
    from archipel.protocol.vcard import Organisation
except ImportError:
    pass  # library.require_library tells the user

if TYPE_CHECKING:
    from ansible_collections.archipel.platform.plugins.module_utils.machine.arguments import MachineWish
    from ansible_collections.archipel.platform.plugins.module_utils.machine.host import Host

    from archipel.client import VirtualMachine

ABSENT, ADOPTED, PRESENT = "absent", "adopted", "present"
NO_MACHINE = {"state": ABSENT}
NEEDS_RESTART = "needs_restart"


class DeclaredMachine(Resource):
    """One machine of a run; its values are the declared options, and whether it waits for a restart."""

    def __init__(self, wish: MachineWish, host: Host) -> None:
        self.wish = wish
        self.host = host
        self.title = wish.title
        self.specification = read_specification(wish)
        self.entry = host.directory.find(wish.reference)
        self._snapshot: Snapshot | None = None
        self._drives = DeclaredDrives(wish.drives, wish.title) if wish.drives else None
        self._plan = MachinePlan()
        self._told: tuple[str, ...] = ()
        self._reasons: tuple[str, ...] = ()

    @property
    def _interests(self) -> Mapping[str, bool]:
        return {"definitions": self.specification.declares or bool(self.wish.drives), "organisation": bool(self.wish.organisation)}

    @property
    def listed(self) -> MachineEntry:
        """The machine as its hypervisor lists it; raises :class:`MachineNotFound` if it does not."""
        if self.entry is None:
            raise MachineNotFound(f"{self.title}: there is no such machine on {self.host.hypervisor.bare}")
        return self.entry

    # -- what is --------------------------------------------------------------------------------------------------------

    @classmethod
    async def preload(cls, machines: Iterable[DeclaredMachine]) -> None:
        """Let the first read of these machines, which are all of one host, be one question for all."""
        known = [machine for machine in machines if machine.entry is not None and machine.entry.managed and machine.wish.state != ABSENT]
        parts = {part for machine in known for part in parts_for(**machine._interests)}
        if known:
            await known[0].host.preload([machine.listed.uuid for machine in known], sorted(parts))

    async def read(self) -> Values:
        """Return what is declared, as it stands; refuse what must not be touched."""
        self._snapshot = None
        if self.entry is None or not self.entry.managed:
            return self._read_unmanaged()
        wish = self.wish
        if wish.state == ABSENT:
            return {"state": PRESENT}
        self._snapshot = await Snapshot.take(self.host.directory.open(self.entry), self.host, **self._interests)
        if wish.state == ADOPTED:
            return {"state": ADOPTED}
        values = await self._read_declared(self._snapshot)
        self._reasons = self._find_reasons(self._snapshot, values)
        return {**values, NEEDS_RESTART: True} if self._reasons else values

    def _read_unmanaged(self) -> Values:
        wish = self.wish
        if self.entry is None:
            if wish.state == ADOPTED:
                raise MachineNotFound(f"{self.title}: libvirt on {self.host.hypervisor.bare} has no such domain to adopt")
            if wish.state != ABSENT:
                self._name_new()
            return NO_MACHINE
        if wish.state == ADOPTED:
            return {"state": "unmanaged"}
        if wish.state == ABSENT:
            advice = "it is not removed; adopt it first (state: adopted), or let its owner undefine it"
        else:
            advice = "adopt it first (state: adopted), or choose another name"
        raise ValueError(f"{self.title}: libvirt has a domain of that name that Archipel does not manage: {advice}")

    def _name_new(self) -> str:
        """Return the name that the machine is made with; raises :class:`MachineNotFound` if only its UUID is declared."""
        if self.wish.name is None:
            raise MachineNotFound(f"{self.title}: there is no such machine; give the name of the machine that is to be made")
        return self.wish.name

    async def _read_declared(self, snapshot: Snapshot) -> dict[str, Any]:
        wish, machine = self.wish, snapshot.machine
        values: dict[str, Any] = {"state": run_state(snapshot.state) if wish.state in RUN_STATES else PRESENT}
        if wish.uuid is not None and wish.name is not None and machine.name:
            values["name"] = machine.name
        if self.specification.declares:
            values |= self.specification.describe(snapshot.stored)
        if self._drives is not None:
            values["drives"] = await self._drives.read(machine, snapshot)
        if wish.autostart is not None:
            values["autostart"] = None if snapshot.info is None else snapshot.info.autostart
        values |= {name: getattr(snapshot.organisation, name) for name in wish.organisation}
        if wish.tags is not None:
            values["tags"] = sorted(await self.host.tags_of(machine.bare))
        return values

    def _find_reasons(self, snapshot: Snapshot, values: Values) -> tuple[str, ...]:
        """Return why the machine should be restarted: what waits, in the plan's words if it was the plan that left it so."""
        waiting: tuple[str, ...] = ()
        if snapshot.running is not None and snapshot.stored is not None:
            waiting = tuple(self.specification.pending(snapshot.running, snapshot.stored))
        plugs = () if self._drives is None else self._drives.reasons
        return (*((self._told or waiting) if waiting else ()), *plugs, *blocked_reasons(self._off_only(values) if snapshot.active else ()))

    def _off_only(self, current: Values) -> dict[str, str]:
        """Return the declared values that differ and can only change while the machine is off."""
        wanted = dict(self.wish.organisation)
        if self.wish.name is not None and "name" in current:
            wanted["name"] = self.wish.name
        return {name: value for name, value in wanted.items() if current.get(name) != value}

    # -- what shall be --------------------------------------------------------------------------------------------------

    def desired(self, current: Values) -> Values:
        """Return the declared values; those that cannot be reached now as they are."""
        wish = self.wish
        if wish.state == ABSENT:
            return NO_MACHINE
        if wish.state == ADOPTED:
            return {"state": ADOPTED}
        if self._snapshot is None:
            named = {"name": wish.name} if wish.uuid is not None else {}
            return {"state": wish.state, **named, **self._declared_settings(self._make_definition("kvm"))}
        snapshot = self._snapshot
        self._plan = plan = make_plan(wish, self.specification, snapshot, frozenset(self._off_only(current)))
        self._told, self._reasons = plan.waiting, plan.reasons
        settled = self._declared_settings(plan.definition or snapshot.stored or self._make_definition("kvm"))
        if "name" in current:
            settled["name"] = wish.name
        settled |= {name: current[name] for name in plan.blocked}
        values = {"state": wish.state, **{name: settled[name] for name in current if name in settled}}
        return {**values, NEEDS_RESTART: True} if plan.reasons else values

    def _make_definition(self, domain_type: str) -> Any:
        return self.specification.make(self.wish.name or self.title, self._new_uuid, domain_type)

    @property
    def _new_uuid(self) -> str | None:
        return self.wish.uuid or self.host.new_uuids.get(self.wish.name or "")

    def _declared_settings(self, definition: Any) -> dict[str, Any]:
        wish = self.wish
        values = dict(self.specification.describe(definition)) if self.specification.declares else {}
        if self._drives is not None:
            values["drives"] = self._drives.desired()
        if wish.autostart is not None:
            values["autostart"] = wish.autostart
        values |= wish.organisation
        if wish.tags is not None:
            values["tags"] = list(wish.tags)
        return values

    async def verify(self, current: Values, desired: Values) -> None:
        """Refuse a machine that could not start, or whose drives could not be made, for want of what they stand on."""
        wish, plan, snapshot = self.wish, self._plan, self._snapshot
        if wish.state in {ABSENT, ADOPTED}:
            return
        begins = (wish.state if snapshot is None else plan.ends_in) in {RUNNING, PAUSED}
        starts = begins and (snapshot is None or plan.stops or not snapshot.active)
        stored = None if snapshot is None else plan.definition or snapshot.stored
        definition = (stored or self._make_definition("kvm")) if starts else None
        new = [] if self._drives is None else self._drives.new_entries
        await refuse_what_is_missing(self.host.hypervisor, definition, new, self.title)

    # -- from one to the other ------------------------------------------------------------------------------------------

    async def apply(self, current: Values, desired: Values) -> None:
        """Make, adopt, change or free the machine, and bring it to its declared run state."""
        if self.wish.state == ABSENT:
            await self._free()
        elif self.wish.state == ADOPTED:
            await self._adopt()
        elif self._snapshot is None:
            await self._make()
        else:
            await self._change(self._snapshot, current, desired)

    async def _free(self) -> None:
        await self.host.hypervisor.free(self.listed.uuid, keep_disks=not self.wish.remove_disks)
        self.entry = None

    async def _adopt(self) -> None:
        hypervisor, entry = self.host.hypervisor, self.listed
        await hypervisor.manage(entry.uuid)
        self.entry = MachineEntry(entry.name, entry.uuid, f"{entry.bare}/{hypervisor.jid.node}", managed=True)

    async def _make(self) -> None:
        wish, hypervisor, name = self.wish, self.host.hypervisor, self._name_new()
        definition = self._make_definition(await self.host.domain_type() if self.specification.needs_domain_type else "")
        organisation = Organisation(**wish.organisation)
        with self._naming_option():
            machine = await hypervisor.alloc(name, uuid=self._new_uuid, organisation=organisation, domain=definition)
        self.entry = MachineEntry(name, machine.uuid, str(machine.jid), managed=True)
        # The agent gives a new machine its host's values where none is given: an empty one has to be said again.
        await self._set_off_only(machine, {name: value for name, value in wish.organisation.items() if not value})
        await self._set_anytime(machine, {})
        if self._drives is not None:
            await self._drives.apply(machine)
        if wish.state in RUN_STATES:
            await self._reach(machine, wish.state)

    async def _change(self, snapshot: Snapshot, current: Values, desired: Values) -> None:
        wish, plan, machine = self.wish, self._plan, snapshot.machine
        if plan.stops:
            await stop(machine, wish.shutdown_timeout, force=wish.force)
        if plan.stops or not snapshot.active:
            await self._set_off_only(machine, self._off_only(current))
        await self._define(snapshot)
        refused = await change_while_running(machine, plan.steps) if snapshot.active and not plan.stops else []
        self._told = (*self._told, *refused)
        await self._set_anytime(machine, current)
        if self._drives is not None:
            await self._drives.apply(machine)
        if plan.ends_in is not None:
            await self._reach(machine, plan.ends_in)

    async def _reach(self, machine: VirtualMachine, wanted: str) -> None:
        async with self.host.boots:
            await reach(machine, wanted, self.wish.shutdown_timeout, force=self.wish.force)

    async def _define(self, snapshot: Snapshot) -> None:
        """Store the new definition; a managed machine without any gets a complete one."""
        definition = self._plan.definition
        if definition is None and snapshot.stored is None and self.specification.declares:
            definition = self._make_definition(await self.host.domain_type() if self.specification.needs_domain_type else "")
            definition.uuid = snapshot.machine.uuid
        if definition is not None:
            definition.name = self.listed.name
            with self._naming_option():
                await snapshot.machine.define(definition)

    @contextlib.contextmanager
    def _naming_option(self) -> Iterator[None]:
        """Say of what libvirt says against a whole definition that it is about that option."""
        try:
            yield
        except LibvirtFailed as error:
            if self.wish.definition is not None:
                error.args = (f"{self.title} on {self.host.hypervisor.bare}: definition: {error}",)
            raise

    async def _set_off_only(self, machine: VirtualMachine, values: Mapping[str, str]) -> None:
        """Rename the machine, or change its organisation; it is off."""
        if values:
            await self.host.hypervisor.set_organisation(machine.uuid, **values)
            self.entry = MachineEntry(values.get("name", self.listed.name), self.listed.uuid, self.listed.jid, managed=True)

    async def _set_anytime(self, machine: VirtualMachine, current: Values) -> None:
        """Set what changes in any state: autostart and tags."""
        wish, work = self.wish, []
        if wish.autostart is not None and current.get("autostart", False) != wish.autostart:
            work.append(machine.set_autostart(wish.autostart))
        if wish.tags is not None and current.get("tags", []) != list(wish.tags):
            work.append(self._set_tags(machine, wish.tags))
        await asyncio.gather(*work)

    async def _set_tags(self, machine: VirtualMachine, tags: tuple[str, ...]) -> None:
        await machine.set_tags(tags)
        self.host.forget_tags()  # not before: somebody else may ask meanwhile

    @property
    def stops(self) -> bool:
        """Whether the machine is shut down for what changes, and started again."""
        return self._plan.stops and self._plan.ends_in != STOPPED

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the machine should be restarted, or is, in words."""
        return self._reasons

    # -- what is told ---------------------------------------------------------------------------------------------------

    def report(self, change: Change) -> dict[str, Any]:
        """Return the machine as it was last read, and why it should be restarted."""
        told = {NEEDS_RESTART: bool(self._reasons), "restart_reasons": list(self._reasons)}
        if self._snapshot is not None:
            return {**self._snapshot.report(), "name": self._snapshot.machine.name or self.wish.name, **told}
        entry = self.entry
        known = {"name": self.title} if entry is None else {"name": entry.name, "uuid": entry.uuid, "jid": entry.bare}
        return {**dict.fromkeys(REPORTED), **known, "state": ABSENT if entry is None else None, **told}
