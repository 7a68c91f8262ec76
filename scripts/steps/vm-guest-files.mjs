/** Files that make a Debian root filesystem boot as a test VM, mount its disks and run the agent. */

/** Paths in every guest. */
export const guestPaths = {
  /** The writable checkout: an overlay on the read-only disk. */
  project: '/opt/stackshim',
  /** The channel to the host. */
  port: '/dev/virtio-ports/stackshim',
};

const data = 'x-systemd.requires-mounts-for=/data';

/** @type {Readonly<Record<string, string>>} what must be there before packages are installed: the first root filesystem finds one disk */
export const earlyGuestFiles = {
  '/etc/initramfs-tools/conf.d/stackshim': 'MODULES=list\n',
  '/etc/initramfs-tools/modules': 'virtio_pci\nvirtio_blk\next4\n',
};

/** @type {Readonly<Record<string, string>>} content by path */
export const guestFiles = {
  // Every boot is a first boot, because changes of the system disk are discarded: without these files each would configure the machine.
  '/etc/machine-id': '57ac4e5b1d6b4a6e9d3c0c1f2a7b8e90\n',
  '/etc/.updated': '',
  '/var/.updated': '',
  // A tmpfs at /tmp would use the tests' memory.
  '/etc/fstab': [
    'LABEL=system / ext4 defaults 0 0',
    'LABEL=data /data ext4 prjquota 0 0',
    '/dev/vdb /mnt/project erofs ro 0 0',
    `/data/tmp /tmp none bind,${data} 0 0`,
    `/data/var-tmp /var/tmp none bind,${data} 0 0`,
    `/data/root /var/lib/stackshim none bind,${data} 0 0`,
    `overlay ${guestPaths.project} overlay lowerdir=/mnt/project,upperdir=/data/project,workdir=/data/work,${data},x-systemd.requires-mounts-for=/mnt/project 0 0`,
    '',
  ].join('\n'),
  '/etc/hosts': '127.0.0.1 localhost stackshim-vm\n::1 localhost\n',
  '/etc/modules-load.d/stackshim.conf': 'erofs\noverlay\nloop\nquota_v2\nfuse\n',
  '/etc/systemd/system/stackshim-vm-agent.service': `[Unit]
Description=Runs what the host of this test VM asks for
After=multi-user.target
RequiresMountsFor=${guestPaths.project} /tmp /var/tmp /var/lib/stackshim

[Service]
ExecStart=/usr/bin/node ${guestPaths.project}/scripts/steps/vm-agent.mjs ${guestPaths.port}
Delegate=yes
KillMode=process
LimitNOFILE=524288
TasksMax=infinity
OOMScoreAdjust=-900
`,
};

/** @type {Readonly<Record<string, string>>} links in /etc/systemd/system to what they point at */
export const guestUnits = {
  'multi-user.target.wants/stackshim-vm-agent.service': '../stackshim-vm-agent.service',
  'tmp.mount': '/dev/null',
  'apt-daily.timer': '/dev/null',
  'apt-daily-upgrade.timer': '/dev/null',
  'dpkg-db-backup.timer': '/dev/null',
  'e2scrub_all.timer': '/dev/null',
  'fstrim.timer': '/dev/null',
  'systemd-tmpfiles-clean.timer': '/dev/null',
  'getty.target': '/dev/null',
  'systemd-networkd-wait-online.service': '/dev/null',
  'docker-registry.service': '/dev/null',
  // Services that need half of the boot time on a slow processor.
  'e2scrub_reap.service': '/dev/null',
  'modprobe@configfs.service': '/dev/null',
  'modprobe@drm.service': '/dev/null',
  'modprobe@efi_pstore.service': '/dev/null',
  'modprobe@fuse.service': '/dev/null',
  'sys-kernel-config.mount': '/dev/null',
  'systemd-binfmt.service': '/dev/null',
  'systemd-pstore.service': '/dev/null',
  'systemd-random-seed.service': '/dev/null',
  'systemd-update-utmp.service': '/dev/null',
};
