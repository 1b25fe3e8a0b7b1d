# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a host every ten milliseconds whether it is there (ICMP), until it is ended; prints the moment of each answer.

``python tests/e2e/pinger.py ADDRESS``; takes root. The network that it asks in is that of its process.
"""

from __future__ import annotations

import socket
import struct
import sys
import time

INTERVAL = 0.01  # seconds
ECHO, REPLY = 8, 0  # RFC 792


def checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def packet(number: int) -> bytes:
    body = struct.pack("!HH", 0x4D49, number & 0xFFFF)
    return struct.pack("!BBH", ECHO, 0, checksum(struct.pack("!BBH", ECHO, 0, 0) + body)) + body


def main(address: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as wire:
        wire.setblocking(False)
        number, due = 0, time.monotonic()
        while True:
            if time.monotonic() >= due:
                number, due = number + 1, due + INTERVAL
                try:
                    wire.sendto(packet(number), (address, 0))
                except OSError:
                    continue
            try:
                found, (sender, _) = wire.recvfrom(200)
            except BlockingIOError:
                time.sleep(INTERVAL / 10)
                continue
            if sender == address and found[20] == REPLY:
                print(time.monotonic(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
