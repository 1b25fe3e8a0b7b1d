# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which rights and roles there are; written by: python -m archipel.agent.rights_reference plugins/doc_fragments/rights.py."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  rights:
    description:
      - The rights, by the names that the agent lists (C(archipel rights) shows them). Those of installed capabilities come
        besides.
      - V(all) stands for everything but the rights that are granted one by one.
      - Of hypervisors - V(all), V(alloc), V(audit_get), V(capabilities), V(clone), V(domain_policy_bypass), V(free),
        V(geolocalization_get), V(getavatars), V(getroster), V(golden_imagedelete), V(golden_images), V(health_history),
        V(health_info), V(health_logs), V(ip), V(manage), V(message), V(migrationinfo), V(network_bridges), V(network_create),
        V(network_define), V(network_destroy), V(network_get), V(network_getnames), V(network_getnics), V(network_getnwfilters),
        V(network_leases), V(network_nwfilter_define), V(network_undefine), V(nodeinfo), V(notifier_routes), V(notifier_test),
        V(nuagenetwork_create), V(nuagenetwork_delete), V(nuagenetwork_get), V(nuagenetwork_getnames), V(nuagenetwork_update),
        V(ownership_get), V(ownership_set), V(permission_get), V(permission_getown), V(permission_list), V(permission_set),
        V(permission_setown), V(presence), V(rostervm), V(scheduler_actions), V(scheduler_jobs), V(scheduler_schedule),
        V(scheduler_unschedule), V(setavatar), V(setorginfo), V(settags), V(soft_alloc), V(storage_poolcreate),
        V(storage_pooldefine), V(storage_pooldestroy), V(storage_poolrefresh), V(storage_pools), V(storage_poolundefine),
        V(storage_volumecreate), V(storage_volumedelete), V(storage_volumeresize), V(storage_volumes), V(subscription_add),
        V(subscription_remove), V(unmanage), V(vmcasting_deleteappliance), V(vmcasting_downloadappliance),
        V(vmcasting_downloadqueue), V(vmcasting_get), V(vmcasting_getappliances), V(vmcasting_getinstalledappliances),
        V(vmcasting_register), V(vmcasting_unregister), V(vmparking_create_parked), V(vmparking_delete),
        V(vmparking_edit_definition), V(vmparking_list), V(vmparking_park), V(vmparking_unpark), V(vmparking_updatexml),
        V(xmppserver_users_filter), V(xmppserver_users_list), V(xmppserver_users_number).
      - Of machines - V(all), V(appliance_attach), V(appliance_detach), V(appliance_get), V(appliance_package), V(audit_get),
        V(autostart), V(capabilities), V(create), V(define), V(destroy), V(domain_policy_bypass), V(drives_convert),
        V(drives_create), V(drives_create_golden), V(drives_delete), V(drives_get), V(drives_getgolden), V(drives_getiso),
        V(drives_rename), V(drives_resize), V(drives_setgolden), V(free), V(getavatars), V(getroster), V(guest_exec),
        V(guest_file_read), V(guest_file_write), V(guest_freeze), V(guest_info), V(guest_password), V(guest_time),
        V(health_history), V(health_info), V(info), V(memory), V(message), V(migrate), V(network_bridges), V(network_getnames),
        V(network_getnics), V(network_getnwfilters), V(networkinfo), V(nodeinfo), V(nuagenetwork_get), V(nuagenetwork_getnames),
        V(oom_getadjust), V(oom_setadjust), V(permission_get), V(permission_getown), V(permission_list), V(permission_set),
        V(permission_setown), V(presence), V(reboot), V(resume), V(roster), V(scheduler_actions), V(scheduler_jobs),
        V(scheduler_schedule), V(scheduler_unschedule), V(screenshot), V(setavatar), V(settags), V(setvcpus), V(shutdown),
        V(snapshot_current), V(snapshot_delete), V(snapshot_get), V(snapshot_revert), V(snapshot_take), V(subscription_add),
        V(subscription_remove), V(suspend), V(undefine), V(vmparking_park), V(vnc_display), V(xmldesc),
        V(xmppserver_users_filter), V(xmppserver_users_list), V(xmppserver_users_number).
      - O(rights) or O(roles) is needed with O(state=present). With O(state=absent) all rights of the subjects are revoked if
        neither is named.
    type: list
    elements: str
  roles:
    description:
      - Roles, which are named sets of rights (C(archipel rights roles) shows them), those made on the hypervisor besides.
      - Built in are V(assistant), V(auditor), V(developer), V(host-admin), V(student), V(teacher), V(webmaster).
    type: list
    elements: str
    aliases:
      - role
"""
