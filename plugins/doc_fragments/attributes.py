# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What modules can do, in the words of ansible-doc."""

from __future__ import annotations


class ModuleDocFragment:
    # The words, and what is the same for all modules; a module takes this one and CHANGES or READS.
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying target.
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
  idempotent:
    description:
      - When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
      - This assumes that the system controlled or queried by the module has not changed in a relevant way.
  action_group:
    description: Use C(group/archipel.platform.archipel) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - archipel.platform.archipel
  platform:
    description: Operating systems on which the module can run.
    platforms: posix
    support: full
notes:
  - A module that fails says in RV(ignore:msg) which host, machine and option it is about, what is wrong and what to do.
  - For scripts, RV(ignore:missing_right) is the right that the account lacks, RV(ignore:condition) the condition of RFC 6120 with which
    the agent refused, such as V(forbidden).
  - The guide "When something does not work" has the usual messages.
"""

    CHANGES = r"""
options: {}
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
"""

    READS = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - This action does not modify state.
  diff_mode:
    support: N/A
    details:
      - This action does not modify state.
  idempotent:
    support: full
    details:
      - This action does not modify state.
"""
