# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole platform on one machine, to look at: ``python -m testbed.demo start|stop|status`` (``make demo``, ``make demo-stop``)."""
