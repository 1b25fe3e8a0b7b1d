# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pages with commands, from the top to the bottom: each does what the page says, and shows it."""

from __future__ import annotations

import itertools
import re
import shlex
from pathlib import Path

import keyring
import pytest
from click.testing import CliRunner
from keyring.backends.fail import Keyring as NoKeyring

from archipel.cli.invocation import Invocation
from archipel.cli.main import main
from tests.documentation import Step, read_steps
from tests.integration.collection.platform import HYPERVISOR, Platform, password_of
from tests.integration.collection.test_command_line import ASK_FOR_CODE, UUID, WEB, expected_code

NETWORK = """<network><name>lab</name><forward mode='nat'/><bridge name='virbr7'/>
  <ip address='192.0.2.129' netmask='255.255.255.128'/></network>"""
POOL = "<pool type='dir'><name>images</name><target><path>/vm/pools/images</path></target></pool>"
ANY_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# Times; the platform's folder; what a table needs between columns whose contents are these.
VARYING = (
    (r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\+\d\d:\d\d)?", "THEN"),
    (r"\d+ KiB", "N KiB"),
    (r"  +", "  "),
    (r" +$", ""),
)


class Shell:
    """Somebody who types commands; a job that is named on the page is the one that was planned last."""

    def __init__(self, folder: Path, platform: Platform) -> None:
        self._platform = platform
        disk = f"<disk type='file'><driver name='qemu' type='qcow2'/><source file='{platform.agent.machines / UUID}/system.qcow2'/>"
        with_disk = WEB.replace("</domain>", f"<devices>{disk}<target dev='vda'/></disk></devices></domain>")
        other = WEB.replace(UUID, "00000000-0000-4000-8000-000000000009")
        for name, text in (("web", WEB), ("web-with-disk", with_disk), ("other", other), ("lab", NETWORK), ("pool", POOL)):
            (folder / f"{name}.xml").write_text(text)
        (folder / "password").write_text(password_of("admin"))
        server = platform.ejabberd
        self.type(
            f"archipel -H {HYPERVISOR} login admin@example.org --password-file password --host {server.host} --port {server.port} "
            f"--ca-file {server.ca_file}"
        )
        self.type("archipel define web.xml")
        platform.define_domain("legacy")
        self._last = ""

    def type(self, line: str) -> tuple[int, str]:
        """Return exit code and screen."""
        program, *arguments = shlex.split(line)
        assert program == "archipel"
        result = CliRunner().invoke(main, arguments, obj=Invocation(), catch_exceptions=False)
        return result.exit_code, result.output

    def run(self, step: Step) -> tuple[int, str]:
        line = step.command
        if line.startswith("archipel schedule remove"):
            line = ANY_UUID.sub(self._last, line)
        code, screen = self.type(line)
        self._last = next(iter(ANY_UUID.findall(screen)), self._last)
        return code, self.normalise(screen)

    def normalise(self, text: str) -> str:
        """Return the text without what differs from one sitting to the next."""
        text = ANY_UUID.sub(lambda found: found[0] if found[0] == UUID else "SOME-UUID", text)
        for pattern, word in VARYING:
            text = re.sub(pattern, word, text, flags=re.MULTILINE)
        return text.strip()


@pytest.fixture
def shell(platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "configuration"))
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.delenv("ARCHIPEL_PROFILE", raising=False)
    monkeypatch.setattr(keyring, "get_keyring", NoKeyring)
    monkeypatch.chdir(tmp_path)
    return Shell(tmp_path, platform)


@pytest.mark.timeout(300)  # forty commands, each a login
@pytest.mark.parametrize("page", ["audit.md", "cli-machines.md", "cli-hosts.md", "rights.md"])
def test_the_pages_of_the_command_line_are_true(shell: Shell, root: Path, page: str) -> None:
    steps = read_steps(root / "docs" / page)
    for step, following in itertools.pairwise([*steps, Step("", ())]):
        if step.command == ASK_FOR_CODE:
            continue
        code, screen = shell.run(step)
        assert code == expected_code(step, following), f"$ {step.command}\n{screen}"
        if step.shown:
            assert screen == shell.normalise("\n".join(step.shown)), f"$ {step.command}"
