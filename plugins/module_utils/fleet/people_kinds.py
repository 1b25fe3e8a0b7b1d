# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""People and what is about them: accounts, groups, roles; and the jobs and tags of machines and hypervisors."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible_collections.archipel.platform.plugins.module_utils import groups, jobs, roles, tags, users
from ansible_collections.archipel.platform.plugins.module_utils.fleet.item import Item, Kind, entries_of
from ansible_collections.archipel.platform.plugins.module_utils.fleet.pieces import JOBS, WORDS

try:
    from archipel.client.login import read_password_file
except ImportError:
    pass  # library.require_library tells the user

if TYPE_CHECKING:
    from ansible_collections.archipel.platform.plugins.module_utils.fleet.ground import Ground, ServerGround
    from ansible_collections.archipel.platform.plugins.module_utils.reconciler import Resource

    from archipel.client import Hypervisor

PASSWORD_FILE, PASSWORD_ENV = "password_file", "password_env"
_NAMED = [("name",)]
# A password itself has no place in a declaration, which many read.
USER: Mapping[str, Mapping[str, Any]] = {
    **{name: option for name, option in users.KIND.items() if name != "password"},
    PASSWORD_FILE: {"type": "str", "no_log": False},
    PASSWORD_ENV: {"type": "str", "no_log": False},
}


def _user(ground: ServerGround, item: Item) -> Resource:
    password = read_password(item.arguments, Path(item.place.file).parent)
    return users.DeclaredUser(ground.session, {**item.arguments, "password": password}, check_mode=True)


def read_password(arguments: Mapping[str, Any], folder: Path) -> str | None:
    """Return the password that is referred to, by a file (from the declaration's folder) or a variable of the environment.

    Raises :class:`ValueError`.
    """
    if arguments[PASSWORD_FILE] is not None:
        try:
            return str(read_password_file(folder / Path(arguments[PASSWORD_FILE]).expanduser()))
        except ValueError as error:
            raise ValueError(str(error).replace("xmpp_password_file", PASSWORD_FILE)) from None
    name = arguments[PASSWORD_ENV]
    if name is not None and not os.environ.get(name):
        raise ValueError(f"password_env: the environment has no {name}")
    return None if name is None else os.environ[name]


def _group(ground: ServerGround, item: Item) -> Resource:
    beside = [other.key.name for other in ground.items if other.key.kind == item.key.kind]
    return groups.ServerGroup(
        ground.session, {**item.arguments, "api_url": os.environ.get("ARCHIPEL_API_URL") or None}, check_mode=True, beside=beside
    )


def _kept_group(ground: Ground, item: Item) -> Resource:
    return groups.KeptGroup(ground.hypervisor, item.arguments, check_mode=True)


def _needs_of_group(item: Item) -> Iterator[tuple[str, str]]:
    for member in item.arguments["members"] or ():
        yield from (("user", name) for name in (member, member.partition("@")[0]))


def _role(ground: Ground, item: Item) -> Resource:
    return roles.DeclaredRole(ground.hypervisor, item.arguments, check_mode=True)


def _job(ground: Ground, item: Item) -> Resource:
    return jobs.DeclaredJob(ground.hypervisor, item.arguments, check_mode=True, named=ground.entity_of(item))


def _tags(ground: Ground, item: Item) -> Resource:
    return tags.DeclaredTags(ground.hypervisor, item.arguments, check_mode=True, named=ground.entity_of(item))


def _name_tags(arguments: Mapping[str, Any]) -> str:
    return ", ".join(arguments["tags"]) or "none"


def _read_tags(value: Any) -> list[Any]:
    """Return the entries for words, or what module ``tag`` takes."""
    entries = entries_of(value)
    words = [entry for entry in entries if isinstance(entry, str)]
    return [{"tags": words}] * bool(words) + [entry for entry in entries if not isinstance(entry, str)]


async def _describe_tags(hypervisor: Hypervisor) -> list[dict[str, Any]]:
    """Return the tags of the hypervisor; those of machines stand with the machines."""
    return [entry for entry in await tags.describe_all(hypervisor) if "machine" not in entry]


def refuse_tags(arguments: Mapping[str, Any]) -> None:
    """Raise :class:`ValueError` for what contradicts itself."""
    if arguments["exclusive"] and arguments["state"] == "absent":
        raise ValueError("exclusive: goes with state: present; an empty list of tags then takes all away")


PEOPLE_KINDS: tuple[Kind, ...] = (
    Kind(
        name="user",
        section="users",
        options=USER,
        declare=_user,
        constraints={"required_one_of": _NAMED, "mutually_exclusive": [(PASSWORD_FILE, PASSWORD_ENV)]},
        of_server=True,
        prunable=False,
    ),
    Kind(
        name="group",
        section="groups",
        options=groups.KIND,
        declare=_group,
        refer=_needs_of_group,
        constraints={"required_one_of": _NAMED},
        of_server=True,
        prunable=False,
    ),
    Kind(
        name="kept-group",
        section="kept_groups",
        options=groups.KIND,
        declare=_kept_group,
        refer=_needs_of_group,
        constraints={"required_one_of": _NAMED},
        describe_all=groups.describe_kept,
    ),
    Kind(
        name="role",
        section="roles",
        options=roles.KIND,
        declare=_role,
        constraints={"required_one_of": _NAMED},
        describe_all=roles.describe_all,
    ),
)
ATTACHED_KINDS: tuple[Kind, ...] = (
    Kind(
        name="job",
        section="schedules",
        inline="schedule",
        options=jobs.JOB,
        declare=_job,
        constraints={"required_one_of": _NAMED},
        absent={"jobs": []},
        describe_all=jobs.describe_all,
        of_machines=True,
        pieces=JOBS,
    ),
    Kind(
        name="tag",
        section="tags",
        inline="tags",
        options=tags.WHAT,
        declare=_tags,
        identify=_name_tags,
        refuse=refuse_tags,
        read_inline=_read_tags,
        describe_all=_describe_tags,
        of_machines=True,
        pieces=WORDS,
    ),
)
