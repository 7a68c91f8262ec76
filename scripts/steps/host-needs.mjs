/** What the host must have, and the Debian package of each item. */
import { existsSync } from 'node:fs';
import { findProgram } from './run-program.mjs';

/**
 * @typedef {{package: string, services?: readonly string[]}} Source
 * The Debian package of a need, and the units that it would start.
 * @typedef {({program: string} | {file: string}) & Source} Need
 * A program or a file, and the Debian package that contains it.
 */

/** @type {readonly Need[]} what building stacks and running tasks takes, the OCI runtime apart */
export const buildNeeds = [
  { program: 'mkfs.erofs', package: 'erofs-utils' },
  { program: 'mkfs.ext4', package: 'e2fsprogs' },
  { program: 'buildah', package: 'buildah' },
  { program: 'mmdebstrap', package: 'mmdebstrap' },
  { file: '/etc/ssl/certs/ca-certificates.crt', package: 'ca-certificates' },
];

/** @type {Need} the host's own OCI runtime: the fallback for the patched one */
export const runcNeed = { program: 'runc', package: 'runc' };

/** @type {readonly Need[]} the languages in which the documents have programs that queue jobs */
const producerNeeds = [
  { file: '/usr/bin/python3', package: 'python3' },
  { file: '/usr/lib/python3/dist-packages/redis', package: 'python3-redis' },
  { program: 'php', package: 'php-cli' },
  { file: '/usr/share/doc/php-redis', package: 'php-redis' },
  { program: 'psql', package: 'postgresql-client' },
];

/** @type {readonly Need[]} a store for the quick start of the worker, if none is given */
export const storeNeeds = [
  { program: 'redis-server', package: 'redis-server', services: ['redis-server.service'] },
];

/** @type {readonly Need[]} what the test lanes take on top: other runtimes, a rootfs in one file, a compiler for the escape battery, a registry, the judges of the Vagrantfile, of the units and of the manual pages, the shells that complete, the stores of queues */
export const testNeeds = [
  runcNeed,
  { program: 'crun', package: 'crun' },
  { program: 'runsc', package: 'runsc' },
  { program: 'busybox', package: 'busybox-static' },
  { program: 'gcc', package: 'gcc' },
  { file: '/usr/include/stdio.h', package: 'libc6-dev' },
  { file: '/usr/bin/tini-static', package: 'tini' },
  { program: 'skopeo', package: 'skopeo' },
  { program: 'zstd', package: 'zstd' },
  { program: 'xz', package: 'xz-utils' },
  {
    program: 'docker-registry',
    package: 'docker-registry',
    services: ['docker-registry.service'],
  },
  ...producerNeeds,
  { program: 'vagrant', package: 'vagrant' },
  { program: 'systemd-analyze', package: 'systemd' },
  { program: 'zsh', package: 'zsh' },
  { program: 'fish', package: 'fish' },
  { program: 'man', package: 'man-db' },
  { program: 'groff', package: 'groff-base' },
  { program: 'mandoc', package: 'mandoc' },
  ...storeNeeds,
  { file: '/usr/lib/postgresql', package: 'postgresql', services: ['postgresql.service'] },
];

/** @type {readonly Need[]} what `npm run test:all` takes on top of that: who else must be able to read what is exported; 107 MB */
export const fullTestNeeds = [
  {
    program: 'dockerd',
    package: 'docker.io',
    services: ['docker.service', 'docker.socket', 'containerd.service'],
  },
  { program: 'docker', package: 'docker-cli' },
  { program: 'podman', package: 'podman' },
];

/** @type {readonly Need[]} what the test VM takes on top; 67 MB */
export const vmNeeds = [
  { program: 'qemu-system-x86_64', package: 'qemu-system-x86' },
  { program: 'mkfs.ext4', package: 'e2fsprogs' },
  { program: 'mmdebstrap', package: 'mmdebstrap' },
  { program: 'mkfs.erofs', package: 'erofs-utils' },
];

/**
 * The needs that this host lacks.
 * @param {readonly Need[]} needs
 */
export function findMissing(needs) {
  return needs.filter((need) =>
    'program' in need ? findProgram(need.program) === undefined : !existsSync(need.file),
  );
}

/** @param {Need} need */
export function describeNeed(need) {
  return `${'program' in need ? need.program : need.file} (Debian package ${need.package})`;
}
