# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which declaration owns what: one label for each thing, all of a request or nothing, gone with the machine."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archipel.agent import ownership
from archipel.agent.capabilities import ownership as capability
from archipel.agent.chat import reply
from archipel.agent.dispatch import Caller
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.luggage import Luggage
from archipel.agent.migration_store import write_luggage
from archipel.agent.ownership import machine_of, proper_item
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol import namespaces as ns
from archipel.protocol.declaration import ListOwned, OwnedItem, OwnedPage
from archipel.protocol.errors import BadRequest, CommandError, Condition, PermissionDenied
from archipel.protocol.vcard import Organisation
from tests.unit.agent.conftest import ask
from tests.unit.agent.fakes import ADMIN, HYP, OTHER_UUID, OWNER, UUID, VM

MACHINE, GRANT, NETWORK, OTHER = ("machine", UUID), ("grant", f"{UUID}/ada@lab.example/info"), ("network", "lab"), ("machine", OTHER_UUID)
Item = tuple[str, str]


async def own(
    hypervisor: Hypervisor, label: str, *add: Item, remove: tuple[Item, ...] = (), take: bool = False, caller: Caller = ADMIN
) -> None:
    items = [("add", item) for item in add] + [("remove", item) for item in remove]
    content = "".join(f"<{tag} kind='{kind}' key='{key}'/>" for tag, (kind, key) in items)
    await ask(hypervisor, ns.DECLARATION, f"<archipel action='own' label='{label}' take='{int(take)}'>{content}</archipel>", caller)


async def page(hypervisor: Hypervisor, label: str = "", after: str = "") -> OwnedPage:
    wanted = f"label='{label}'" if label else ""
    return ListOwned.read_answer(await ask(hypervisor, ns.DECLARATION, f"<archipel action='owned' {wanted}>{after}</archipel>", ADMIN))


async def owned(hypervisor: Hypervisor, label: str = "") -> set[tuple[str, str, str]]:
    return {(item.label, item.kind, item.key) for item in (await page(hypervisor, label)).items}


async def test_a_label_owns_what_it_was_given(online: Hypervisor) -> None:
    await own(online, "lab", MACHINE, NETWORK)
    await own(online, "office", ("pool", "images"))
    assert await owned(online) == {("lab", *MACHINE), ("lab", *NETWORK), ("office", "pool", "images")}
    assert await owned(online, "lab") == {("lab", *MACHINE), ("lab", *NETWORK)}
    [item] = (await page(online, "office")).items
    assert item.by == ADMIN.bare
    assert item.since.endswith("Z")


async def test_what_is_asked_for_again_changes_nothing(online: Hypervisor) -> None:
    await own(online, "lab", MACHINE, remove=(NETWORK,))
    before = (await page(online)).items
    await own(online, "lab", MACHINE, remove=(NETWORK,))
    assert (await page(online)).items == before


async def test_what_another_label_owns_is_refused_whole_and_named(online: Hypervisor) -> None:
    await own(online, "lab", MACHINE)
    with pytest.raises(CommandError, match=rf"machine {UUID} \(lab\)") as refused:
        await own(online, "office", NETWORK, MACHINE, remove=(OTHER,))
    assert refused.value.condition == Condition.CONFLICT
    assert await owned(online) == {("lab", *MACHINE)}


async def test_who_takes_over_gets_it(online: Hypervisor) -> None:
    await own(online, "lab", MACHINE)
    await own(online, "office", MACHINE, take=True)
    assert await owned(online) == {("office", *MACHINE)}


async def test_nobody_removes_what_another_label_owns(online: Hypervisor) -> None:
    await own(online, "lab", MACHINE)
    await own(online, "office", remove=(MACHINE,))
    assert await owned(online) == {("lab", *MACHINE)}
    await own(online, "lab", remove=(MACHINE,))
    assert await owned(online) == set()


async def test_one_who_adds_and_removes_the_same_is_told(online: Hypervisor) -> None:
    with pytest.raises(CommandError, match="is to be added, too"):
        await own(online, "lab", NETWORK, remove=(NETWORK,))


async def test_reading_and_changing_are_two_rights(online: Hypervisor) -> None:
    rights = online.services.rights
    await rights.grant(HYP, OWNER.bare, "ownership_set", granted_by=HYP)
    await own(online, "lab", NETWORK, caller=OWNER)
    with pytest.raises(PermissionDenied, match="ownership_get"):
        await ask(online, ns.DECLARATION, "<archipel action='owned'/>", OWNER)


async def test_keys_are_kept_in_one_spelling(online: Hypervisor) -> None:
    await own(online, "lab", ("machine", UUID.upper()), ("grant", f" {UUID.upper()}/Ada "))
    assert await owned(online) == {("lab", *MACHINE), ("lab", "grant", f"{UUID}/Ada")}


async def test_there_is_a_most_that_is_owned(online: Hypervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ownership, "MOST_ITEMS", 2)
    with pytest.raises(CommandError, match="2 things") as refused:
        await own(online, "lab", *(("network", str(number)) for number in range(3)))
    assert refused.value.condition == Condition.RESOURCE_CONSTRAINT
    assert await owned(online) == set()


async def test_a_request_with_too_many_items_is_refused(online: Hypervisor) -> None:
    with pytest.raises(CommandError, match="at most 1000"):
        await own(online, "lab", *(("network", str(number)) for number in range(1001)))


async def test_a_long_list_comes_in_pages(online: Hypervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ownership, "PAGE", 4)
    monkeypatch.setattr(capability, "MOST_BYTES", 300)
    await own(online, "lab", *(("network", f"n-{number}") for number in range(9)))
    found: list[OwnedItem] = []
    more = True
    while more:
        after = f"<after kind='{found[-1].kind}' key='{found[-1].key}'/>" if found else ""
        answer = await page(online, "lab", after)
        assert 0 < len(answer.items) < 4
        found, more = [*found, *answer.items], answer.more
    assert [item.key for item in found] == [f"n-{number}" for number in range(9)]


async def test_it_is_asked_for_in_a_chat(online: Hypervisor) -> None:
    assert (await reply(online, "owned", ADMIN)) is not None
    await own(online, "lab", NETWORK)
    assert "network lab: lab" in str(await reply(online, "owned lab", ADMIN))


# -- machines that come and go ------------------------------------------------------------------------------------------


async def test_what_goes_with_a_machine_goes_when_it_goes(online: Hypervisor, machine: VirtualMachine) -> None:
    await own(online, "lab", MACHINE, GRANT, NETWORK, OTHER, ("network", UUID), ("network", f"{UUID}x"))
    await online.services.store.remove_machine(UUID, VM)
    assert await owned(online) == {("lab", *item) for item in (NETWORK, OTHER, ("network", UUID), ("network", f"{UUID}x"))}


async def test_luggage_brings_the_owner_along(online: Hypervisor, machine: VirtualMachine) -> None:
    await own(online, "lab", MACHINE, GRANT, NETWORK)
    store = online.services.store
    claims = await ownership.claims_of_machine(store, UUID)
    luggage = Luggage(
        entity=VM, name="web", adopted=False, autostart=False, created_at=claims[0].claimed_at, organisation=Organisation(), claims=claims
    )
    packed = luggage.pack()
    assert Luggage.unpack(packed, VM).claims == claims
    await store.remove_machine(UUID, VM)
    assert await owned(online) == {("lab", *NETWORK)}
    await store.run(lambda session: write_luggage(session, Luggage.unpack(packed, VM)))
    assert await owned(online) == {("lab", *MACHINE), ("lab", *GRANT), ("lab", *NETWORK)}


async def test_what_is_packed_for_another_host_changes_its_owner_no_more(online: Hypervisor, machine: VirtualMachine) -> None:
    machine.migrating = machine.packed = True
    for item in (MACHINE, GRANT):
        with pytest.raises(CommandError, match="migrating"):
            await own(online, "lab", NETWORK, item)
    assert await owned(online) == set()
    await own(online, "lab", NETWORK)


# -- keys ---------------------------------------------------------------------------------------------------------------


@given(st.text(max_size=60), st.text(max_size=60))
def test_a_key_stays_what_it_is_however_often_it_is_read(kind: str, key: str) -> None:
    if kind != "machine":
        once = proper_item(kind, key)
        assert proper_item(*once) == once


@pytest.mark.parametrize("key", ["", "web", f"{UUID}/ada", f"{UUID}x", VM])
def test_the_key_of_a_machine_is_its_uuid(key: str) -> None:
    with pytest.raises(BadRequest, match="key"):
        proper_item("machine", key)


@pytest.mark.parametrize(
    "item, machine", [(MACHINE, UUID), (GRANT, UUID), (NETWORK, None), (("network", UUID), None), (("file", "/x/y"), None)]
)
def test_a_key_tells_with_which_machine_it_goes(item: Item, machine: str | None) -> None:
    assert machine_of(item) == machine
