# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the guest's shell is told, and how values are handed to it: none of them is in a script or in an argument of a program.

A script reads its values from its standard input, a line for each, before whatever else is meant for the program. Its files begin
with ``at``, a path that nobody can guess, and are the guest's administrator's alone: ``.i`` is what was brought there, ``.o`` and
``.e`` are what a program wrote.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

SHELL: Final = "/bin/sh"
FAILED: Final = 125  # a script could not do its own part; standard error says why
MISMATCH: Final = 93  # a file arrived otherwise than it was sent
SUMMARY: Final = "archipel"  # the first word of what a program's run ends with
SAFE: Final = re.compile(rb"[^ -\[\]-~]")  # all but printable ASCII, and the backslash
_ERE: Final = re.compile(r"([.\[\](){}*+?^$|\\])")

PLAIN, PACKED, STAGED, STAGED_PACKED = "plain", "packed", "staged", "staged packed"
"""Where a program's input is: behind the values, or in a file; as it is, or packed by gzip."""

_HEAD: Final = r"""umask 077
PATH=${PATH:-/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin} HOME=~root
export PATH HOME
cd "$HOME" 2>/dev/null || cd /
field() {
    IFS= read -r value || exit 125
    case $value in *\\*) value=$(printf '%b.' "$value") && value=${value%.} ;; esac
}
fields() { for name in "$@"; do field; eval "$name=\$value"; done; }
set -C
"""

PREPARE: Final = (
    _HEAD
    + r"""fields at
: >"$at.i" || exit 125
"""
)
REMOVE: Final = (
    _HEAD
    + r"""fields at
rm -f "$at".?
"""
)
# Nobody has another child while he is ended.
_END: Final = r"""end() {
    kill -STOP "$1" 2>/dev/null
    for child in $(cat "/proc/$1"/task/*/children 2>/dev/null); do end "$child" "$2"; done
    kill "-$2" "$1" 2>/dev/null
    kill -CONT "$1" 2>/dev/null
}
"""
KILL: Final = (
    _HEAD
    + _END
    + r"""fields at
[ ! -e "$at.p" ] || end "$(cat "$at.p")" TERM
rm -f "$at".?
"""
)

_OPEN_INPUT: Final = r"""case $source in
plain) exec 3<&0 ;;
packed) gzip -dc >"$at.u" || exit 125; exec 3<"$at.u" ;;
staged) exec 3<"$at.i" ;;
*) gzip -dc <"$at.i" >"$at.u" || exit 125; exec 3<"$at.u" ;;
esac
"""
_AS_USER: Final = r"""as_user() {
    umask 022
    [ -n "$user" ] || exec /bin/sh -c "$1"
    exec su -s /bin/sh "$user" -c "cd 2>/dev/null || cd /
$1"
}
"""

# A program that asks for a password gets it once; input follows when it tells that it was taken. Who asks twice hears no more.
_ANSWER: Final = r"""answer() {
    sent= looks=0
    while [ "$looks" -lt 600 ] && [ ! -e "$at.c" ] && [ ! -e "$at.k" ]; do
        if grep -qF -e "$success" "$at.o"; then
            cat <&3 >&4 2>/dev/null
            return
        fi
        asked=$(cat "$at.o" "$at.e" | grep -Eo -e "$prompt" | wc -l)
        [ "$asked" -le 1 ] || return
        if [ "$asked" -eq 1 ] && [ -z "$sent" ]; then
            sent=1
            printf '%s\n' "$password" >&4
        fi
        looks=$((looks + 1))
        sleep 0.1
    done
}
run_answering() {
    mkfifo "$at.f" || exit 125
    { (as_user "$command"); echo $? >"$at.c"; } 3<&- <"$at.f" >>"$at.o" 2>>"$at.e" &
    program=$!
    echo "$program" >"$at.p"
    exec 4>"$at.f"
    begin_watch "$program"
    trap '' PIPE
    answer
    exec 4>&-
    wait "$program"
    code=$?
    [ ! -s "$at.c" ] || read -r code <"$at.c"
    end_watch
}
run() {
    as_user "$command" <&3 >>"$at.o" 2>>"$at.e" &
    program=$!
    echo "$program" >"$at.p"
    begin_watch "$program"
    wait "$program"
    code=$?
    end_watch
}
"""
# A program that writes more than it may is ended, whether it likes to or not.
_WATCH: Final = r"""watch() {
    while sleep 1; do
        set -- "$1" $(wc -c "$at.o" "$at.e")
        [ $(($2 + $4)) -le "$most" ] || { : >|"$at.k"; end "$1" KILL; }
    done
}
begin_watch() {
    watcher=
    [ -z "$most" ] || { { exec </dev/null >/dev/null 2>&1 3<&- 4>&-; watch "$1"; } & watcher=$!; }
}
end_watch() { [ -z "$watcher" ] || { kill "$watcher"; wait "$watcher"; } 2>/dev/null; }
"""
# What costs a process more is left out where it can be: under emulation each takes as long as a whole request.
RUN: Final = (
    _HEAD
    + _AS_USER
    + _ANSWER
    + _END
    + _WATCH
    + r"""fields at source user room most password prompt success command
: >"$at.o" && : >"$at.e" || exit 125
"""
    + _OPEN_INPUT
    + r"""if [ -n "$password" ]; then run_answering; else run; fi
set -- 0 - 0
if [ -s "$at.o" ] || [ -s "$at.e" ]; then set -- $(wc -c "$at.o" "$at.e"); fi
if [ -n "$most" ] && [ $(($1 + $3)) -gt "$most" ]; then
    echo "archipel $code $1 $3"
    rm -f "$at".?
elif [ $(($1 + $3)) -le "$room" ]; then
    echo "archipel $code $1 $3"
    [ $(($1 + $3)) -eq 0 ] || cat "$at.o" "$at.e"
    rm -f "$at".? </dev/null >/dev/null 2>&1 3<&- &
else
    echo "archipel $code $1 $3" $(sha256sum <"$at.o") $(sha256sum <"$at.e")
fi
"""
)

# Beside the file, compared, and only then moved over it: nobody ever sees half of it.
_WRITE: Final = r"""umask 077
IFS= read -r path; case $path in *\\*) path=$(printf "%b." "$path"); path=${path%.} ;; esac
IFS= read -r mark; IFS= read -r mode; IFS= read -r digest
case $path in */*) beside=${path%/*}/.archipel-$mark ;; *) beside=.archipel-$mark ;; esac
[ ! -d "$path" ] || { echo "is a folder" >&2; exit 125; }
cat >"$beside" || { rm -f "$beside"; exit 125; }
case $(sha256sum <"$beside") in "$digest "*) ;; *) rm -f "$beside"; exit 93 ;; esac
chmod "$mode" "$beside" && mv -f "$beside" "$path" || { rm -f "$beside"; exit 125; }
"""
PUT: Final = (
    _HEAD
    + _AS_USER
    + r"""fields at source user mark mode digest
IFS= read -r path
"""
    + _OPEN_INPUT
    + r"""{ printf '%s\n' "$path" "$mark" "$mode" "$digest"; cat <&3; } | (as_user '"""
    + _WRITE
    + r"""')
code=$?
[ "$source" = plain ] || rm -f "$at".? </dev/null >/dev/null 2>&1 3<&- &
exit $code
"""
)


def write_values(values: Iterable[str | bytes]) -> bytes:
    """Return values as a script reads them: a line for each, with all that is not plain as octal numbers."""
    return b"".join(SAFE.sub(_as_octal, _to_bytes(value)) + b"\n" for value in values)


def _to_bytes(value: str | bytes) -> bytes:
    raw = value.encode(errors="surrogateescape") if isinstance(value, str) else value
    if b"\0" in raw:
        raise ValueError("a guest's shell takes no NUL")
    return raw


def _as_octal(found: re.Match[bytes]) -> bytes:
    return b"\\0%03o" % found[0][0]


def escape(text: str) -> str:
    """Return the extended regular expression (POSIX) of a text."""
    return _ERE.sub(r"\\\1", text)
