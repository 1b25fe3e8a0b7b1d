# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration: read whole, or refused with everything that is wrong in it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archipel.agent import plugins
from archipel.agent.config import ConfigError, load_settings, parse_settings
from archipel.agent.config_reference import render_example, render_page
from archipel.agent.options import BOOLEAN, Host, Option, Problem, Section, integer
from archipel.agent.secret import Secret
from archipel.agent.settings import CONCERNS, OPTIONS, LogFormat, Logging, LogLevel, Policy, option_of

ROOT = Path(__file__).parents[3]

ENOUGH = """
[DEFAULT]
xmpp_server = lab.example
[HYPERVISOR]
hypervisor_xmpp_password = hunter2
"""

# The options of the founding agent's own file, with values as its installer wrote them.
FOUNDING = """
[DEFAULT]
xmpp_server = lab.example
archipel_folder_lib = /var/lib/archipel/
archipel_general_uuid = 5a5d23ef-0b0e-4a3c-8b5a-04a0c9b7c2f1
archipel_folder_data = /vm/
[GLOBAL]
xmpp_pubsub_server = pubsub.%(xmpp_server)s
archipel_root_admins = admin@%(xmpp_server)s boss@%(xmpp_server)s
machine_ip = auto
use_avatar = True
machine_avatar_directory = %(archipel_folder_lib)s/avatars
libvirt_uri = qemu:///system
modules_configuration_path = /nowhere/modules.d/
module_loading_policy = restrictive
stateless_node = False
[VCARD]
orgname = Example Corp
orgunit = Dev
userid = contact@lab.example
locality = Somewhere
url =
categories = Archipel
[HYPERVISOR]
hypervisor_xmpp_jid = hyp-1@%(xmpp_server)s
hypervisor_xmpp_password = password
hypervisor_name = auto
hypervisor_database_path = %(archipel_folder_lib)s/hypervisor.sqlite3
hypervisor_default_avatar = defaulthypervisor.png
name_generation_file = %(archipel_folder_lib)s/names.txt
hypervisor_permissions_database_path = %(archipel_folder_lib)s/permissions.sqlite3
[VIRTUALMACHINE]
vm_base_path = %(archipel_folder_data)s/drives
vm_default_avatar = defaultvm.png
xmpp_password_size = 32
vm_permissions_database_path = /permissions.sqlite3
allow_blank_space_in_vm_name = True
enable_block_device_access = True
disable_screenshot = False
[LOGGING]
logging_level = debug
log_pubsub_item_expire = 3600
log_pubsub_max_items = 1000
logging_file_path = /var/log/archipel/archipel.log
logging_max_bytes = 5000000
logging_backup_count = 5
logging_date_format = %Y-%m-%d %H:%M:%S
logging_formatter = %(levelname)s::%(asctime)s.%(msecs)d::%(message)s
xmpppy_debug = False
[MODULES]
storage = True
vnc = False
[VNC]
vnc_only_ssl = False
[HEALTH]
max_cached_rows = 100
[IPHONENOTIFICATION]
credentials_key = abc
[NUAGE]
nuage_bridge = alubr0
"""


def problems_of(text: str) -> dict[str, str]:
    """Return what is wrong with a configuration: option to message."""
    with pytest.raises(ConfigError) as caught:
        parse_settings(text, hostname="host1")
    return {f"[{problem.section}] {problem.option}": f"{problem.what}. {problem.fix}" for problem in caught.value.problems}


def test_server_and_password_are_enough():
    found = parse_settings(ENOUGH, hostname="host1")
    assert found.xmpp.jid == "host1@lab.example"
    assert found.xmpp.pubsub_service == "pubsub.lab.example"
    assert found.xmpp.root_admins == found.xmpp.trusted_publishers == ("admin@lab.example",)
    assert found.xmpp.endpoints == ((None, None),)
    assert found.xmpp.password.reveal() == "hunter2"
    assert not found.xmpp.insecure_plaintext
    assert found.hypervisor.name == "host1"
    assert found.machines.base_path == Path("/vm/drives")
    assert found.state.database == Path("/var/lib/archipel/archipel.sqlite3")
    assert found.warnings == ()


def test_the_founding_file_is_read_with_warnings_only():
    found = parse_settings(FOUNDING, hostname="host1")
    assert found.xmpp.jid == "hyp-1@lab.example"
    assert found.xmpp.root_admins == ("admin@lab.example", "boss@lab.example")
    assert found.vcard.organisation.orgname == "Example Corp"
    assert found.logging == Logging(
        level=LogLevel.DEBUG, format=LogFormat.TEXT, file=Path("/var/log/archipel/archipel.log"), audit_file=found.logging.audit_file
    )
    assert (found.loads("storage"), found.loads("vnc"), found.loads("health")) == (True, False, False)
    without_effect = {warning.option for warning in found.warnings}
    assert without_effect == {
        "archipel_general_uuid", "stateless_node", "name_generation_file", "hypervisor_permissions_database_path",
        "vm_permissions_database_path", "enable_block_device_access", "log_pubsub_item_expire",
        "log_pubsub_max_items", "logging_max_bytes", "logging_backup_count", "logging_date_format", "logging_formatter",
        "xmpppy_debug", "vnc_only_ssl", "max_cached_rows", "credentials_key", "",
    }  # fmt: skip
    replaced = next(warning for warning in found.warnings if warning.option == "vm_permissions_database_path")
    assert "hypervisor_database_path" in str(replaced)
    assert "[NUAGE]" in str(next(warning for warning in found.warnings if not warning.option))


def test_every_error_is_told_at_once_with_its_line():
    text = """[DEFAULT]
xmpp_server = lab.example
[GLOBAL]
libvirt_pool_size = 900
machine_ip = somewhere
archipel_root_admins = admin
xmpp_hosts = one:99999
no value here
[VIRTUALMACHINE]
xmpp_password_size = 8
vm_base_path = drives
[LOGGING]
logging_level = loud
[MODULES]
storage = maybe
"""
    with pytest.raises(ConfigError) as caught:
        parse_settings(text, file="/etc/archipel/archipel.conf", hostname="host1")
    found = [(problem.line, problem.option) for problem in caught.value.problems]
    assert found == [
        (0, "hypervisor_xmpp_password_file"),
        (4, "libvirt_pool_size"),
        (5, "machine_ip"),
        (6, "archipel_root_admins"),
        (7, "xmpp_hosts"),
        (8, ""),
        (10, "xmpp_password_size"),
        (11, "vm_base_path"),
        (13, "logging_level"),
        (15, "storage"),
    ]
    first = str(caught.value).splitlines()[1]
    assert first == "/etc/archipel/archipel.conf:4: [GLOBAL] libvirt_pool_size: 900 is out of range. Write a whole number from 1 to 16"


@pytest.mark.parametrize(
    "line,option,message",
    [
        ("[GLOBAL]\nlibvirt_ury = x", "[GLOBAL] libvirt_ury", "is not an option. Did you mean libvirt_uri?"),
        ("[GLOBAL]\nhypervisor_name = x", "[GLOBAL] hypervisor_name", "is not an option. It belongs to [HYPERVISOR]"),
        ("[GLOBAL]\nvm_base_pth = /x", "[GLOBAL] vm_base_pth", "is not an option. Did you mean vm_base_path in [VIRTUALMACHINE]?"),
        ("[GLOBAL]\nqqqqqq = x", "[GLOBAL] qqqqqq", "is not an option. Remove it; docs/configuration.md lists all options"),
        ("[GLOBAL]\nqqqqqq =", "[GLOBAL] qqqqqq", "is not an option. Remove it; docs/configuration.md lists all options"),
        ("[GLOBEL]\nx = y", "[GLOBEL] ", "there is no such section. Did you mean [GLOBAL]?"),
        ("[DEFAULT]\nxmpp_sever = y", "[DEFAULT] xmpp_sever", "is not an option. Did you mean xmpp_server?"),
        ("[GLOBAL]\nmachine_ip = %(nowhere)s", "[GLOBAL] machine_ip", "cannot be resolved. Write %% for a percent sign"),
        ("[GLOBAL]\nmachine_ip = 1\nmachine_ip = 2", "[GLOBAL] machine_ip", "'2' is not an IP address"),
        ("[HYPERVISOR]\nhypervisor_xmpp_jid = a@b/c", "[HYPERVISOR] hypervisor_xmpp_jid", "has a resource, which is not wanted here"),
        ("[HYPERVISOR]\nhypervisor_xmpp_jid = @b", "[HYPERVISOR] hypervisor_xmpp_jid", "is not a JID"),
        ("[GLOBAL]\nxmpp_pubsub_server = a@b", "[GLOBAL] xmpp_pubsub_server", "is not a server's name"),
        ("[GLOBAL]\nxmpp_ca_file = /no/such.pem", "[GLOBAL] xmpp_ca_file", "cannot be read (No such file or directory)"),
        (
            "[GLOBAL]\nlibvirt_change_timeout = nan",
            "[GLOBAL] libvirt_change_timeout",
            "out of range. Write a number of seconds from 1 to 3600",
        ),
        ("[GLOBAL]\ninsecure_plaintext = ja", "[GLOBAL] insecure_plaintext", "'ja' is neither true nor false. Write True or False"),
        ("[HYPERVISOR]\nhypervisor_default_avatar = ../x", "[HYPERVISOR] hypervisor_default_avatar", "is not the name of a file"),
    ],
)
def test_an_error_names_the_option_and_the_way_to_mend_it(line: str, option: str, message: str):
    assert message in problems_of(f"{ENOUGH}\n{line}\n")[option]


def test_an_option_that_stands_twice_is_refused_with_both_lines():
    with pytest.raises(ConfigError, match=r"conf:7: \[GLOBAL\] use_avatar: stands here again after line 6"):
        parse_settings(ENOUGH.strip() + "\n[GLOBAL]\nuse_avatar = True\nuse_avatar = False\n")


def test_a_missing_server_is_told_once_and_not_for_all_that_is_made_of_it():
    assert set(problems_of("")) == {"[DEFAULT] xmpp_server", "[HYPERVISOR] hypervisor_xmpp_password_file"}
    assert set(problems_of("[DEFAULT]\nxmpp_server = a b\n[HYPERVISOR]\nhypervisor_xmpp_password = x")) == {"[DEFAULT] xmpp_server"}


def test_the_server_may_come_from_the_account():
    found = parse_settings("[HYPERVISOR]\nhypervisor_xmpp_jid = hyp@lab.example\nhypervisor_xmpp_password = x\n")
    assert (found.places.server, found.xmpp.domain, found.xmpp.pubsub_service) == ("lab.example", "lab.example", "pubsub.lab.example")


def test_empty_values_count_as_absent():
    every = "".join(f"[{option.section}]\n{option.name} =\n" for option in OPTIONS if option.name not in ENOUGH)
    assert parse_settings(ENOUGH + every, hostname="host1") == parse_settings(ENOUGH, hostname="host1")


def test_host_name_and_own_variables_are_inserted():
    found = parse_settings(
        ENOUGH.replace("[HYPERVISOR]", "school = north\n[HYPERVISOR]") + "hypervisor_name = @HOSTNAME@ at %(school)s\n", hostname="host1"
    )
    assert found.hypervisor.name == "host1 at north"


def test_an_option_may_stand_in_default_for_its_section():
    found = parse_settings(ENOUGH.replace("[HYPERVISOR]", "libvirt_uri = test:///default\n[HYPERVISOR]"))
    assert found.libvirt.uri == "test:///default"


@pytest.mark.parametrize(
    "lines,endpoints",
    [
        ("", ((None, None),)),
        ("xmpp_port = 5223", (("lab.example", 5223),)),
        ("xmpp_hosts = one two:5333", (("one", 5222), ("two", 5333))),
        ("xmpp_hosts = one, two\nxmpp_port = 5223", (("one", 5223), ("two", 5223))),
        ("xmpp_hosts = [::1]:5333 ::1 192.0.2.1:1", (("::1", 5333), ("::1", 5222), ("192.0.2.1", 1))),
    ],
)
def test_endpoints_are_tried_as_configured(lines: str, endpoints: tuple[tuple[str | None, int | None], ...]):
    assert parse_settings(f"{ENOUGH}[GLOBAL]\n{lines}\n").xmpp.endpoints == endpoints


def test_hosts_are_parsed_into_name_and_port():
    assert parse_settings(f"{ENOUGH}[GLOBAL]\nxmpp_hosts = a:1 b\n").xmpp.hosts == (Host("a", 1), Host("b"))


def test_insecure_plaintext_is_warned_about():
    found = parse_settings(f"{ENOUGH}[GLOBAL]\ninsecure_plaintext = True\n")
    assert found.xmpp.insecure_plaintext
    assert "nothing is encrypted" in str(found.warnings[0])


def test_a_percent_sign_in_a_password_is_written_twice():
    assert parse_settings(ENOUGH.replace("hunter2", "50%%")).xmpp.password.reveal() == "50%"


class TestSecrets:
    def test_the_password_may_come_from_a_private_file(self, tmp_path: Path):
        file = tmp_path / "password"
        file.write_text("from file %\n")
        file.chmod(0o600)
        found = parse_settings(f"{ENOUGH.replace('hypervisor_xmpp_password = hunter2', f'hypervisor_xmpp_password_file = {file}')}")
        assert found.xmpp.password.reveal() == "from file %"

    @pytest.mark.parametrize(
        "content,mode,message",
        [
            (b"secret", 0o644, "may be read by others (mode 0644): chmod 600"),
            (b"secret", 0o660, "may be read by others (mode 0660): chmod 600"),
            (b"\n", 0o600, "is empty"),
            (b"\xff\xfe", 0o600, "is not UTF-8 text"),
            (None, 0, "cannot be read (No such file or directory)"),
        ],
    )
    def test_a_password_file_must_be_private_and_hold_a_password(self, tmp_path: Path, content: bytes | None, mode: int, message: str):
        file = tmp_path / "password"
        if content is not None:
            file.write_bytes(content)
            file.chmod(mode)
        text = ENOUGH.replace("hypervisor_xmpp_password = hunter2", f"hypervisor_xmpp_password_file = {file}")
        assert message in problems_of(text)["[HYPERVISOR] hypervisor_xmpp_password_file"]

    def test_two_passwords_are_one_too_many(self, tmp_path: Path):
        file = tmp_path / "password"
        file.write_text("secret")
        file.chmod(0o600)
        found = problems_of(f"{ENOUGH}hypervisor_xmpp_password_file = {file}\n")
        assert "Keep one of the two" in found["[HYPERVISOR] hypervisor_xmpp_password"]

    def test_a_readable_file_with_the_password_is_warned_about(self, tmp_path: Path):
        file = tmp_path / "archipel.conf"
        file.write_text(ENOUGH)
        file.chmod(0o644)
        assert [warning.fix for warning in load_settings([file]).warnings] == [f"chmod 600 {file}"]
        file.chmod(0o600)
        assert load_settings([file]).warnings == ()

    def test_no_representation_shows_it(self):
        found = parse_settings(ENOUGH)
        assert "hunter2" not in f"{found} {found!r} {found.xmpp.password}"
        with pytest.raises(TypeError):
            json.dumps(found.xmpp.password)

    @pytest.mark.parametrize("value", ["hunter2%", "hunter2%(x)s", "hunter2%(hunter2)s", "%hunter2"])
    def test_no_error_shows_it(self, value: str):
        with pytest.raises(ConfigError) as caught:
            parse_settings(ENOUGH.replace("hunter2", value) + "[GLOBAL]\nx=y\n")
        assert "hunter2" not in f"{caught.value} {caught.value.problems} {caught.value.warnings}"
        assert any(problem.option == "hypervisor_xmpp_password" for problem in caught.value.problems)

    def test_a_line_without_equals_sign_is_not_quoted(self):
        with pytest.raises(ConfigError) as caught:
            parse_settings(ENOUGH.replace("password = hunter2", "password hunter2"))
        assert "hunter2" not in str(caught.value)


class TestFiles:
    def test_later_files_and_modules_add_to_earlier_ones(self, tmp_path: Path):
        modules = tmp_path / "modules.d"
        modules.mkdir()
        (modules / "b.conf").write_text("[VCARD]\norgname = from module\n")
        (modules / "ignored.txt").write_text("[X]\n")
        first, second = tmp_path / "a.conf", tmp_path / "b.conf"
        first.write_text(f"{ENOUGH}[GLOBAL]\nmodules_configuration_path = {modules}\nlibvirt_uri = one\n")
        second.write_text("[GLOBAL]\nlibvirt_uri = two\n")
        found = load_settings([first, second], hostname="host1")
        assert (found.libvirt.uri, found.vcard.orgname) == ("two", "from module")

    def test_an_error_names_the_file_it_is_in(self, tmp_path: Path):
        first, second = tmp_path / "a.conf", tmp_path / "b.conf"
        first.write_text(ENOUGH)
        second.write_text("[GLOBAL]\nlibvirt_pool_size = 0\n")
        with pytest.raises(ConfigError, match=rf"{second}:2: \[GLOBAL\] libvirt_pool_size: 0 is out of range"):
            load_settings([first, second])

    def test_what_cannot_be_read_is_told_with_the_rest(self, tmp_path: Path):
        broken = tmp_path / "latin.conf"
        broken.write_bytes(b"[VCARD]\norgname = \xe9cole\n")
        with pytest.raises(ConfigError) as caught:
            load_settings([tmp_path / "missing.conf", broken])
        assert [problem.what for problem in caught.value.problems] == [
            "cannot be read (No such file or directory)",
            "is missing",
            "is missing, and so is the password itself",
            "byte 18 is not UTF-8",
        ]


@dataclass(frozen=True, kw_only=True)
class Parking:
    spaces: int = Section("PARKING").option("parking_spaces", integer(1, 9), "3", "How many.")
    open: bool = Section("VNC").option("vnc_only_ssl", BOOLEAN, "True", "Whether.")


class TestCapabilities:
    def test_their_options_are_declared_and_read_in_the_same_way(self):
        found = parse_settings(f"{ENOUGH}[PARKING]\nparking_spaces = 5\n", capabilities={"parking": Parking})
        assert found.capabilities == {"parking": Parking(spaces=5, open=True)}

    def test_their_errors_are_told_with_the_others(self):
        with pytest.raises(ConfigError, match=r"\[PARKING\] parking_spaces: 50 is out of range. Write a whole number from 1 to 9"):
            parse_settings(f"{ENOUGH}[PARKING]\nparking_spaces = 50\n", capabilities={"parking": Parking})

    @pytest.mark.parametrize("name", ["hypervisor_nuage_network", "iphone_notification"])
    def test_founding_modules_that_are_gone_are_taken_and_load_nothing(self, name: str):
        found = parse_settings(f"{ENOUGH}[MODULES]\n{name} = True\n", capabilities=plugins.declared_settings())
        assert found.warnings == ()
        assert name not in {entry.name for entry in entry_points(group=plugins.GROUP)}

    def test_they_take_over_a_section_of_the_founding_agent(self):
        found = parse_settings(f"{ENOUGH}[VNC]\nvnc_only_ssl = no\n", capabilities={"parking": Parking})
        assert found.warnings == ()
        assert found.capabilities["parking"].open is False

    @pytest.mark.parametrize(
        "policy,flag,loaded",
        [
            ("permissive", "", True),
            ("permissive", "Parking = False", False),
            ("restrictive", "", False),
            ("restrictive", "parking = yes", True),
        ],
    )
    def test_flags_and_policy_decide_what_is_loaded(self, policy: str, flag: str, loaded: bool):
        found = parse_settings(f"{ENOUGH}[GLOBAL]\nmodule_loading_policy = {policy}\n[MODULES]\n{flag}\n")
        assert found.loads("parking") is loaded


@pytest.mark.parametrize(
    "patterns,name,allowed",
    [("default", "default", True), ("default", "Default", False), ("lab-*", "lab-7", True), ("*", "any", True), ("", "default", False)],
)
def test_the_policy_matches_shell_patterns(patterns: str, name: str, allowed: bool):
    words = tuple(patterns.split())
    policy = Policy(networks=words, bridges=words, pools=words, max_vcpus=None, max_memory=None)
    assert (policy.allows_network(name), policy.allows_bridge(name), policy.allows_pool(name)) == (allowed, allowed, allowed)


class TestDeclaration:
    def test_values_have_the_annotated_types(self):
        found = parse_settings(ENOUGH)
        for name, concern in CONCERNS.items():
            for attribute, hint in get_type_hints(concern).items():
                value = getattr(getattr(found, name), attribute)
                accepted = tuple(
                    get_origin(kind) or kind for kind in (get_args(hint) if get_origin(hint) is not tuple else (tuple,)) or (hint,)
                )
                assert isinstance(value, accepted), f"{name}.{attribute}"

    def test_each_option_is_declared_once(self):
        assert len({(option.section, option.name) for option in OPTIONS}) == len(OPTIONS)

    def test_a_setting_leads_to_its_option(self):
        assert option_of("libvirt.uri").label == "[GLOBAL] libvirt_uri"

    def test_the_reference_page_is_up_to_date(self):
        assert (ROOT / "docs/configuration.md").read_text() == render_page()

    def test_the_example_file_is_up_to_date(self):
        assert (ROOT / "src/archipel/agent/archipel.conf.example").read_text() == render_example()

    def test_the_example_with_all_its_defaults_means_the_same_as_the_least_file(self):
        lines = [line[1:] if line.startswith("#") and not line.startswith("# ") else line for line in render_example().splitlines()]
        text = "\n".join(lines).replace("hypervisor_xmpp_password =", "hypervisor_xmpp_password = hunter2", 1)
        declared = plugins.declared_settings()
        found = parse_settings(text.replace("xmpp_server =", "xmpp_server = lab.example", 1), hostname="host1", capabilities=declared)
        assert found == parse_settings(ENOUGH, hostname="host1", capabilities=declared)


LINES = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\n\r"), max_size=60)


@given(option=st.sampled_from(OPTIONS), value=LINES)
@settings(max_examples=400, deadline=None)
def test_any_value_is_taken_or_refused_by_its_own_name(option: Option, value: str):
    section, name = option.section, option.name
    base = ENOUGH.replace("hypervisor_xmpp_password = hunter2\n", "") if "password_file" in name else ENOUGH
    base = "\n".join(line for line in base.splitlines() if not line.startswith(f"{name} ="))
    problems: tuple[Problem, ...] = ()
    try:
        parse_settings(f"{base}\n[{section}]\n{name} = {value}\n", hostname="host1")
    except ConfigError as error:
        problems = error.problems
    assert {problem.option for problem in problems} <= {name, "xmpp_server", "hypervisor_xmpp_password_file"}


@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=300))
@settings(deadline=None)
def test_any_text_is_settings_or_a_list_of_errors(text: str):
    with pytest.raises(ConfigError) as caught:
        parse_settings(text, hostname="host1")
    assert caught.value.problems


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=40))
@settings(deadline=None)
def test_a_password_is_read_as_written_and_never_shown(password: str):
    text = ENOUGH.replace("hunter2", password.replace("%", "%%"))
    found = parse_settings(text, hostname="host1")
    assert found.xmpp.password == Secret(password)
    assert repr(found) == repr(parse_settings(ENOUGH, hostname="host1"))
