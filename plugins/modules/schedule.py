# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: schedule
short_description: Declare what machines and hypervisors do later, or again and again
version_added: 0.1.0
author:
  - Archipel for Ansible contributors (@archipel)
description:
  - Says which jobs virtual machines or their hypervisor have. A job is done with the rights that its creator has when it runs; who
    runs the playbook is the creator of those that it makes.
  - Jobs are known by their names, which agents keep as the jobs' comments. A job whose name is there twice becomes one.
  - When is said as cron does - numbers, V(*), or expressions such as V(*/15), V(1-5), V(8,20), V(mon-fri).
    What is left out beside a larger field is its smallest value, so O(hour=8) is 8:00:00 every day; larger fields that are left out
    are any.
  - A job for one moment that is over is not made again.
extends_documentation_fragment:
  - archipel.platform.connection
  - archipel.platform.attributes
  - archipel.platform.attributes.changes
options:
  machines:
    description:
      - The machines that have the job, by name, UUID or JID.
      - Without it, it is about the hypervisor itself.
    type: list
    elements: str
    aliases:
      - machine
  name: &name
    description:
      - What the job is called among those of its machine.
    type: str
  job: &job
    description:
      - What is done, such as V(create) (which starts a machine), V(shutdown), V(destroy), V(suspend), V(resume), V(reboot), V(pause),
        V(snapshot), V(migrate), or V(alloc) and V(free) of a hypervisor. C(archipel schedule actions) lists what there is.
      - Needed with O(state=present).
    type: str
  param: &param
    description:
      - What the job needs to know, such as how the names of snapshots begin.
    type: str
  year: &year
    description:
      - The year.
    type: str
  month: &month
    description:
      - The month, V(1) to V(12).
    type: str
  day: &day
    description:
      - The day of the month, V(1) to V(31) or V(last).
    type: str
  weekday: &weekday
    description:
      - The day of the week, V(mon) to V(sun).
    type: str
  hour: &hour
    description:
      - The hour, V(0) to V(23), in the time zone of the agent.
    type: str
  minute: &minute
    description:
      - The minute.
    type: str
  second: &second
    description:
      - The second. A job runs every ten seconds at most.
    type: str
  state: &state
    description:
      - Whether there is such a job. V(present) unless given.
    type: str
    choices:
      - present
      - absent
  jobs:
    description:
      - Many jobs in one run, which is one session. The options beside the list are defaults for its entries.
    type: list
    elements: dict
    suboptions:
      name: *name
      job: *job
      param: *param
      year: *year
      month: *month
      day: *day
      weekday: *weekday
      hour: *hour
      minute: *minute
      second: *second
      state: *state
  exclusive:
    description:
      - Whether there are no other jobs than those declared. With an empty list of O(jobs) there are none.
    type: bool
    default: false
seealso:
  - module: archipel.platform.vm
"""

EXAMPLES = r"""
---
- name: A machine runs during lessons
  archipel.platform.schedule:
    machine: web
    jobs:
      - name: morning
        job: create
        weekday: mon-fri
        hour: "8"
      - name: evening
        job: shutdown
        weekday: mon-fri
        hour: "18"
        minute: "30"

- name: All machines of a class are off at night
  archipel.platform.schedule:
    machines:
      - web
      - mail
    name: night
    job: shutdown
    hour: "22"

- name: It ends with the term, once
  archipel.platform.schedule:
    machine: mail
    name: end of term
    job: destroy
    year: "2070"
    month: "7"
    day: "1"

- name: Nothing else is planned
  archipel.platform.schedule:
    machine: mail
    jobs: []
    exclusive: true
"""

RETURN = r"""
jobs:
  description: The jobs as they are now (in check mode, as they would be).
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The name.
      type: str
      sample: evening
    entity:
      description: The machine's name, or the hypervisor's account.
      type: str
      sample: web
    jid:
      description: Whose job it is.
      type: str
      sample: 5a0cb3a0-5b2c-4b5b-9f0e-6f1f7b6d3f11@example.org
    present:
      description: Whether there is such a job.
      type: bool
      sample: true
    job:
      description: What is done.
      returned: if there is such a job
      type: str
      sample: shutdown
    param:
      description: What the job needs to know.
      returned: if it has any
      type: str
      sample: nightly
    when:
      description: When, in the words of agents (year-month-day @ hour, minute, second).
      returned: if there is such a job
      type: str
      sample: "*-*-* @ 18 : 30 : 00"
    weekday:
      description: On which days of the week.
      returned: if it is declared
      type: str
      sample: mon-fri
    zone:
      description: The time zone of the hour.
      returned: if the job was there or was made
      type: str
      sample: Europe/Paris
    next_run:
      description: When it comes next.
      returned: if the job was there or was made
      type: str
      sample: "2026-11-23T18:30:00+01:00"
    creator:
      description: By whose rights it is done.
      returned: if the job was there or was made
      type: str
      sample: teacher@example.org
    uid:
      description: The job's identity.
      returned: if the job was there or was made
      type: str
      sample: 5d6f8a10-c5f5-11ef-9f5e-0242ac120002
    removed:
      description: The names of other jobs, which were removed.
      returned: with O(exclusive=true), in an entry of its own for each machine
      type: list
      elements: str
      sample:
        - old job
missing_right:
  description: The right that the account which logged in lacks.
  returned: when the agent refused for want of a right
  type: str
  sample: scheduler_schedule
"""

from collections.abc import Mapping
from typing import Any

from ansible_collections.archipel.platform.plugins.module_utils.connection import connection_arguments
from ansible_collections.archipel.platform.plugins.module_utils.directory import ENTITY_ARGUMENTS, find_entities
from ansible_collections.archipel.platform.plugins.module_utils.entries import EntryList
from ansible_collections.archipel.platform.plugins.module_utils.execution import Module, Run
from ansible_collections.archipel.platform.plugins.module_utils.jobs import JOB, DeclaredJob, OtherJobs
from ansible_collections.archipel.platform.plugins.module_utils.reconciler import Resource, reconcile_all

JOBS = EntryList(JOB, "jobs")
ARGUMENTS = {
    **connection_arguments(),
    **ENTITY_ARGUMENTS,
    **JOBS.options,
    "exclusive": {"type": "bool", "default": False},
}


def refuse(arguments: Mapping[str, Any]) -> None:
    JOBS.read(arguments)


async def schedule(run: Run) -> Mapping[str, Any]:
    entries = JOBS.read(run.arguments)
    declared: list[Resource] = []
    for named in await find_entities(run.hypervisor, run.arguments["machines"]):
        declared += [DeclaredJob(run.hypervisor, entry, check_mode=run.check_mode, named=named) for entry in entries]
        if run.arguments["exclusive"]:
            declared.append(OtherJobs(named, [entry["name"] for entry in entries]))
    return await reconcile_all(declared, "jobs", run)


MODULE = Module(
    ARGUMENTS,
    schedule,
    constraints=JOBS.constraints,
    refuse=refuse,
)


def main() -> None:
    MODULE.run()


if __name__ == "__main__":
    main()
