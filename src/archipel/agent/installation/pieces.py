# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an installation is made of: an account, folders, files. Each looks what is there, and makes what is not.

What is there already stays as it is, and what differs is told, unless it is asked to be corrected.
"""

from __future__ import annotations

import contextlib
import difflib
import grp
import os
import pwd
import re
import secrets
import shutil
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from archipel.agent import access_list

NOLOGIN: Final = "/usr/sbin/nologin"
_STEP: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_WRITABLE_BY_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH
_SECRET_LINE: Final = re.compile(r"^(\s*\w*password\s*[=:]).*\S.*$", re.MULTILINE)


class InstallationFailed(Exception):
    """Something cannot be made; the text says what and how that is mended."""


@dataclass(frozen=True)
class Finding:
    """What there is to do about a piece: ``missing`` things are made, ``wrong`` ones corrected if that is asked for.

    ``diff`` shows how a file's text would change, empty where it holds a secret.
    """

    missing: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    diff: str = ""


class Piece(Protocol):
    """A part of an installation."""

    @property
    def name(self) -> str:
        """How it is called in what is told."""
        ...

    def look(self) -> Finding:
        """Return what there is to do."""
        ...

    def make(self) -> None:
        """Make it, or correct it; raises :class:`InstallationFailed` or :class:`OSError`."""
        ...


@dataclass(frozen=True)
class Owner:
    """Whose a file or folder is, by names, and its mode."""

    user: str
    group: str
    mode: int

    def __str__(self) -> str:
        return f"{self.user}:{self.group}, mode {self.mode:04o}"

    def differences(self, found: os.stat_result) -> Iterator[str]:
        """Yield what is other than it should be."""
        if found.st_uid != user_id(self.user) or found.st_gid != group_id(self.group):
            yield f"is {_user_name(found.st_uid)}:{_group_name(found.st_gid)}'s, not {self.user}:{self.group}'s"
        if stat.S_IMODE(found.st_mode) != self.mode:
            yield f"has mode {stat.S_IMODE(found.st_mode):04o}, not {self.mode:04o}"

    def give(self, path: Path | int) -> None:
        """Make a file or folder so; the mode comes second, for a new owner loses the bits that are more than read and write."""
        user, group = user_id(self.user), group_id(self.group)
        if user is None or group is None:
            raise InstallationFailed(f"{path}: there is no user {self.user} or no group {self.group} on this host")
        os.chown(path, user, group)
        os.chmod(path, self.mode)


@dataclass(frozen=True)
class Account:
    """The system user of the service, with a group of the same name, further groups, and those that it must not be in."""

    user: str
    home: Path
    extra_groups: tuple[str, ...]
    other_groups: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """How it is called."""
        return f"user {self.user}"

    def look(self) -> Finding:
        """Return whether it is missing, is not in the further groups, or in others."""
        if user_id(self.user) is None:
            return Finding(missing=("a system user that cannot log in", *self._memberships()))
        return Finding(missing=self._memberships(), wrong=tuple(f"is a member of the group {group}" for group in self._leaving()))

    def make(self) -> None:
        """Make the user, put it into the further groups, and take it out of others."""
        joins = self._joining()
        if user_id(self.user) is None:
            options = ["--system", "--user-group", "--no-create-home", "--home-dir", str(self.home), "--shell", NOLOGIN]
            _run("useradd", *options, self.user)
        if joins:
            _run("usermod", "--append", "--groups", ",".join(joins), self.user)
        for group in self._leaving():
            _run("gpasswd", "--delete", self.user, group)

    def _memberships(self) -> tuple[str, ...]:
        return tuple(f"member of the group {group}" for group in self._joining())

    def _joining(self) -> list[str]:
        return [group for group in self.extra_groups if group != self.user and self._is_outside(group)]

    def _leaving(self) -> list[str]:
        return [group for group in self.other_groups if user_id(self.user) is not None and not self._is_outside(group) and _group(group)]

    def _is_outside(self, group: str) -> bool:
        entry, user = _group(group), _user(self.user)
        return entry is not None and self.user not in entry.gr_mem and (user is None or user.pw_gid != entry.gr_gid)


@dataclass(frozen=True)
class Folder:
    """A folder; its owner reaches all that is made in it if it is ``shared`` with others who may own that."""

    path: Path
    owner: Owner
    shared: bool = False

    @property
    def name(self) -> str:
        """How it is called."""
        return f"folder {self.path}"

    def look(self) -> Finding:
        """Return whether it is missing, or somebody else's."""
        try:
            with _open_folder(self.path) as folder:
                unlisted = self._lacks_list(folder)
                return Finding(missing=unlisted, wrong=tuple(self.owner.differences(os.fstat(folder))))
        except FileNotFoundError:
            return Finding(missing=(str(self.owner),))

    def _lacks_list(self, folder: int) -> tuple[str, ...]:
        user = user_id(self.owner.user)
        if not self.shared or not access_list.is_supported(folder) or (user is not None and access_list.reaches_all(folder, user)):
            return ()
        return (f"access of {self.owner.user} to what others own in it",)

    def make(self) -> None:
        """Make it, with the folders above it where those are missing, or correct it."""
        with _open_folder(self.path, make=True) as folder:
            self.owner.give(folder)
            user = user_id(self.owner.user)
            if self._lacks_list(folder) and user is not None:
                access_list.let_reach_all(folder, user)


@contextlib.contextmanager
def _open_folder(path: Path, *, make: bool = False) -> Iterator[int]:
    """Open a folder, one step after the other: no link is followed that others than root, or who runs this, could have put there.

    Folders of images are QEMU's, too: a link there must not lead who installs to folders of the host.
    """
    folder = os.open("/", _STEP)
    try:
        for part in path.absolute().parts[1:]:
            if part == "..":
                raise InstallationFailed(f"{path}: write it without ..")
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, dir_fd=folder)
            step = _step_into(folder, part, path)
            os.close(folder)
            folder = step
        yield folder
    finally:
        os.close(folder)


def _step_into(folder: int, part: str, path: Path) -> int:
    try:
        return os.open(part, _STEP | os.O_NOFOLLOW, dir_fd=folder)
    except NotADirectoryError:
        found = os.stat(part, dir_fd=folder, follow_symlinks=False)
        if not stat.S_ISLNK(found.st_mode):
            raise InstallationFailed(f"{path} is no folder, or in none: move {part} out of the way") from None
        above = os.fstat(folder)
        if above.st_uid not in {0, os.geteuid()} or above.st_mode & _WRITABLE_BY_OTHERS:
            raise InstallationFailed(f"{path}: {part} is a link where others can write: put a folder or a mount there") from None
        return os.open(part, _STEP, dir_fd=folder)


@dataclass(frozen=True)
class File:
    """A file with a text; that of a secret one is never shown. ``content`` None: whatever stands in it is right."""

    path: Path
    owner: Owner
    content: str | None
    secret: bool = False

    @property
    def name(self) -> str:
        """How it is called."""
        return f"file {self.path}"

    def look(self) -> Finding:
        """Return whether it is missing, or holds something else."""
        try:
            found, present = self.path.stat(), self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return Finding(missing=(str(self.owner),), diff=self._diff(""))
        except UnicodeDecodeError:
            raise InstallationFailed(f"{self.path} is not UTF-8: move it out of the way") from None
        other = self.content is not None and self.content != present
        words = ("holds something else",) if other else ()
        return Finding(wrong=(*words, *self.owner.differences(found)), diff=self._diff(present) if other else "")

    def make(self) -> None:
        """Write it in one step, so that nobody ever reads half of it; what stood there is kept as ``NAME.old`` if it is no secret."""
        if self.content is not None and not self._holds(self.content):
            if self.path.exists() and not self.secret:
                shutil.copy2(self.path, self.path.with_name(f"{self.path.name}.old"))
            self._write(self.content)
        self.owner.give(self.path)

    def _holds(self, content: str) -> bool:
        return self.path.exists() and self.path.read_text(encoding="utf-8") == content

    def _write(self, content: str) -> None:
        temporary = self.path.with_name(f".{self.path.name}.{secrets.token_hex(4)}")
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "w", encoding="utf-8") as file:
                file.write(content)
                file.flush()
                os.fsync(descriptor)
            self.owner.give(temporary)
            temporary.replace(self.path)
        finally:
            temporary.unlink(missing_ok=True)

    def _diff(self, present: str) -> str:
        if self.secret or self.content is None:
            return ""
        names = (str(self.path) if present else "/dev/null", str(self.path))
        return "\n".join(difflib.unified_diff(_shown(present), _shown(self.content), *names, lineterm=""))


def _shown(text: str) -> list[str]:
    """Return the lines of a text without the passwords in it."""
    return _SECRET_LINE.sub(r"\1 ...", text).splitlines()


def find_changeable(program: Path) -> Path | None:
    """Return what of a program's path, links followed, others than root, or who runs this, can change: they could be root by it.

    What is not there yet counts as well kept.
    """
    whole = dict.fromkeys(place for path in (program.absolute(), program.resolve()) for place in (path, *path.parents))
    for place in whole:
        try:
            found = place.lstat()
        except FileNotFoundError:
            continue
        shared = found.st_mode & _WRITABLE_BY_OTHERS and not found.st_mode & stat.S_ISVTX and not stat.S_ISLNK(found.st_mode)
        if shared or found.st_uid not in {0, os.geteuid()}:
            return place
    return None


# -- the host's accounts ------------------------------------------------------------------------------------------------


def own_names() -> tuple[str, str]:
    """Return the user and the group by whom this runs: root's, where a host is set up."""
    return _user_name(os.geteuid()), _group_name(os.getegid())


def user_id(name: str) -> int | None:
    """Return a user's number, ``None`` if there is no such user."""
    found = _user(name)
    return None if found is None else found.pw_uid


def group_id(name: str) -> int | None:
    """Return a group's number, ``None`` if there is no such group."""
    found = _group(name)
    return None if found is None else found.gr_gid


def _user(name: str) -> pwd.struct_passwd | None:
    with contextlib.suppress(KeyError):
        return pwd.getpwnam(name)
    return None


def _group(name: str) -> grp.struct_group | None:
    with contextlib.suppress(KeyError):
        return grp.getgrnam(name)
    return None


def _user_name(number: int) -> str:
    with contextlib.suppress(KeyError):
        return pwd.getpwuid(number).pw_name
    return str(number)


def _group_name(number: int) -> str:
    with contextlib.suppress(KeyError):
        return grp.getgrgid(number).gr_name
    return str(number)


def _run(*command: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise InstallationFailed(f"there is no program {command[0]} on this host: install Debian's package passwd") from None
    except subprocess.CalledProcessError as error:
        raise InstallationFailed(f"{' '.join(command)}: {error.stderr.strip() or error}") from None
