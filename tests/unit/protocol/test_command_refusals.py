# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A request or an answer that is not as the protocol says names the field that is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from archipel.protocol import every_entity, hypervisor, virtual_machine
from archipel.protocol.errors import BadRequest, Condition
from archipel.protocol.payload import Request
from tests.unit.protocol.golden import archipel_of, query


@pytest.mark.parametrize(
    "request_type,asked,wrong",
    [
        (every_entity.GetRights, "<archipel action='get'/>", "permission_target: is missing"),
        (every_entity.GetRights, "<archipel action='get' permission_target=' '/>", "permission_target: must not be empty"),
        (every_entity.GetOwnRights, "<archipel action='getown'/>", "permission_target: is missing"),
        (every_entity.SetRights, "<archipel action='set'><permission permission_name='x'/></archipel>", "permission_target: is missing"),
        (
            every_entity.SetOwnRights,
            "<archipel action='setown'><permission permission_target='a@d'/></archipel>",
            "permission_name: is missing",
        ),
        (every_entity.AddSubscription, "<archipel action='add'/>", "jid: is missing"),
        (every_entity.RemoveSubscription, "<archipel action='remove' jid=''/>", "jid: must not be empty"),
        (every_entity.SetTags, "<archipel action='settags'/>", "tags: is missing"),
        (hypervisor.Free, "<archipel action='free'/>", "jid: is missing"),
        (hypervisor.Manage, "<archipel action='manage'><item/></archipel>", "jid: is missing"),
        (hypervisor.Unmanage, "<archipel action='unmanage'><item jid='\t'/></archipel>", "jid: must not be empty"),
        (hypervisor.SetOrganisation, "<archipel action='setorginfo'/>", "target: is missing"),
        (virtual_machine.SetAutostart, "<archipel action='autostart'/>", "value: is missing"),
        (virtual_machine.SetAutostart, "<archipel action='autostart' value='maybe'/>", "value: must be 0 or 1, not 'maybe'"),
        (virtual_machine.SetMemory, "<archipel action='memory'/>", "value: is missing"),
        (virtual_machine.SetMemory, "<archipel action='memory' value='9'/>", "value: must be 10 or more, not 9"),
        (virtual_machine.SetMemory, "<archipel action='memory' value='€'/>", "value: must be a whole number, not '€'"),
        (virtual_machine.SetVcpus, "<archipel action='setvcpus' value='0'/>", "value: must be 1 or more, not 0"),
        (virtual_machine.SetVcpus, "<archipel action='setvcpus' value='-1'/>", "value: must be 1 or more, not -1"),
        (virtual_machine.SetVcpus, "<archipel action='setvcpus' value='two'/>", "value: must be a whole number, not 'two'"),
        (virtual_machine.GetDescription, "<archipel action='xmldesc' inactive='2'/>", "inactive: must be 0 or 1, not '2'"),
        (virtual_machine.Define, "<archipel action='define'/>", "domain: is missing"),
        (virtual_machine.AttachDevice, "<archipel action='attachdevice'><disk/></archipel>", "device: is missing"),
    ],
)
def test_what_is_wrong_in_a_request_is_named(request_type: type[Request[Any]], asked: str, wrong: str) -> None:
    with pytest.raises(BadRequest) as refused:
        request_type.read(archipel_of(request_type.namespace, asked))
    assert (refused.value.text, refused.value.condition) == (wrong, Condition.BAD_REQUEST)


@pytest.mark.parametrize(
    "request_type,answered,wrong",
    [
        (hypervisor.Alloc, "", "the answer holds no <virtualmachine>"),
        (hypervisor.Alloc, "<virtualmachine/>", "jid: is missing"),
        (hypervisor.RosterVM, "<item managed='perhaps'>x</item>", "managed: must be 0 or 1, not 'perhaps'"),
        (hypervisor.GetNodeInfo, "<nodeinfo model='x'/>", "memory: is missing"),
        (hypervisor.GetHostCapabilities, "", "the answer holds no <XML>"),
        (virtual_machine.Create, "<domain/>", "id: is missing"),
        (virtual_machine.GetInfo, "<info state='x'/>", "state: must be a whole number, not 'x'"),
        (virtual_machine.GetDescription, "", "the answer holds no <XML>"),
        (every_entity.ListRights, "<permission/>", "name: is missing"),
    ],
)
def test_what_is_wrong_in_an_answer_is_named(request_type: type[Request[Any]], answered: str, wrong: str) -> None:
    with pytest.raises(BadRequest) as refused:
        request_type.read_answer(query(request_type.namespace, answered))
    assert refused.value.text == wrong
