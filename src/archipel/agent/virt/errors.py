# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a request to libvirt did not succeed."""

from __future__ import annotations


class VirtError(Exception):
    """A request to libvirt did not succeed; the text says why, in plain words and without secrets."""


class LibvirtError(VirtError):
    """libvirt refused or failed: ``code`` is its virErrorNumber, ``domain`` its virErrorDomain (the driver that speaks)."""

    def __init__(self, code: int, domain: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.domain = domain
        self.message = message


class DomainNotFound(LibvirtError):
    """There is no such domain (VIR_ERR_NO_DOMAIN): undefined, or transient and stopped."""


class TooManyVcpus(VirtError):
    """More virtual CPUs were asked for than the domain's definition allows."""

    def __init__(self, count: int, maximum: int) -> None:
        super().__init__(f"{count} virtual CPUs were asked for, the definition allows {maximum}: raise its <vcpu> first")
        self.count = count
        self.maximum = maximum


class LibvirtTimeout(VirtError):
    """libvirt did not answer ``call`` within ``seconds``. Nobody knows the outcome: the call may still take effect."""

    def __init__(self, call: str, seconds: float) -> None:
        super().__init__(f"libvirt did not answer {call} within {seconds:g} s; it may still take effect")
        self.call = call
        self.seconds = seconds


class LibvirtBusy(VirtError):
    """``call`` was never begun, because earlier calls hang: nothing has happened."""

    def __init__(self, call: str, reason: str) -> None:
        super().__init__(f"libvirt was not asked for {call}: {reason}")
        self.call = call


class LibvirtUnavailable(VirtError):
    """There is no connection to libvirt.

    ``in_flight`` says that the connection broke while libvirt worked on the call: it may have taken effect.
    """

    def __init__(self, reason: str, *, in_flight: bool = False) -> None:
        super().__init__(reason)
        self.in_flight = in_flight
