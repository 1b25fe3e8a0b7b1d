# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moving machines to other hypervisors: here there is none; between two, tests/integration/agent/test_migrations.py."""

from __future__ import annotations

from tests.wire.action import HYPERVISOR, MACHINE, Action, Wrong

CONTROL, HOST = "archipel:vm:control", "archipel:hypervisor:control"
OWN, BETWEEN = "archipel:vm:migration", "archipel:hypervisor:migration"
ATTEMPT = "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"
NO_UUIDS = ("", "{0}=''", "{0}='web'", "{0}='../{{uuid}}'")
WORDS = {"attempt": f"attempt='{ATTEMPT}'", "uuid": "uuid='{uuid}'"}
EXPECTED = WORDS | {"name": "name='web'", "base_folder": "base_folder='/vm'", "folder": "folder='0'", "mover": "mover='{person}'"}
DISK, FILE = "<disk target='vda' path='/vm/a' format='raw' capacity='1'/>", "<file path='/vm/b' size='1'/>"


def without(words: dict[str, str], name: str) -> str:
    return " ".join(text for word, text in words.items() if word != name)


def no_uuid(words: dict[str, str], name: str, inner: str = "") -> tuple[Wrong, ...]:
    return tuple(Wrong(name, f"{without(words, name)} {text.format(name)}", inner) for text in NO_UUIDS)


def no_item(name: str, item: str, *wrong: str) -> tuple[Wrong, ...]:
    """A list's item with that attribute wrong, or left out."""
    words = " ".join(EXPECTED.values())
    beginning, _, rest = item.partition(f" {name}='")
    end = rest.partition("'")[2]
    changed = (f"{beginning}{end}", *(f"{beginning} {name}='{text}'{end}" for text in wrong))
    return tuple(Wrong(name, words, f"{{definition}}{text}") for text in changed)


def between(action: str) -> Action:
    malformed = (*no_uuid(WORDS, "attempt"), *no_uuid(WORDS, "uuid"))
    words = " ".join(WORDS.values())
    return Action(HYPERVISOR, BETWEEN, action, "soft_alloc", -9007, words, malformed=malformed, refusal=(-9007, "not-allowed"))


HELD = WORDS | {"mode": "mode='plain'"}
SECRET, PACKAGE = "<password>secret</password>", "<package>eJw=</package>"
ROWS = (
    Action(
        MACHINE,
        CONTROL,
        "migrate",
        "migrate",
        -1013,
        "hypervisorjid='another@agents.localhost/host'",
        refusal=(-1013, "not-allowed"),
        malformed=(Wrong("hypervisorjid"), Wrong("hypervisorjid", "hypervisorjid=''"), Wrong("hypervisorjid", "hypervisorjid='@'")),
    ),
    Action(MACHINE, OWN, "cancel", "migrate", -1014, refusal=(-1014, "unexpected-request")),
    Action(HYPERVISOR, HOST, "migrationinfo", "migrationinfo", -9012, answer="<migration libvirt_uri='*' base_folder='*'/>"),
    Action(
        HYPERVISOR,
        HOST,
        "soft_alloc",
        "soft_alloc",
        -9007,
        " ".join(HELD.values()),
        SECRET + PACKAGE,
        refusal=(-9007, "not-allowed"),
        malformed=(
            *no_uuid(HELD, "attempt", SECRET + PACKAGE),
            *no_uuid(HELD, "uuid", SECRET + PACKAGE),
            Wrong("mode", without(HELD, "mode"), SECRET + PACKAGE),
            Wrong("mode", f"{without(HELD, 'mode')} mode='by air'", SECRET + PACKAGE),
            Wrong("password", " ".join(HELD.values()), PACKAGE),
            Wrong("package", " ".join(HELD.values()), SECRET),
        ),
    ),
    Action(
        HYPERVISOR,
        BETWEEN,
        "expect",
        "soft_alloc",
        -9007,
        " ".join(EXPECTED.values()),
        "{definition}" + DISK + FILE,
        refusal=(-9007, "not-allowed"),
        malformed=(
            *no_uuid(EXPECTED, "attempt", "{definition}"),
            *no_uuid(EXPECTED, "uuid", "{definition}"),
            *(Wrong(name, without(EXPECTED, name), "{definition}") for name in ("name", "base_folder", "folder", "mover")),
            Wrong("folder", f"{without(EXPECTED, 'folder')} folder='perhaps'", "{definition}"),
            Wrong("domain", " ".join(EXPECTED.values())),
            *no_item("target", DISK, ""),
            *no_item("path", DISK, "", "x" * 4097),
            *no_item("path", FILE, ""),
            *no_item("format", DISK, ""),
            *no_item("capacity", DISK, "-1", "much"),
            *no_item("size", FILE, "-1", "1.5"),
        ),
    ),
    between("serve"),
    between("forget"),
    between("arrival"),
)
