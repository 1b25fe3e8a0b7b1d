# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways from a definition to the host: what a definition would say, and the places that must be told.

Devices stand in ``domain/devices`` beside those of the good definition; several places are separated by blanks.
"""

from __future__ import annotations

DEVICES = {
    "block device": (
        "<disk type='block' device='disk'><source dev='/dev/sda'/><target dev='vdz'/></disk>",
        "disk[4]/@type disk[4]/source/@dev",
    ),
    "host folder as disk": ("<disk type='dir'><source dir='/etc'/><target dev='vdz'/></disk>", "disk[4]/@type disk[4]/source/@dir"),
    "network disk": (
        "<disk type='network'><source protocol='nbd' name='x'><host name='10.0.0.1'/></source><target dev='vdz'/></disk>",
        "disk[4]/@type disk[4]/source/@name disk[4]/source/@protocol disk[4]/source/host",
    ),
    "nvme disk": (
        "<disk type='nvme'><source type='pci' managed='yes' namespace='1'/><target dev='vdz'/></disk>",
        "disk[4]/@type disk[4]/source/@managed disk[4]/source/@namespace disk[4]/source/@type",
    ),
    "vhost-user disk": (
        "<disk type='vhostuser'><source type='unix' path='/run/s'/><target dev='vdz'/></disk>",
        "disk[4]/@type disk[4]/source/@path disk[4]/source/@type",
    ),
    "scsi passthrough": (
        "<disk type='volume' device='lun' rawio='yes' sgio='unfiltered'><driver name='qemu' type='raw'/>"
        "<source pool='open' volume='v'/><target dev='sdz'/></disk>",
        "disk[4]/@device disk[4]/@rawio disk[4]/@sgio",
    ),
    "encrypted disk with a host secret": (
        "<disk type='volume'><driver name='qemu' type='raw'/><source pool='open' volume='v'><encryption format='luks'/></source>"
        "<target dev='vdz'/></disk>",
        "disk[4]/source/encryption",
    ),
    "persistent reservations": (
        "<disk type='volume'><driver name='qemu' type='raw'/><source pool='open' volume='v'><reservations managed='no'>"
        "<source type='unix' path='/s'/></reservations></source><target dev='vdz'/></disk>",
        "disk[4]/source/reservations",
    ),
    "transient disk": (
        "<disk type='volume'><driver name='qemu' type='raw'/><source pool='open' volume='v'/><target dev='vdz'/><transient/></disk>",
        "disk[4]/transient",
    ),
    "mirror to a host file": (
        "<disk type='volume'><driver name='qemu' type='raw'/><source pool='open' volume='v'/><target dev='vdz'/>"
        "<mirror file='/etc/x'/></disk>",
        "disk[4]/mirror",
    ),
    "label of a source": (
        "<disk type='volume'><driver name='qemu' type='raw'/><source pool='open' volume='v'><seclabel relabel='no'/></source>"
        "<target dev='vdz'/></disk>",
        "disk[4]/source/seclabel",
    ),
    "other image format": (
        "<disk type='volume'><driver name='qemu' type='vmdk'/><source pool='open' volume='v'/><target dev='vdz'/></disk>",
        "disk[4]/driver/@type disk[4]/source",
    ),
    "folder as FAT": (
        "<disk type='volume'><driver name='qemu' type='fat'/><source pool='open' volume='v'/><target dev='vdz'/></disk>",
        "disk[4]/driver/@type disk[4]/source",
    ),
    "foreign pool": (
        "<disk type='volume'><driver name='qemu' type='raw'/><source pool='private' volume='v'/><target dev='vdz'/></disk>",
        "disk[4]/source/@pool",
    ),
    "volume outside its pool": (
        "<disk type='volume'><driver name='qemu' type='raw'/><source pool='open' volume='../v'/><target dev='vdz'/></disk>",
        "disk[4]/source/@volume",
    ),
    "volume without a name": (
        "<disk type='volume'><driver name='qemu' type='raw'/><source pool='open'/><target dev='vdz'/></disk>",
        "disk[4]/source",
    ),
    "volume of unknown format": ("<disk type='volume'><source pool='open' volume='v'/><target dev='vdz'/></disk>", "disk[4]/driver/@type"),
    "usb device": ("<hostdev mode='subsystem' type='usb'><source><vendor id='0x1'/></source></hostdev>", "hostdev"),
    "pci device": ("<hostdev mode='subsystem' type='pci' managed='yes'><source><address bus='1'/></source></hostdev>", "hostdev"),
    "mediated device": ("<hostdev mode='subsystem' type='mdev' model='vfio-pci'/>", "hostdev"),
    "host folder": ("<filesystem type='mount'><source dir='/'/><target dir='root'/></filesystem>", "filesystem"),
    "virtiofs": ("<filesystem type='mount'><driver type='virtiofs'/><source socket='/s'/><target dir='x'/></filesystem>", "filesystem"),
    "serial to file": ("<serial type='file'><source path='/etc/cron.d/x'/></serial>", "serial[2]/@type serial[2]/source"),
    "serial to device": ("<serial type='dev'><source path='/dev/mem'/></serial>", "serial[2]/@type serial[2]/source"),
    "serial to socket": (
        "<serial type='unix'><source mode='connect' path='/run/docker.sock'/></serial>",
        "serial[2]/@type serial[2]/source",
    ),
    "serial to pipe": ("<serial type='pipe'><source path='/p'/></serial>", "serial[2]/@type serial[2]/source"),
    "serial over tcp": (
        "<serial type='tcp'><source mode='bind' host='0.0.0.0' service='1'/><protocol type='telnet'/></serial>",
        "serial[2]/@type serial[2]/protocol serial[2]/source",
    ),
    "serial over udp": ("<serial type='udp'><source mode='connect' host='x' service='1'/></serial>", "serial[2]/@type serial[2]/source"),
    "serial on the daemon's standard output": ("<serial type='stdio'/>", "serial[2]/@type"),
    "log file of a serial port": ("<serial type='pty'><log file='/etc/x' append='on'/></serial>", "serial[2]/log"),
    "terminal of the host": ("<serial type='pty'><source path='/dev/tty1'/></serial>", "serial[2]/source"),
    "console to file": ("<console type='file'><source path='/x'/></console>", "console[2]/@type console[2]/source"),
    "log file of a console": ("<console type='pty'><log file='/x'/></console>", "console[2]/log"),
    "parallel port": ("<parallel type='dev'><source path='/dev/parport0'/></parallel>", "parallel"),
    "channel to a socket of the host": (
        "<channel type='unix'><source mode='connect' path='/run/x'/><target type='virtio' name='org.qemu.guest_agent.0'/></channel>",
        "channel[2]/source/@mode channel[2]/source/@path",
    ),
    "channel whose name is a path": ("<channel type='unix'><target type='virtio' name='../../../x'/></channel>", "channel[2]/target/@name"),
    "guest forwarding": (
        "<channel type='unix'><target type='guestfwd' address='10.0.2.1' port='1'/></channel>",
        "channel[2]/target/@address channel[2]/target/@port channel[2]/target/@type",
    ),
    "channel to a file": (
        "<channel type='file'><source path='/x'/><target type='virtio' name='com.redhat.spice.0'/></channel>",
        "channel[2]/@type channel[2]/source/@path",
    ),
    "smartcard of the host": ("<smartcard mode='host'/>", "smartcard"),
    "smartcard certificates": ("<smartcard mode='host-certificates'><database>/etc/pki</database></smartcard>", "smartcard"),
    "input device of the host": ("<input type='evdev'><source dev='/dev/input/event0'/></input>", "input[2]/@type input[2]/source"),
    "passed-through input": (
        "<input type='passthrough' bus='virtio'><source evdev='/dev/input/event0'/></input>",
        "input[2]/@type input[2]/source",
    ),
    "display to everybody": ("<graphics type='vnc' listen='0.0.0.0'/>", "graphics[2]/@listen"),
    "display to everybody, by element": (
        "<graphics type='vnc'><listen type='address' address='::'/></graphics>",
        "graphics[2]/listen[1]/@address",
    ),
    "display on a network": (
        "<graphics type='vnc'><listen type='network' network='default'/></graphics>",
        "graphics[2]/listen[1]/@network graphics[2]/listen[1]/@type",
    ),
    "display on a socket": ("<graphics type='vnc' socket='/tmp/x'/>", "graphics[2]/@socket"),
    "display on a socket, by element": (
        "<graphics type='vnc'><listen type='socket' socket='/x'/></graphics>",
        "graphics[2]/listen[1]/@socket graphics[2]/listen[1]/@type",
    ),
    "display on the host's screen": (
        "<graphics type='sdl' display=':0' xauth='/root/.Xauthority'/>",
        "graphics[2]/@display graphics[2]/@type graphics[2]/@xauth",
    ),
    "graphics card of the host": (
        "<graphics type='egl-headless'><gl rendernode='/dev/dri/renderD128'/></graphics>",
        "graphics[2]/@type graphics[2]/gl",
    ),
    "keymap from a file": ("<graphics type='vnc' keymap='../../../etc/shadow'/>", "graphics[2]/@keymap"),
    "display of unknown kind": ("<graphics/>", "graphics[2]/@type"),
    "sound to a file": ("<audio id='2' type='file' path='/etc/x'/>", "audio[2]/@path audio[2]/@type"),
    "sound to a server": ("<audio id='2' type='pulseaudio' serverName='/run/x'/>", "audio[2]/@serverName audio[2]/@type"),
    "direct network": (
        "<interface type='direct'><source dev='eth0' mode='bridge'/></interface>",
        "interface[3]/@type interface[3]/source/@dev interface[3]/source/@mode",
    ),
    "tap of the host": (
        "<interface type='ethernet'><target dev='tap0' managed='no'/><script path='/x.sh'/></interface>",
        "interface[3]/@type interface[3]/script interface[3]/target/@dev interface[3]/target/@managed",
    ),
    "network card of the host": (
        "<interface type='hostdev' managed='yes'><source><address type='pci' bus='1'/></source></interface>",
        "interface[3]/@managed interface[3]/@type interface[3]/source/address",
    ),
    "vhost-user network": (
        "<interface type='vhostuser'><source type='unix' path='/s' mode='client'/></interface>",
        "interface[3]/@type interface[3]/source/@mode interface[3]/source/@path interface[3]/source/@type",
    ),
    "vdpa network": ("<interface type='vdpa'><source dev='/dev/vhost-vdpa-0'/></interface>", "interface[3]/@type interface[3]/source/@dev"),
    "network over a socket": (
        "<interface type='server'><source address='0.0.0.0' port='1'/></interface>",
        "interface[3]/@type interface[3]/source/@address interface[3]/source/@port",
    ),
    "user network": ("<interface type='user'/>", "interface[3]/@type"),
    "user network by default": ("<interface><source network='default'/></interface>", "interface[3]/@type"),
    "foreign network": ("<interface type='network'><source network='management'/></interface>", "interface[3]/source/@network"),
    "foreign bridge": ("<interface type='bridge'><source bridge='br-admin'/></interface>", "interface[3]/source/@bridge"),
    "port group": (
        "<interface type='network'><source network='default' portgroup='admins'/></interface>",
        "interface[3]/source/@portgroup",
    ),
    "VLAN": ("<interface type='network'><source network='default'/><vlan><tag id='1'/></vlan></interface>", "interface[3]/vlan"),
    "virtual port": (
        "<interface type='network'><source network='default'/><virtualport type='openvswitch'/></interface>",
        "interface[3]/virtualport",
    ),
    "script of an interface": ("<interface type='bridge'><source bridge='br0'/><script path='/x.sh'/></interface>", "interface[3]/script"),
    "script after an interface": (
        "<interface type='bridge'><source bridge='br0'/><downscript path='/x.sh'/></interface>",
        "interface[3]/downscript",
    ),
    "tap and vhost files": (
        "<interface type='bridge'><source bridge='br0'/><backend tap='/x' vhost='/y'/></interface>",
        "interface[3]/backend",
    ),
    "boot ROM from a file": ("<interface type='bridge'><source bridge='br0'/><rom file='/etc/shadow'/></interface>", "interface[3]/rom"),
    "name of a host interface": (
        "<interface type='bridge'><source bridge='br0'/><target dev='eth0'/></interface>",
        "interface[3]/target/@dev",
    ),
    "random numbers from a file": ("<rng model='virtio'><backend model='random'>/etc/shadow</backend></rng>", "rng[2]/backend"),
    "random numbers from a hardware device": ("<rng model='virtio'><backend model='random'>/dev/hwrng</backend></rng>", "rng[2]/backend"),
    "random numbers from a socket": (
        "<rng model='virtio'><backend model='egd' type='unix'><source mode='connect' path='/s'/></backend></rng>",
        "rng[2]/backend/@model rng[2]/backend/@type rng[2]/backend/source",
    ),
    "random numbers from nowhere said": ("<rng model='virtio'><backend/></rng>", "rng[2]/backend/@model"),
    "shared memory": ("<shmem name='x'><model type='ivshmem-plain'/></shmem>", "shmem"),
    "panic device": ("<panic model='isa'/>", "panic"),
    "vsock": ("<vsock model='virtio'><cid auto='yes'/></vsock>", "vsock"),
    "persistent memory file": ("<memory model='nvdimm'><source><path>/etc/x</path></source></memory>", "memory"),
    "lease": ("<lease><lockspace>x</lockspace></lease>", "lease"),
    "crypto device": ("<crypto model='virtio'/>", "crypto"),
    "redirection over tcp": (
        "<redirdev bus='usb' type='tcp'><source mode='connect' host='x' service='1'/></redirdev>",
        "redirdev[1]/@type redirdev[1]/source",
    ),
    "vhost-user graphics card": ("<video><driver name='vhostuser'/><model type='virtio'/></video>", "video[2]/driver/@name"),
    "render node": (
        "<video><model type='virtio'><acceleration accel3d='yes' rendernode='/dev/dri/renderD128'/></model></video>",
        "video[2]/model/acceleration/@accel3d video[2]/model/acceleration/@rendernode",
    ),
    "graphics memory without end": ("<video><model type='qxl' vram='99999999'/></video>", "video[2]/model/@vram"),
    "core dump by watchdog": ("<watchdog model='itco' action='dump'/>", "watchdog[2]/@action"),
    "device unknown to everybody": ("<teleporter/>", "teleporter"),
    "device of another namespace": ("<q:x xmlns:q='urn:q'/>", "{urn:q}x"),
}  # fmt: skip

ELEMENTS = {
    "QEMU command line": (
        "<qemu:commandline xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><qemu:arg value='-S'/></qemu:commandline>",
        "{http://libvirt.org/schemas/domain/qemu/1.0}commandline",
    ),
    "QEMU capabilities": (
        "<qemu:capabilities xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'/>",
        "{http://libvirt.org/schemas/domain/qemu/1.0}capabilities",
    ),
    "other namespace": (
        "<lxc:namespace xmlns:lxc='http://libvirt.org/schemas/domain/lxc/1.0'/>",
        "{http://libvirt.org/schemas/domain/lxc/1.0}namespace",
    ),
    "security label": ("<seclabel type='none'/>", "seclabel"),
    "control group": ("<resource><partition>/</partition></resource>", "resource"),
    "encrypted memory": ("<launchSecurity type='sev'/>", "launchSecurity"),
    "key wrapping": ("<keywrap><cipher name='aes' state='on'/></keywrap>", "keywrap"),
    "user mapping": ("<idmap><uid start='0' target='0' count='1'/></idmap>", "idmap"),
    "memory from a file": ("<memoryBacking><source type='file'/></memoryBacking>", "memoryBacking"),
    "locked memory": ("<memoryBacking><locked/></memoryBacking>", "memoryBacking"),
    "memory slots": ("<maxMemory slots='16'>99999999</maxMemory>", "maxMemory"),
    "memory tuning": ("<memtune><hard_limit>1</hard_limit></memtune>", "memtune"),
    "processor tuning": ("<cputune><shares>262144</shares></cputune>", "cputune"),
    "disk tuning": ("<blkiotune><weight>1000</weight></blkiotune>", "blkiotune"),
    "host nodes": ("<numatune><memory mode='strict' nodeset='0'/></numatune>", "numatune"),
    "threads": ("<iothreads>9999</iothreads>", "iothreads"),
    "firmware configuration from a file": ("<sysinfo type='fwcfg'><entry name='opt/x' file='/etc/shadow'/></sysinfo>", "sysinfo"),
    "performance counters": ("<perf><event name='cmt' enabled='yes'/></perf>", "perf"),
    "boot loader on the host": ("<bootloader>/tmp/evil</bootloader>", "bootloader"),
    "second operating system": ("<os><type>hvm</type></os>", "os"),
    "second list of devices": ("<devices/>", "devices"),
}  # fmt: skip

# Boot files: {own} and {other} are folders of machines, {place} is the hypervisor's.
OPERATING_SYSTEM = {
    "kernel outside": ("<kernel>/etc/shadow</kernel>", "kernel"),
    "kernel of another machine": ("<kernel>{other}/vmlinuz</kernel>", "kernel"),
    "kernel with a blank before its path": ("<kernel> {own}/vmlinuz</kernel>", "kernel"),
    "initrd outside": ("<initrd>/etc/shadow</initrd>", "initrd"),
    "initrd that goes back": ("<initrd>{own}/../../x</initrd>", "initrd"),
    "device tree": ("<dtb>/etc/shadow</dtb>", "dtb"),
    "ACPI table": ("<acpi><table type='slic'>/etc/shadow</table></acpi>", "acpi"),
    "loader outside": ("<loader readonly='yes' type='rom'>/etc/shadow</loader>", "loader"),
    "loader of one's own": ("<loader readonly='yes' type='pflash'>{own}/root.img</loader>", "loader"),
    "loader that is written": ("<loader readonly='no' type='pflash'>{place}/firmware/CODE.fd</loader>", "loader/@readonly"),
    "loader that is written by default": ("<loader type='pflash'>{place}/firmware/CODE.fd</loader>", "loader/@readonly"),
    "variables outside": ("<nvram>/etc/shadow</nvram>", "nvram"),
    "variables of another machine": ("<nvram>{place}/nvram/other_VARS.fd</nvram>", "nvram"),
    "variables from a foreign template": ("<nvram template='/etc/shadow'>{place}/nvram/web_VARS.fd</nvram>", "nvram/@template"),
    "variables on the network": ("<nvram type='network'><source protocol='iscsi' name='x'/></nvram>", "nvram/@type"),
    "container": ("<init>/bin/sh</init>", "init"),
    "host's firmware strings": ("<smbios mode='host'/>", "smbios"),
}  # fmt: skip
