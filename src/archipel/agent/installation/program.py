# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program ``archipel-agent-init``: answers given as options become an installed agent; nothing is overwritten unasked."""

from __future__ import annotations

import argparse
import getpass
import secrets
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from archipel.agent.config import DEFAULT_PATH, ConfigError
from archipel.agent.image_access import QEMU_GROUPS, image_folders
from archipel.agent.installation import libvirt_configuration
from archipel.agent.installation.configuration import (
    LIBVIRT_GROUP,
    PASSWORD,
    PASSWORD_FILE,
    Place,
    check_configuration,
    hidden_by_unit,
    oom_program,
    render_configuration,
    render_oom_units,
    render_rules,
    render_unit,
)
from archipel.agent.installation.pieces import Account, File, Folder, InstallationFailed, Owner, Piece, find_changeable, group_id, own_names
from archipel.agent.settings import Settings

say = print  # the output of this program is for whoever started it
UNIT: Final = Path("/etc/systemd/system/archipel-agent.service")
EXIT_FAILED, EXIT_DIFFERS = 1, 3
STANDARD_INPUT: Final = "-"
RULES: Final = Path("/etc/polkit-1/rules.d/50-archipel.rules")
_SYSTEMD_RUNS: Final = Path("/run/systemd/system")
_ANSWERS: Final[dict[str, tuple[Place, str, str]]] = {
    "--server": (("DEFAULT", "xmpp_server"), "NAME", "the XMPP domain"),
    "--jid": (("HYPERVISOR", "hypervisor_xmpp_jid"), "JID", "the hypervisor's account [default: this host's name at the server]"),
    "--name": (("HYPERVISOR", "hypervisor_name"), "NAME", "the name it shows [default: this host's]"),
    "--host": (("GLOBAL", "xmpp_hosts"), "HOST[:PORT]", "where the server is [default: what DNS says]"),
    "--ca-file": (("GLOBAL", "xmpp_ca_file"), "FILE", "authorities (PEM) that vouch for the server [default: the system's]"),
    "--admin": (("GLOBAL", "archipel_root_admins"), "JID", "who may do everything; may be repeated [default: admin at the server]"),
    "--libvirt-uri": (("GLOBAL", "libvirt_uri"), "URI", "the local libvirt [default: qemu:///system]"),
    "--data-folder": (("DEFAULT", "archipel_folder_data"), "FOLDER", "disks and images [default: /vm]"),
    "--state-folder": (("DEFAULT", "archipel_folder_lib"), "FOLDER", "the agent's own state [default: /var/lib/archipel]"),
    "--audit-log": (("LOGGING", "audit_log_path"), "FILE", "who did what [default: /var/log/archipel/audit.log]"),
}


@dataclass
class Told:
    """What was done, or would be, and what was left because it is not as the answers want it."""

    changed: int = 0
    left: int = 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Install what is missing; returns 0, or 1 if that failed, or 3 if something else stood there and was left alone."""
    parser = _make_parser()
    options = parser.parse_args(arguments)
    try:
        pieces = _plan(options)
        told = _go_through(pieces, options)
    except ConfigError as error:
        for problem in error.problems:
            say(f"archipel-agent-init: {problem}", file=sys.stderr)
        return EXIT_FAILED
    except PermissionError as error:
        say(f"archipel-agent-init: {error}: run it as root", file=sys.stderr)
        return EXIT_FAILED
    except (InstallationFailed, OSError) as error:
        say(f"archipel-agent-init: {error}", file=sys.stderr)
        return EXIT_FAILED
    _conclude(told, options, pieces)
    return EXIT_DIFFERS if told.left else 0


# -- the command line ---------------------------------------------------------------------------------------------------


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="archipel-agent-init",
        description="Install the agent on this host: its user, folders, configuration and service. What is there already stays as it is.",
        epilog="Exit status: 0 all is as it should be, 1 it failed, 2 wrong usage, 3 something else stands there and was left alone.",
    )
    for option, (_place, metavar, meaning) in _ANSWERS.items():
        parser.add_argument(option, metavar=metavar, help=meaning, action="append" if option == "--admin" else "store")
    parser.add_argument("--set", metavar="SECTION.OPTION=VALUE", action="append", default=[], help="any other option of the configuration")
    parser.add_argument(
        "--password-file", metavar="FILE", help="read the account's password from here, - for standard input [default: ask]"
    )
    parser.add_argument("--generate-password", action="store_true", help="make a password; the account is to be registered with it")
    parser.add_argument("--user", default="archipel", help="the service's user [default: archipel]")
    parser.add_argument("--image-group", metavar="GROUP", help="group of the folders of images, QEMU's [default: libvirt-qemu or qemu]")
    parser.add_argument("--configuration", type=Path, default=DEFAULT_PATH, metavar="FILE", help=f"[default: {DEFAULT_PATH}]")
    parser.add_argument("--unit", type=Path, default=UNIT, metavar="FILE", help=f"[default: {UNIT}]")
    parser.add_argument("--program", type=Path, default=_own_program(), metavar="FILE", help="the agent [default: the one beside this]")
    parser.add_argument(
        "--polkit", action="store_true", help="allow the service what it needs of libvirt, and not all by the group libvirt"
    )
    parser.add_argument(
        "--rules", type=Path, default=RULES, metavar="FILE", help=f"polkit's rules, kept up once they are there [default: {RULES}]"
    )
    parser.add_argument("--check", action="store_true", help="change nothing, tell what would be done")
    parser.add_argument("--diff", action="store_true", help="show how files change")
    parser.add_argument("--force", action="store_true", help="make what differs as it should be; files are kept as NAME.old")
    return parser


def _own_program() -> Path:
    return Path(sys.executable).with_name("archipel-agent")


def _read_answers(options: argparse.Namespace) -> dict[Place, str]:
    """Return the options of the configuration that were given; raises :class:`InstallationFailed`."""
    values = {}
    for option, (place, _metavar, _meaning) in _ANSWERS.items():
        given = getattr(options, option.removeprefix("--").replace("-", "_"))
        if given:
            values[place] = (" ".join(given) if isinstance(given, list) else given).replace("%", "%%")
    for text in options.set:
        name, equals, value = text.partition("=")
        section, dot, option = name.strip().rpartition(".")
        if not (equals and dot and section and option):
            raise InstallationFailed(f"--set {text}: write it as SECTION.OPTION=VALUE")
        if (section, option.lower()) == PASSWORD:
            raise InstallationFailed("--set: others would see the password in the list of processes; use --password-file")
        values[section, option.lower()] = value.strip()
    if "\n" in "".join(values.values()):
        raise InstallationFailed("an answer has one line")
    return values


# -- the plan -----------------------------------------------------------------------------------------------------------


def _plan(options: argparse.Namespace) -> list[Piece]:
    """Return the pieces in the order in which they are made; raises :class:`ConfigError` before anything is touched."""
    configuration: Path = options.configuration
    values, password = _read_answers(options), configuration.with_name("hypervisor.password")
    kept = configuration.exists() and not values
    if kept:  # nothing was said about it: it is what it is
        text = configuration.read_text(encoding="utf-8")
    else:
        values = {PASSWORD_FILE: str(password).replace("%", "%%"), **values}
        if configuration != DEFAULT_PATH:
            values.setdefault(("GLOBAL", "modules_configuration_path"), str(configuration.with_name("modules.d")).replace("%", "%%"))
        text = render_configuration(values)
    settings = check_configuration(text, configuration)
    user, (installer, _group) = options.user, own_names()
    return [
        _account(options, settings),
        *_folders(options, settings),
        File(configuration, Owner(installer, user, 0o640), None if kept else text),
        *(() if kept else (File(password, Owner(user, user, 0o600), _password(options, password), secret=True),)),
        *_files_of_the_host(options, settings),
    ]


def _account(options: argparse.Namespace, settings: Settings) -> Account:
    """Return the service's account; with rules of polkit's it is not in the group that may do everything."""
    narrow, images = _is_narrow(options), options.image_group or _image_group(options.user)
    groups = (images,) if narrow else (images, LIBVIRT_GROUP)
    return Account(options.user, settings.places.lib, groups, (LIBVIRT_GROUP,) if narrow else ())


def _is_narrow(options: argparse.Namespace) -> bool:
    return bool(options.polkit) or options.rules.exists()


def _files_of_the_host(options: argparse.Namespace, settings: Settings) -> Iterator[File]:
    """Yield units and rules, which anybody may read."""
    owner, narrow = Owner(*own_names(), 0o644), _is_narrow(options)
    groups = "" if narrow else LIBVIRT_GROUP
    if narrow and not options.rules.parent.is_dir():
        raise InstallationFailed(
            f"there is no folder {options.rules.parent}: install polkit (Debian's package polkitd), or leave out --polkit"
        )
    if _changeable(options) is None:
        for name, text in render_oom_units(options.program, options.user).items():
            yield File(options.unit.with_name(name), owner, text)
    if narrow:
        yield File(options.rules, owner, render_rules(options.user))
    yield File(options.unit, owner, render_unit(options.program, options.configuration, options.user, settings, groups=groups))


def _changeable(options: argparse.Namespace) -> Path | None:
    """Return what keeps root from running the agent's neighbour: whoever can change that would be root."""
    return find_changeable(oom_program(options.program))


def _folders(options: argparse.Namespace, settings: Settings) -> Iterator[Folder]:
    user = options.user
    installer, _group = own_names()
    own = {
        options.configuration.parent: Owner(installer, user, 0o750),
        settings.modules.folder: Owner(installer, user, 0o750),
        settings.places.lib: Owner(user, user, 0o700),
        settings.logging.audit_file.parent: Owner(user, user, 0o750),
    }
    images = dict.fromkeys(image_folders(settings), Owner(user, options.image_group or _image_group(user), 0o2770))
    return (Folder(path, owner, shared=path in images) for path, owner in (own | images).items())


def _image_group(user: str) -> str:
    return next((group for group in QEMU_GROUPS if group_id(group) is not None), user)


def _password(options: argparse.Namespace, file: Path) -> str | None:
    """Return the password with its line end; ``None`` leaves what stands in the file."""
    if options.password_file:
        return _proper(_first_line(options.password_file))
    if file.exists():
        return None
    if options.generate_password:
        return _proper(secrets.token_urlsafe(32))
    if options.check:
        return ""
    if not sys.stdin.isatty():
        raise InstallationFailed("give the account's password with --password-file (- for standard input), or --generate-password")
    return _proper(getpass.getpass("Password of the hypervisor's account: "))


def _first_line(file: str) -> str:
    if file == STANDARD_INPUT:
        return sys.stdin.readline()
    try:
        with open(file, encoding="utf-8") as given:
            return given.readline()
    except OSError as error:
        raise InstallationFailed(f"--password-file: {file} cannot be read: {error.strerror}") from error


def _proper(password: str) -> str:
    if not password.strip():
        raise InstallationFailed("the password is empty")
    return password.rstrip("\r\n") + "\n"


# -- doing it -----------------------------------------------------------------------------------------------------------


def _go_through(pieces: Sequence[Piece], options: argparse.Namespace) -> Told:
    told = Told()
    for piece in pieces:
        found = piece.look()
        if found.wrong and not options.force:
            told.left += 1
            say(f"left     {piece.name}: {'; '.join(found.wrong)} (--force changes that)")
        elif found.missing or found.wrong:
            told.changed += 1
            word = ("would make" if options.check else "made    ") if found.missing else ("would mend" if options.check else "mended  ")
            if not options.check:
                piece.make()
            say(f"{word} {piece.name}: {'; '.join((*found.missing, *found.wrong))}")
        if options.diff and found.diff:
            say(found.diff)
    return told


def _conclude(told: Told, options: argparse.Namespace, pieces: Sequence[Piece]) -> None:
    """Say how it stands, and what is left to be done by hand."""
    for remark in _remark(options, pieces):
        say(f"note: {remark}")
    if not told.changed:
        say("nothing to do" if not told.left else "nothing was changed")
        return
    if options.check:
        return
    if options.unit.parent == UNIT.parent and _SYSTEMD_RUNS.is_dir():
        subprocess.run(["systemctl", "daemon-reload"], check=False)
    say(f"next: archipel-agent --check --config {options.configuration}, as user {options.user}: is everything usable?")
    sockets = "" if _changeable(options) else "archipel-oom.socket "
    say(f"      systemctl enable --now {sockets}{options.unit.stem}")


def _remark(options: argparse.Namespace, pieces: Sequence[Piece]) -> Iterator[str]:
    if hidden_by_unit(options.program):
        yield f"the service cannot see {options.program}: its unit hides that folder; install the agent in /opt, or say --program"
    if changeable := _changeable(options):
        yield (
            f"no archipel-oom.socket: root would run {oom_program(options.program)}, and others than root can change {changeable}; "
            "install the agent as root, where only root can write"
        )
    if group_id(LIBVIRT_GROUP) is None:
        yield f"there is no group {LIBVIRT_GROUP}: install libvirt's daemon, then run this again"
    try:
        if _is_narrow(options):
            yield from libvirt_configuration.remark_on_polkit()
        images = next(piece for piece in pieces if isinstance(piece, Folder) and piece.shared)
        yield from libvirt_configuration.remark_on_images(images.path, images.owner.group)
    except PermissionError as error:
        yield f"{error.filename} is for root only: it was not looked at"


if __name__ == "__main__":
    sys.exit(main())
