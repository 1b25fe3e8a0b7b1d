# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guides are on the site, lead to each other and to plugins that are there, and show nothing that no test could see."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.documentation import list_blocks, list_guides
from tests.plugin_documentation import module_names

GUIDES = list_guides(Path(__file__).parent.parent.parent)
PAGES = pytest.mark.parametrize("guide", GUIDES, ids=lambda page: page.stem)
COLLECTION = "ansible_collections.archipel.platform"
LABEL = re.compile(r"^\.\. _([^:]+):$", re.MULTILINE)
REFERENCE = re.compile(r":ref:`[^`<]*<?([\w.]+)>?`")
OTHER_PLUGINS = ("xmpp_inventory", "guest_connection")
# Three ways to a literal block that would not be looked at: "::" at the end of a paragraph, and other directives.
UNSEEN = re.compile(r"^(?!\.\. )\S.*::$|^\s*\.\. (?:literalinclude|parsed-literal|highlight)::", re.MULTILINE)


def test_every_guide_is_in_the_list_of_the_site(root: Path) -> None:
    sections = yaml.safe_load((root / "docs" / "docsite" / "extra-docs.yml").read_text())["sections"]
    listed = [guide for section in sections for guide in section["toctree"]]
    assert sorted(listed) == [guide.stem for guide in GUIDES]
    assert all(section["title"] for section in sections)


@PAGES
def test_a_guide_has_its_licence_and_the_label_of_its_name(guide: Path) -> None:
    text = guide.read_text()
    assert "SPDX-License-Identifier: GPL-3.0-or-later" in text.splitlines()[2]
    assert f"{COLLECTION}.docsite.{guide.stem}" in LABEL.findall(text)


@PAGES
def test_every_reference_of_a_guide_leads_somewhere(guide: Path) -> None:
    labels = {label for page in GUIDES for label in LABEL.findall(page.read_text())}
    plugins = {f"{COLLECTION}.{name}_module" for name in module_names()} | {f"{COLLECTION}.{name}" for name in OTHER_PLUGINS}
    assert set(REFERENCE.findall(guide.read_text())) - labels - plugins == set()


@PAGES
def test_a_guide_shows_code_in_blocks_that_tests_read(guide: Path) -> None:
    text = guide.read_text()
    assert UNSEEN.findall(text) == []
    assert text.count(".. code-block:: ") == len(list_blocks(guide))
