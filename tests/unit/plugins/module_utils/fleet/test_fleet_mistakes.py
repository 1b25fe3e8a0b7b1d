# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""All that is wrong with a declaration is told at once, each with its file, its line, the path of the key, and what to do."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.archipel.platform.plugins.module_utils.fleet import run as running
from ansible_collections.archipel.platform.plugins.module_utils.fleet.problems import DeclarationProblems
from ansible_collections.archipel.platform.plugins.module_utils.fleet.run import read_declaration

WRONG = """\
fleet: course/adopted
machines:
- name: web
profiles:
  seat:
    networks:
    - network: default
      modle: virtio
  round: {profile: round}
vms:
- name: web
  hypervisor: hyp
  memoory: 64
  vcpus: many
  disks:
  - path: /srv/web.img
    bus: ide2
- name: seat
  hypervisor: hyp
  profile: seat
- {name: db, hypervisor: lyon}
filters:
- {name: a, hypervisor: hyp, filterrefs: [{filter: b}]}
- {name: b, hypervisor: hyp, filterrefs: [{filter: a}]}
permissions:
- hypervisor: hyp
  subjct: bob@example.org
  rights: [info]
"""


def mistakes(source: Path, monkeypatch: pytest.MonkeyPatch, secrets: set[str] | None = None, **arguments: Any) -> list[str]:
    given = {"src": str(source), "document": None, "hypervisors": {"hyp": "hyp@example.org"}, "label": None, "prune": False}
    given |= {"prune_limit": "10", **arguments}
    monkeypatch.setattr(running, "find_hypervisor", lambda _session, _arguments: SimpleNamespace(jid="hyp@example.org"))
    with pytest.raises(DeclarationProblems) as raised:
        read_declaration(SimpleNamespace(arguments=given, session=None, secrets=set() if secrets is None else secrets))  # type: ignore[arg-type]
    return [problem.replace(f"{source}/", "") for problem in raised.value.problems]


def test_all_mistakes_are_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.yml").write_text(WRONG)
    found = mistakes(tmp_path, monkeypatch, prune_limit="some")
    places = [problem.partition(": ")[::2] for problem in found]
    expected = [
        ("a.yml:1", "'machines' is no part of a declaration"),
        ("a.yml:9", "profile round: builds on itself: round -> round"),
        ("a.yml:11", "vms web: memoory is no option; did you mean memory"),
        ("a.yml:11", "vcpus"),
        ("a.yml:11", "bus"),
        ("a.yml:7", "vms seat: networks.modle is no option; did you mean model"),
        ("a.yml:21", "vms db: there is no hypervisor 'lyon'"),
        ("a.yml:26", "permissions: subjct is no option; did you mean subject"),
        ("a.yml:23, a.yml:24", "these need one another: "),
        ("label", "'course/adopted' stands for what the declaration 'course' adopted"),
        ("prune_limit", "'some' is neither a number"),
    ]
    for place, words in expected:
        assert any(where.replace(str(tmp_path) + "/", "") == place and words in text for where, text in places), (place, words, found)
    assert len(found) == len(expected), found


def test_what_cannot_be_read_hides_only_what_it_may_have_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.yml").write_text("nonsense: 1\n")
    (tmp_path / "b.yml").write_text("vms: [\n")
    (tmp_path / "c.yml").write_text("profiles: {\n")
    found = mistakes(tmp_path, monkeypatch)
    assert [problem.partition(":")[0] for problem in found] == ["a.yml", "b.yml", "c.yml"]


def test_a_misspelt_option_is_not_told_as_a_missing_one_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.yml").write_text("permissions: [{subjects: bob@example.org, right: [info]}]\n")
    [only] = mistakes(tmp_path, monkeypatch)
    assert "right is no option; did you mean rights" in only


@pytest.mark.parametrize(
    "secret",
    [
        *("*hidden", "!hidden", "!hidden! x", "%hidden", "&hidden [*hidden2", "hidden: x", "'hidden", '"\\hidden"', "[hidden", "- hidden"),
        *(f"!!{tag} hidden" for tag in ("int", "float", "bool", "timestamp", "binary", "map", "seq", "set", "omap", "pairs", "merge")),
    ],
)
def test_no_password_that_somebody_forgot_to_quote_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    (tmp_path / "a.yml").write_text(f"users:\n- name: bob@example.org\n  password: {secret}\n")
    [problem, *_more] = mistakes(tmp_path, monkeypatch)
    assert problem.startswith("a.yml:")
    assert "hidden" not in problem


LOOP = """\
vms:
- foreach: [{at: a, word: first}, {at: b, word: other}]
  name: "{item.at}"
  definition: <domain><name>x</name><devices><graphics type='vnc' passwd='{item.word}-{n}'/></devices></domain>
more: 1
"""


def test_secrets_in_loops_are_known_as_they_come_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.yml").write_text(LOOP)
    secrets: set[str] = set()
    mistakes(tmp_path, monkeypatch, secrets=secrets)
    assert {"first-1", "other-2"} <= secrets
