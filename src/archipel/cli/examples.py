# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each command's help shows as an example: lines that the pages of the documentation have, too, where tests type them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import click

EXAMPLES: Final = """
archipel --hypervisor hypervisor@example.org login admin@example.org
archipel ls
archipel --json ls
archipel show web
archipel define web.xml
archipel start --wait web
archipel shutdown web
archipel stop web
archipel reboot web
archipel suspend web
archipel resume web
archipel manage legacy
archipel unmanage legacy
archipel free --keep-disks legacy
archipel autostart legacy on
archipel memory legacy 32M
archipel vcpus legacy 1
archipel addresses web
archipel device attach web card.xml
archipel device detach web card.xml
archipel device update web card.xml --live
archipel oom show web
archipel oom set web -500
archipel clone web copy --wait
archipel park copy
archipel unpark --wait --timeout 60 copy
archipel parked list
archipel parked show copy
archipel parked define copy other.xml
archipel parked delete --wait --timeout 60 copy
archipel drive list web
archipel drive create web data 10M
archipel drive create web system 20M --golden debian.qcow2
archipel drive delete web old.raw
archipel drive convert web data.qcow2 raw
archipel drive rename web data.raw old
archipel drive resize web data.qcow2 20M
archipel drive goldens web
archipel drive make-golden web base.qcow2 debian.qcow2
archipel drive isos web
archipel snapshot list web
archipel snapshot take web before --description 'as it was'
archipel snapshot revert web before
archipel snapshot delete web before
archipel screenshot web web.png
archipel console web
archipel console --kind text web
archipel guest info web
archipel guest exec --timeout 10 web ls -l /srv
archipel guest read web /etc/motd copy.txt
archipel guest write --append web motd.txt /etc/motd
archipel guest ping web
archipel guest freeze web
archipel guest thaw web
archipel guest set-clock web
archipel migrate web second@example.org/host2
archipel cancel-migration web
archipel schedule list web
archipel schedule actions web
archipel schedule add web create --weekday mon-fri --hour 8 --minute 0 --comment 'before the course'
archipel schedule remove web 2b6c4d0e-0000-4000-8000-000000000001
archipel tag list
archipel tag set web tp1 linux
archipel avatar list web
archipel avatar choose web defaultvm.png
archipel contacts list web
archipel contacts add web student@example.org
archipel contacts remove web student@example.org
archipel notices show web
archipel notices set web --verbosity alarms --quiet 22:00-07:00 --zone Europe/Berlin
archipel notices reset web
archipel notifier routes
archipel notifier test night-shift
archipel health
archipel health --history 2 --step sample
archipel health web
archipel network list
archipel network show lab
archipel network define --autostart lab.xml
archipel network undefine lab
archipel network start lab
archipel network stop lab
archipel network leases default
archipel network bridges
archipel network interfaces
archipel nwfilter list
archipel nwfilter show no-mac-spoofing
archipel nwfilter define filter.xml
archipel nwfilter undefine lab
archipel pool list
archipel pool define --autostart pool.xml
archipel pool start images
archipel pool stop images
archipel pool undefine images
archipel pool refresh images
archipel volume list images
archipel volume create images one 1G --format qcow2
archipel volume create images two --backing one --backing-format qcow2
archipel volume delete images one
archipel volume resize images one 2G
archipel appliance feeds
archipel appliance subscribe https://feeds.example.org/rss.xml
archipel appliance unsubscribe 2b6c4d0e-0000-4000-8000-000000000001
archipel appliance list
archipel appliance download 2b6c4d0e-0000-4000-8000-000000000002
archipel appliance downloads
archipel appliance stop 2b6c4d0e-0000-4000-8000-000000000002
archipel appliance delete 2b6c4d0e-0000-4000-8000-000000000002
archipel appliance offers web
archipel appliance install web 2b6c4d0e-0000-4000-8000-000000000002
archipel appliance release web
archipel appliance package web webserver --compress --include-iso
archipel grant student@example.org info create shutdown --on web
archipel grant student@example.org --role student --until 2099-07-01 --reason 'practical work' --on web
archipel deny student@example.org reboot --on web
archipel revoke student@example.org shutdown --on web
archipel rights list --on web
archipel rights list student@example.org --on web
archipel rights why student@example.org stop web
archipel rights rules --on hypervisor@example.org
archipel rights roles --on hypervisor@example.org
archipel rights groups --on hypervisor@example.org
archipel rights set-role operator create shutdown info --description 'Start and stop' --on hypervisor@example.org
archipel rights remove-role operator --on hypervisor@example.org
archipel rights set-group tp1 student@example.org --on hypervisor@example.org
archipel watch
archipel --json watch web
archipel chat web resume
archipel chat --tag tp1 how are you
archipel audit web
archipel audit --limit 50 --failed --since 2026-11-21T08:00Z
archipel command web --xml '<query xmlns="archipel:vm:control"><archipel action="autostart" value="1"/></query>'
archipel admins list
archipel admins add teacher@example.org
archipel admins remove teacher@example.org
archipel platform init --hypervisor hypervisor@example.org --hypervisor hypervisor2@example.org
archipel completion bash > ~/.local/share/bash-completion/completions/archipel
"""
_BEFORE_THE_NAME: Final = re.compile(r"archipel(?: --json| --hypervisor \S+)* ")


def give_examples(group: click.Group) -> None:
    """Show its examples at the end of the help of each command below ``group``."""
    for words, command in _walk(group):
        lines = examples_of(words)
        command.epilog = "\b\n" + "\n".join(["Examples:" if len(lines) > 1 else "Example:", *(f"  {line}" for line in lines)])


def examples_of(words: str) -> list[str]:
    """Return the examples of the command that these words call."""
    return [line for line in EXAMPLES.strip().splitlines() if f"{_BEFORE_THE_NAME.sub('', line, count=1)} ".startswith(f"{words} ")]


def _walk(group: click.Group, before: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        words = f"{before} {name}".strip()
        if isinstance(command, click.Group):
            yield from _walk(command, words)
        else:
            yield words, command
