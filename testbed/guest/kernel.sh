#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Debian's kernel, unpacked and not installed: for scripts that have set
#   work  a folder to work in
#   tree  a folder of what the initrd will hold
#   out   the folder of what they make
: "${work:?}" "${tree:?}" "${out:?}"

unpack_kernel() { # METAPACKAGE
    local package
    package=$(apt-cache depends "$1" | awk '/Depends:/ { print $2; exit }')
    [ -n "$package" ] || {
        echo "no package $1: run apt-get update first" >&2
        exit 1
    }
    (cd "$work" && apt-get -q download "$package" && dpkg-deb -x "$package"_*.deb kernel)
    # Debian 13 has /usr/lib, Debian 12 /lib
    [ -d "$work/kernel/lib" ] || ln -s usr/lib "$work/kernel/lib"
    version=$(ls "$work/kernel/lib/modules")
    cp "$work/kernel/boot/vmlinuz-$version" "$out/vmlinuz"
    depmod -b "$work/kernel" "$version"
}

copy_modules() { # MODULE...; numbered in the order in which they must be loaded, unpacked: busybox loads no compressed ones
    local module file number=0
    mkdir -p "$tree/lib/modules"
    for module in "$@"; do
        modprobe -d "$work/kernel" -S "$version" --show-depends "$module" | awk '$1 == "insmod" { print $2 }'
    done | awk '!seen[$0]++' >"$work/modules"
    while read -r file; do
        number=$((number + 1))
        cp "$file" "$tree/lib/modules/$(printf %02d "$number")-${file##*/}"
    done <"$work/modules"
    find "$tree/lib/modules" -name '*.xz' -exec xz --decompress {} +
}

pack_initrd() { # not compressed: under emulation that costs more than reading a larger file
    (cd "$tree" && find . | cpio --quiet -o -H newc -R 0:0) >"$out/initrd.img"
}
