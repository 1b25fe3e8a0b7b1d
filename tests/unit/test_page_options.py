# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configurations that the pages show are taken as they stand there, without a remark."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from archipel.agent.config import parse_settings
from archipel.agent.notifier.routes import parse_routes
from archipel.agent.plugins import declared_settings
from testbed.certificates import Authority
from tests.documentation import list_pages, read_blocks

ROOT = Path(__file__).parent.parent.parent
PAGES = [page for page in list_pages(ROOT) if read_blocks(page, "ini")]
NEEDED = "[DEFAULT]\nxmpp_server = lab.example\n[HYPERVISOR]\nhypervisor_xmpp_password = hunter2\n"
FILES = re.compile(r"/etc/archipel/([\w.]+)")


def bring_files(text: str, folder: Path, authority: Authority) -> str:
    """Make the files that an example names, in this folder, and name them there."""
    bundle = authority.issue("localhost", folder).read_text()
    routes = '[[route]]\nname = "a"\n[route.xmpp]\nto = ["operator@example.org"]\n'
    for name in FILES.findall(text):
        content = {".pem": bundle, ".toml": routes}.get(Path(name).suffix, "secret")
        (folder / name).touch(mode=0o600)
        (folder / name).write_text(content)
    return FILES.sub(lambda found: str(folder / found[1]), text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_options_that_a_page_shows_are_taken(page: Path, tmp_path: Path, authority: Authority) -> None:
    for block in read_blocks(page, "ini"):
        text = bring_files(block if "[DEFAULT]" in block else f"{NEEDED}{block}", tmp_path, authority)
        found = parse_settings(text, hostname="host1", capabilities=declared_settings())
        assert [str(warning) for warning in found.warnings] == []


def test_the_routes_that_the_page_of_the_notifier_shows_are_taken(tmp_path: Path, authority: Authority) -> None:
    [block] = read_blocks(ROOT / "docs" / "notifications.md", "toml")
    (tmp_path / "routes").write_text(bring_files(block, tmp_path, authority))
    routes = parse_routes(str(tmp_path / "routes"))
    assert [route.name for route in routes] == re.findall(r'^name = "(.*)"', block, re.MULTILINE)
