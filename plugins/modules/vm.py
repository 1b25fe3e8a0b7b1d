from __future__ import annotations
DOCUMENTATION = "module: vm"
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.archipel.platform.plugins.module_utils.connection import connection_arguments
from ansible_collections.archipel.platform.plugins.module_utils.directory import Directory
from ansible_collections.archipel.platform.plugins.module_utils.execution import run
from ansible_collections.archipel.platform.plugins.module_utils.machine.arguments import DEFINITION_OR_HARDWARE, MACHINE, read_wishes
from ansible_collections.archipel.platform.plugins.module_utils.machine.declared_machine import DeclaredMachine
from ansible_collections.archipel.platform.plugins.module_utils.machine.host import Host
from ansible_collections.archipel.platform.plugins.module_utils.reconciler import reconcile_all

if TYPE_CHECKING:
    from archipel.client import Hypervisor

ARGUMENTS = {
    **connection_arguments(),
    **MACHINE,
    "machines": {
        "type": "list",
        "elements": "dict",
        "options": dict(MACHINE),
        "mutually_exclusive": DEFINITION_OR_HARDWARE,
        "required_one_of": [("name", "uuid")],
    },
}


def main() -> None:
    module = AnsibleModule(
        ARGUMENTS,
        supports_check_mode=True,
        mutually_exclusive=[*DEFINITION_OR_HARDWARE, ("machines", "name"), ("machines", "uuid")],
        required_one_of=[("name", "uuid", "machines")],
    )

    async def declare(hypervisor: Hypervisor) -> Mapping[str, Any]:
        wishes = read_wishes(module.params)
        host = Host(await Directory.load(hypervisor, [wish.reference for wish in wishes]))
        machines = [DeclaredMachine(wish, host) for wish in wishes]
        result = await reconcile_all(machines, "machines", check_mode=module.check_mode)
        single = {} if module.params["machines"] is not None else {"machine": result["machines"][0]}
        return {**result, **single, "needs_restart": any(machine["needs_restart"] for machine in result["machines"])}

    run(module, declare)


if __name__ == "__main__":
    main()
