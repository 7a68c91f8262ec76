/** The guests of the test VM: their Debian release, their packages, and tools that come from the host because theirs are too old. */
import { buildNeeds, testNeeds } from './host-needs.mjs';

/**
 * @typedef {object} Guest
 * @property {'debian-13' | 'debian-12'} name
 * @property {string} suite
 * @property {string} description what is special about it, for the report
 * @property {readonly string[]} packages
 * @property {boolean} borrowsTools whether Node and the EROFS tools are the host's
 */

/** An init system, a kernel, and what a minimal root filesystem needs to run as a machine. */
const machinePackages = [
  'systemd',
  'systemd-sysv',
  'udev',
  'dbus',
  'kmod',
  'linux-image-cloud-amd64',
  'initramfs-tools',
  'e2fsprogs',
  'iproute2',
  'procps',
  'util-linux',
];

/** Checks the Vagrantfile on the host; 100 MB. */
const onlyOnHost = ['vagrant'];

const testPackages = [...buildNeeds, ...testNeeds]
  .map((need) => need.package)
  .filter((name) => !onlyOnHost.includes(name));

/** @type {readonly Guest[]} */
export const guests = [
  {
    name: 'debian-13',
    suite: 'trixie',
    description: 'kernel 6.12: EROFS from files, overlays on attached lowers, cgroup v2',
    packages: [...new Set([...machinePackages, ...testPackages, 'nodejs'])],
    borrowsTools: false,
  },
  {
    name: 'debian-12',
    suite: 'bookworm',
    description: 'kernel 6.1: EROFS through loop devices, lowers in one option string, cgroup v2',
    // Its Node is 18 and its mkfs.erofs reads no tar: both come from the host, and libstdc++ is for that Node. Nothing is built there.
    packages: [
      ...machinePackages,
      'ca-certificates',
      'runc',
      'crun',
      'busybox-static',
      'tini',
      'libstdc++6',
    ],
    borrowsTools: true,
  },
];
