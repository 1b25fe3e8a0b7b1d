# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m tests.conformance`` writes docs/conformance.md and the generated parts of docs/protocol.md."""

from __future__ import annotations

from tests.conformance.agent import ROOT
from tests.conformance.page import render_page
from tests.conformance.protocol_page import fill_in

(ROOT / "docs" / "conformance.md").write_text(render_page())
protocol = ROOT / "docs" / "protocol.md"
protocol.write_text(fill_in(protocol.read_text()))
