# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the guest's shell is told, and how values are handed to it: none of them is in a script or in an argument of a program.

A script reads its values from its standard input, a line for each, before whatever else is meant for the program. It works in a
``folder`` that only the guest's administrator can enter: ``i`` is what was brought there, ``o`` and ``e`` are what a program wrote.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

SHELL: Final = "/bin/sh"
FAILED: Final = 125  # a script could not do its own part; standard error says why
MISMATCH: Final = 93  # a file arrived otherwise than it was sent
SUMMARY: Final = "archipel"  # the first word of what a program's run ends with
SAFE: Final = re.compile(rb"[^A-Za-z0-9 _/.:,=@+-]")
_ERE: Final = re.compile(r"([.\[\](){}*+?^$|\\])")

PLAIN, PACKED, STAGED, STAGED_PACKED = "plain", "packed", "staged", "staged packed"
"""Where a program's input is: behind the values, the same packed by gzip, or in the folder."""

_HEAD: Final = r"""umask 077
PATH=${PATH:-/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin} HOME=~root
export PATH HOME
cd "$HOME" 2>/dev/null || cd /
field() { IFS= read -r value && value=$(printf '%b.' "$value") && value=${value%.}; }
"""

PREPARE: Final = (
    _HEAD
    + r"""field && mkdir "$value" && : >"$value/i" || exit 125
"""
)
REMOVE: Final = (
    _HEAD
    + r"""field && rm -rf "$value"
"""
)
KILL: Final = (
    _HEAD
    + r"""field
end() { for child in $(cat "/proc/$1"/task/*/children 2>/dev/null); do end "$child"; done; kill "$1" 2>/dev/null; }
[ ! -e "$value/p" ] || end "$(cat "$value/p")"
rm -rf "$value"
"""
)

# Bring the input to $input, a file; what was staged is removed with the folder.
_OPEN_INPUT: Final = r"""[ -d "$folder" ] || mkdir "$folder" || exit 125
case $source in
plain) exec 3<&0 ;;
packed) { gzip -dc >"$folder/i" || exit 125; } && exec 3<"$folder/i" ;;
staged) exec 3<"$folder/i" ;;
*) { gzip -dc <"$folder/i" >"$folder/u" && mv "$folder/u" "$folder/i" || exit 125; } && exec 3<"$folder/i" ;;
esac
"""
_AS_USER: Final = r"""as_user() {
    [ -n "$user" ] || exec /bin/sh -c "$1"
    exec su -s /bin/sh "$user" -c "cd 2>/dev/null || cd /
$1"
}
"""

# A program that asks for a password gets it once; input follows when it tells that it was taken. Who asks twice hears no more.
RUN: Final = (
    _HEAD
    + _AS_USER
    + r"""for name in folder source user room password prompt success command; do field || exit 125; eval "$name=\$value"; done
"""
    + _OPEN_INPUT
    + r"""answer() {
    sent= looks=0
    while [ "$looks" -lt 600 ] && [ ! -e "$folder/c" ]; do
        if grep -qF -e "$success" "$folder/o"; then
            cat <&3 >&4 2>/dev/null
            return
        fi
        asked=$(cat "$folder/o" "$folder/e" | grep -Eo -e "$prompt" | wc -l)
        [ "$asked" -le 1 ] || return
        if [ "$asked" -eq 1 ] && [ -z "$sent" ]; then
            sent=1
            printf '%s\n' "$password" >&4
        fi
        looks=$((looks + 1))
        sleep 0.1
    done
}
: >"$folder/o"
if [ -n "$password" ]; then
    mkfifo "$folder/f" || exit 125
    { (umask 022; as_user "$command"); echo $? >"$folder/c"; } 3<&- <"$folder/f" >"$folder/o" 2>"$folder/e" &
    echo $! >"$folder/p"
    exec 4>"$folder/f"
    trap '' PIPE
    answer
    exec 4>&-
    wait
    read -r code <"$folder/c"
else
    (umask 022; as_user "$command") <&3 >"$folder/o" 2>"$folder/e" &
    echo $! >"$folder/p"
    wait $!
    code=$?
fi
set -- $(wc -c <"$folder/o") $(wc -c <"$folder/e")
if [ $(($1 + $2)) -le "$room" ]; then
    echo "archipel $code $1 $2"
    cat "$folder/o" "$folder/e"
    rm -rf "$folder"
else
    echo "archipel $code $1 $2" $(sha256sum <"$folder/o") $(sha256sum <"$folder/e")
fi
"""
)

# Beside the file, compared, and only then moved over it: nobody ever sees half of it.
_WRITE: Final = r"""umask 077
IFS= read -r line; path=$(printf "%b." "$line"); path=${path%.}
IFS= read -r mark; IFS= read -r mode; IFS= read -r digest
case $path in */*) beside=${path%/*}/.archipel-$mark ;; *) beside=.archipel-$mark ;; esac
[ ! -d "$path" ] || { echo "$path is a folder" >&2; exit 125; }
cat >"$beside" || { rm -f "$beside"; exit 125; }
case $(sha256sum <"$beside") in "$digest "*) ;; *) rm -f "$beside"; exit 93 ;; esac
chmod "$mode" "$beside" && mv -f "$beside" "$path" || { rm -f "$beside"; exit 125; }
"""
PUT: Final = (
    _HEAD
    + _AS_USER
    + r"""for name in folder source user mark mode digest; do field || exit 125; eval "$name=\$value"; done
IFS= read -r path
"""
    + _OPEN_INPUT
    + r"""{ printf '%s\n' "$path" "$mark" "$mode" "$digest"; cat <&3; } | (as_user '"""
    + _WRITE
    + r"""')
code=$?
rm -rf "$folder"
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
