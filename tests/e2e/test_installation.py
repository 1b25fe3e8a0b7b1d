# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``archipel-agent-init`` on a host: the real user, the real places; in a mount namespace of its own, so that this host keeps nothing."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(sys.executable).with_name("archipel-agent-init")
ANSWERS = "--server lab.example --admin teacher@lab.example --data-folder /mnt/vm --password-file -"
# What the host has stands in copies of /etc and in empty folders for the time of the script.
SCRIPT = """set -e
cp -a /etc "$PLACE/etc"
mkdir "$PLACE/log"
mount --bind "$PLACE/etc" /etc
mount --bind "$PLACE/log" /var/log
mount -t tmpfs none /var/lib
mount -t tmpfs none /mnt
rm -rf /etc/archipel /etc/systemd/system/archipel-agent.service
install() {{ echo secret | {program} {answers} "$@"; }}
install --check | tail -1
! id archipel-e2e
install | grep '^made'
install
stat -c '%U:%G %a %n' /etc/archipel /etc/archipel/* /var/lib/archipel* /var/log/archipel /mnt/vm /mnt/vm/* /etc/systemd/system/archipel-agent.service
getent passwd archipel-e2e | cut -d: -f 6,7
runuser -u archipel-e2e -- head -c 6 /etc/archipel/hypervisor.password
"""


def test_the_agent_is_installed_where_it_belongs_with_a_user_of_its_own(tmp_path: Path) -> None:
    assert os.geteuid() == 0, "run this as root: users are made"
    script = SCRIPT.format(program=shlex.quote(str(PROGRAM)), answers=f"{ANSWERS} --user archipel-e2e --image-group archipel-e2e")
    command = ["unshare", "--mount", "bash", "-c", script]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120, env={**os.environ, "PLACE": str(tmp_path)})
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    lines = done.stdout.splitlines()
    assert lines[0].startswith("would make file /etc/systemd/system/archipel-agent.service")
    assert any(line.startswith("made     user archipel-e2e: a system user that cannot log in") for line in lines)
    assert "nothing to do" in lines
    user = "archipel-e2e:archipel-e2e"
    assert {
        "root:archipel-e2e 750 /etc/archipel",
        "root:archipel-e2e 640 /etc/archipel/archipel.conf",
        f"{user} 600 /etc/archipel/hypervisor.password",
        f"{user} 700 /var/lib/archipel",
        f"{user} 750 /var/log/archipel",
        f"{user} 2770 /mnt/vm/drives",
        "root:root 644 /etc/systemd/system/archipel-agent.service",
    } <= set(lines)
    assert lines[-2:] == ["/var/lib/archipel:/usr/sbin/nologin", "secret"]
    assert subprocess.run(["id", "archipel-e2e"], check=False, capture_output=True).returncode != 0, "the host has no such user"
