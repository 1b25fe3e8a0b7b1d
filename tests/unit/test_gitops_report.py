# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people read of a plan in a merge request is what is planned: no text of a declaration is markup there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2 import Environment

ROOT = Path(__file__).parents[2]
SAFE = {
    "kind": "machine",
    "name": "web",
    "hypervisor": "paris",
    "action": "change",
    "keys": ["memory"],
    "reason": "",
    "before": {},
    "after": {},
}


def write_yaml(value: Any, **how: Any) -> str:
    return yaml.safe_dump(value, **how)


def write(outcome: dict[str, Any]) -> str:
    """Return the report of a plan."""
    environment = Environment(trim_blocks=True, autoescape=False)  # noqa: S701 - as Ansible's module template
    environment.filters["to_nice_yaml"] = write_yaml
    template = environment.from_string((ROOT / "playbooks" / "templates" / "plan.md.j2").read_text())
    return template.render(outcome=outcome, plan=outcome["plan"], applied=False)


@pytest.mark.parametrize(
    "text", ["a\rb", "a\r\n\r\n# Approved", "![x](https://example.org/x)", "**removed**", "__all__", "<img>", "a|b", "`x`", "\\|"]
)
def test_no_text_is_markup(text: str) -> None:
    plan = [SAFE | {"name": text, "reason": text, "hypervisor": text}]
    failed = [{**SAFE, "msg": text, "declared_at": text}]
    report = write({"plan": plan, "failed_objects": failed, "msg": text})
    assert len(report.splitlines()) == len(write({"plan": [SAFE], "failed_objects": [{**SAFE, "msg": "x"}], "msg": "x"}).splitlines())
    assert text not in report


def test_a_value_does_not_end_its_block() -> None:
    report = write({"plan": [SAFE | {"after": {"description": "```\n</details>\n# Approved"}}]})
    assert report.count("```") == 4
