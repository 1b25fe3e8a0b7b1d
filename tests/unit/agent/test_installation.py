# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``archipel-agent-init``: what is missing is made, what is there stays, and a second run has nothing to do."""

from __future__ import annotations

import grp
import os
import pwd
import stat
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archipel.agent import access_list
from archipel.agent.config import parse_settings
from archipel.agent.installation import pieces, program
from archipel.agent.installation.configuration import check_configuration, render_configuration, render_unit
from archipel.agent.installation.pieces import Account, InstallationFailed

USER = pwd.getpwuid(os.geteuid()).pw_name
GROUP = grp.getgrgid(os.getegid()).gr_name
SECRET = "correct horse battery staple"


class Host:
    """A host as far as the program touches it: all in a folder, owned by whoever runs the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.configuration = folder / "etc" / "archipel.conf"
        self.password = folder / "etc" / "hypervisor.password"
        self.unit = folder / "archipel-agent.service"
        self.data = folder / "vm"
        (folder / "given").write_text(f"{SECRET}\n")
        self.rules = folder / "50-archipel.rules"
        self.places = (
            "--configuration",
            self.configuration,
            "--unit",
            self.unit,
            "--user",
            USER,
            "--image-group",
            GROUP,
            "--rules",
            self.rules,
        )
        self.answers = (
            *("--server", "lab.example", "--data-folder", self.data, "--state-folder", folder / "lib"),
            *("--audit-log", folder / "log" / "audit.log", "--password-file", folder / "given"),
        )

    def run(self, *options: object, answers: bool = True) -> int:
        return program.main([str(option) for option in (*self.places, *(self.answers if answers else ()), *options)])

    def snapshot(self) -> dict[str, tuple[int, int, str]]:
        """Mode, time and content of all there is."""
        found = {}
        for path in sorted(self.folder.rglob("*")):
            status = path.stat()
            found[str(path)] = (status.st_mode, status.st_mtime_ns, path.read_text() if path.is_file() else "")
        return found


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setattr(program, "LIBVIRT_GROUP", GROUP)  # whoever runs the test joins no group of this host
    return Host(tmp_path)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# -- the whole program --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [(), ("--force",)])
def test_no_link_of_others_leads_out_of_the_folders_of_images(host: Host, capsys: pytest.CaptureFixture[str], options: tuple[str, ...]):
    assert host.run() == 0  # from now on the service and QEMU write in there
    victim = host.folder / "victim"
    victim.mkdir(mode=0o700)
    (host.data / "iso").rmdir()
    (host.data / "iso").symlink_to(victim)
    assert host.run(*options) == 1
    assert mode(victim) == 0o700
    assert "is a link" in capsys.readouterr().err


def test_who_installs_may_have_put_links(host: Host):
    (host.folder / "big").mkdir()
    host.data.symlink_to(host.folder / "big")
    assert host.run("--force") == 0
    assert mode(host.folder / "big") == 0o2770


def test_what_is_missing_is_made_with_its_owner_and_mode(host: Host, capsys: pytest.CaptureFixture[str]):
    assert host.run() == 0
    assert SECRET not in capsys.readouterr().out
    modes = {
        path.name: mode(path) for path in (host.configuration, host.password, host.unit, host.data, host.data / "iso", host.folder / "lib")
    }
    assert modes == {
        "archipel.conf": 0o640,
        "hypervisor.password": 0o600,
        "archipel-agent.service": 0o644,
        "vm": 0o2770,
        "iso": 0o2770,
        "lib": 0o700,
    }
    assert host.password.read_text() == f"{SECRET}\n"
    read = parse_settings(host.configuration.read_text())
    assert (read.xmpp.domain, read.xmpp.password.reveal(), read.places.data) == ("lab.example", SECRET, host.data)


def test_a_second_run_has_nothing_to_do(host: Host, capsys: pytest.CaptureFixture[str]):
    host.run()
    before = host.snapshot()
    capsys.readouterr()
    assert host.run() == 0
    assert host.run(answers=False) == 0, "what is configured needs not be said again"
    assert [line for line in capsys.readouterr().out.splitlines() if not line.startswith("note:")] == ["nothing to do"] * 2
    assert host.snapshot() == before


def test_a_check_tells_what_would_be_made_and_makes_nothing(host: Host, capsys: pytest.CaptureFixture[str]):
    before = host.snapshot()
    assert host.run("--check", "--diff") == 0
    said = capsys.readouterr().out
    assert f"would make file {host.configuration}" in said
    assert "+xmpp_server = lab.example" in said
    assert "+ExecStart=" in said
    assert SECRET not in said
    assert host.snapshot() == before


def test_what_differs_is_told_and_left_alone(host: Host, capsys: pytest.CaptureFixture[str]):
    host.run()
    host.configuration.write_text(f"[DEFAULT]\nxmpp_server = other.example\n[HYPERVISOR]\nhypervisor_xmpp_password = {SECRET}\n")
    host.data.chmod(0o777)
    before = host.snapshot()
    capsys.readouterr()
    assert host.run("--diff") == program.EXIT_DIFFERS
    said = capsys.readouterr().out
    assert f"left     file {host.configuration}: holds something else (--force changes that)" in said
    assert "has mode 2777, not 2770" in said or "has mode 0777, not 2770" in said
    assert "-xmpp_server = other.example" in said
    assert SECRET not in said
    assert host.snapshot() == before


def test_what_differs_is_replaced_by_force_and_kept_beside_it(host: Host):
    host.run()
    host.configuration.write_text("[DEFAULT]\nxmpp_server = other.example\n")
    assert host.run("--force") == 0
    assert "xmpp_server = lab.example" in host.configuration.read_text()
    assert host.configuration.with_name("archipel.conf.old").read_text() == "[DEFAULT]\nxmpp_server = other.example\n"


def test_another_password_is_not_taken_without_force(host: Host):
    host.run()
    (host.folder / "given").write_text("another\n")
    assert host.run() == program.EXIT_DIFFERS
    assert host.password.read_text() == f"{SECRET}\n"
    assert host.run("--force") == 0
    assert host.password.read_text() == "another\n"
    assert not host.password.with_name("hypervisor.password.old").exists(), "no secret is left lying about"


@pytest.mark.parametrize(
    "options, told",
    [
        (("--set", "HEALTH.alarm_cpu=many"), "alarm_cpu: 'many' is not a whole number"),
        (("--set", "HEALTH.alarm_gpu=1"), "alarm_gpu: is not an option"),
        (("--set", "alarm_cpu"), "write it as SECTION.OPTION=VALUE"),
        (("--set", "HYPERVISOR.hypervisor_xmpp_password=x"), "use --password-file"),
        (("--server", "not a name"), "is not a server's name"),
        (("--admin", "admin@lab.example\n[GLOBAL]"), "one line"),
        (("--image-group", "no-such-group-here"), "no group no-such-group-here"),
        (("--password-file", "/nowhere/password"), "--password-file: /nowhere/password cannot be read"),
        (("--polkit", "--rules", "/nowhere/archipel.rules"), "install polkit"),
    ],
)
def test_a_wrong_answer_is_told(host: Host, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], told: str):
    assert host.run(*options) == program.EXIT_FAILED
    assert told in capsys.readouterr().err


def test_without_a_server_nothing_is_made(host: Host, capsys: pytest.CaptureFixture[str]):
    before = host.snapshot()
    assert host.run(answers=False) == program.EXIT_FAILED
    assert "xmpp_server: is missing" in capsys.readouterr().err
    assert host.snapshot() == before


def test_without_a_password_nobody_is_asked_where_nobody_is(
    host: Host, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: False))
    assert program.main([str(word) for word in (*host.places, *host.answers[:-2])]) == program.EXIT_FAILED
    assert "--password-file" in capsys.readouterr().err
    assert program.main([str(word) for word in (*host.places, *host.answers[:-2], "--generate-password")]) == 0
    assert len(host.password.read_text().strip()) >= 40


def test_where_a_folder_should_be_stands_a_file(host: Host, capsys: pytest.CaptureFixture[str]):
    host.data.touch()
    assert host.run() == program.EXIT_FAILED
    assert f"{host.data} is no folder" in capsys.readouterr().err


# -- the account --------------------------------------------------------------------------------------------------------


def test_the_service_gets_a_user_of_its_own_in_the_groups_of_images_and_of_libvirt(monkeypatch: pytest.MonkeyPatch):
    """polkit, which libvirt asks on Debian, believes in the list of groups alone: the unit's SupplementaryGroups= do not count there."""
    users: dict[str, SimpleNamespace] = {}
    groups = {"qemu": SimpleNamespace(gr_gid=64055, gr_mem=[]), "libvirt": SimpleNamespace(gr_gid=120, gr_mem=[])}
    commands: list[list[str]] = []

    def run(command: tuple[str, ...], **_options: object) -> None:
        commands.append(list(command))
        users["archipel-test"] = SimpleNamespace(pw_uid=990, pw_gid=990)
        if command[0] == "usermod":
            for group in command[command.index("--groups") + 1].split(","):
                groups[group].gr_mem.append("archipel-test")

    monkeypatch.setattr(pieces, "_user", users.get)
    monkeypatch.setattr(pieces, "_group", groups.get)
    monkeypatch.setattr(subprocess, "run", run)
    account = Account("archipel-test", Path("/var/lib/archipel"), ("qemu", "libvirt", "not-there"))
    assert account.look().missing == ("a system user that cannot log in", "member of the group qemu", "member of the group libvirt")
    account.make()
    assert [command[0] for command in commands] == ["useradd", "usermod"]
    assert {"--system", "--no-create-home", "/usr/sbin/nologin"} <= set(commands[0])
    assert account.look() == pieces.Finding()


def test_a_user_that_cannot_be_made_is_told(monkeypatch: pytest.MonkeyPatch):
    def run(command: tuple[str, ...], **_options: object) -> None:
        raise subprocess.CalledProcessError(1, command, stderr="useradd: Permission denied.\n")

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(InstallationFailed, match="Permission denied"):
        Account("no-such-user-here", Path("/"), ("no-such-user-here",)).make()


def test_who_is_in_a_group_that_he_must_not_be_in_is_told_and_taken_out(monkeypatch: pytest.MonkeyPatch):
    groups = {"libvirt": SimpleNamespace(gr_gid=120, gr_mem=["archipel-test"])}
    monkeypatch.setattr(pieces, "_user", lambda name: SimpleNamespace(pw_uid=990, pw_gid=990))
    monkeypatch.setattr(pieces, "_group", groups.get)
    monkeypatch.setattr(subprocess, "run", lambda command, **_options: groups[command[-1]].gr_mem.remove(command[-2]))
    account = Account("archipel-test", Path("/"), (), ("libvirt", "not-there"))
    assert account.look() == pieces.Finding(wrong=("is a member of the group libvirt",))
    account.make()
    assert account.look() == pieces.Finding()


# -- what else stands on the host ---------------------------------------------------------------------------------------


def test_the_units_of_the_out_of_memory_adjustment_are_for_this_host(host: Host):
    assert host.run("--program", "/opt/archipel/bin/archipel-agent") == 0
    assert f"SocketGroup={USER}\n" in (host.folder / "archipel-oom.socket").read_text()
    assert "ExecStart=/opt/archipel/bin/archipel-oom\n" in (host.folder / "archipel-oom@.service").read_text()


@pytest.mark.parametrize("changeable", ["opt/archipel-oom", "opt"])
def test_root_runs_no_program_that_others_can_change(host: Host, capsys: pytest.CaptureFixture[str], changeable: str):
    """Else whoever has the agent's user, whose virtual environment it may be, would be root."""
    (host.folder / "opt").mkdir()
    (host.folder / "opt" / "archipel-oom").touch(mode=0o755)
    (host.folder / changeable).chmod(0o775)
    assert host.run("--program", host.folder / "opt" / "archipel-agent") == 0
    told = capsys.readouterr().out
    assert f"others than root can change {host.folder / changeable};" in told
    assert "enable --now archipel-agent" in told
    assert not list(host.folder.glob("archipel-oom*"))


def test_a_link_leads_to_what_root_would_run(tmp_path: Path):
    for name in ("bin", "opt"):
        (tmp_path / name).mkdir()
    (tmp_path / "opt" / "archipel-oom").touch(mode=0o755)
    link = tmp_path / "bin" / "archipel-oom"
    link.symlink_to("../opt/archipel-oom")
    assert pieces.find_changeable(link) is None
    (tmp_path / "opt").chmod(0o777)
    assert pieces.find_changeable(link) == tmp_path / "opt"


def test_the_rules_for_polkit_are_installed_when_they_are_asked_for_and_then_kept_up(host: Host, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(program, "LIBVIRT_GROUP", "no-such-group-here")
    assert host.run() == 0
    assert not host.rules.exists()
    assert "SupplementaryGroups=no-such-group-here\n" in host.unit.read_text()
    assert host.run("--polkit") == program.EXIT_DIFFERS, "the unit says something else"
    assert host.run("--polkit", "--force") == 0
    assert f'subject.user != "{USER}"' in host.rules.read_text()
    assert "SupplementaryGroups=\n" in host.unit.read_text()
    before = host.snapshot()
    assert host.run(answers=False) == 0
    assert host.snapshot() == before


def test_the_service_reaches_what_others_own_in_the_folders_of_images(host: Host, capsys: pytest.CaptureFixture[str]):
    host.run()
    if not access_list.is_supported(host.data):
        assert host.run() == 0, "there is nothing to do where the file system keeps no lists"
        return
    assert all(access_list.reaches_all(folder, os.geteuid()) for folder in (host.data, host.data / "iso", host.data / "drives"))
    assert not access_list.reaches_all(host.folder / "lib", os.geteuid())
    os.removexattr(host.data / "iso", "system.posix_acl_default")  # as an older agent made it
    capsys.readouterr()
    assert host.run() == 0
    assert f"made     folder {host.data / 'iso'}: access of {USER} to what others own in it" in capsys.readouterr().out
    assert access_list.reaches_all(host.data / "iso", os.geteuid())


# -- texts --------------------------------------------------------------------------------------------------------------


def test_each_answer_stands_under_its_comment():
    text = render_configuration({("DEFAULT", "xmpp_server"): "lab.example", ("SNAPSHOTS", "of_others"): "1", ("OTHER", "x"): "y"})
    lines = text.splitlines()
    place = lines.index("xmpp_server = lab.example")
    assert lines[place - 1].startswith("# The XMPP domain")
    assert "#xmpp_server =" not in lines
    assert lines.index("[SNAPSHOTS]") < lines.index("of_others = 1") < lines.index("[VNC]")
    assert text.endswith("[OTHER]\nx = y\n")


@settings(max_examples=25)
@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=30).map(str.strip).filter(bool))
def test_every_name_comes_back_as_it_was_said(name: str):
    text = render_configuration({("DEFAULT", "xmpp_server"): "lab.example", ("HYPERVISOR", "hypervisor_name"): name.replace("%", "%%")})
    assert check_configuration(text, Path("archipel.conf")).hypervisor.name in {name, name.replace("@HOSTNAME@", "")} or name == "auto"


def test_the_unit_is_for_this_host(tmp_path: Path):
    text = "[DEFAULT]\nxmpp_server = lab.example\narchipel_folder_data = /srv/vm\n[LOGGING]\naudit_log_path = /srv/log/audit.log\n"
    found = check_configuration(text, tmp_path / "archipel.conf")
    unit = render_unit(Path("/opt/archipel/bin/archipel-agent"), tmp_path / "archipel.conf", "agent", found).splitlines()
    assert f"ExecStart=/opt/archipel/bin/archipel-agent --config {tmp_path}/archipel.conf" in unit
    assert {"User=agent", "Group=agent", "ReadWritePaths=-/srv/vm -/srv/log", "ProtectSystem=strict"} <= set(unit)


def test_a_program_that_the_unit_hides_is_told(host: Host, capsys: pytest.CaptureFixture[str]):
    host.run("--program", "/home/somebody/venv/bin/archipel-agent")
    assert "note: the service cannot see /home/somebody/venv/bin/archipel-agent" in capsys.readouterr().out
