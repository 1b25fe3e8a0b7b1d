# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m tests.conformance`` writes docs/conformance.md and the generated parts of docs/protocol.md and docs/events.md."""

from __future__ import annotations

from tests.conformance.agent import ROOT, Agent
from tests.conformance.evidence import Evidence
from tests.conformance.page import render_page
from tests.conformance.protocol_page import fill_in
from tests.conformance.verdict import judge_all

agent = Agent()
(ROOT / "docs" / "conformance.md").write_text(render_page(agent, judge_all(agent, Evidence(agent))))
for page in (ROOT / "docs" / "protocol.md", ROOT / "docs" / "events.md"):
    page.write_text(fill_in(page.read_text(), agent))
