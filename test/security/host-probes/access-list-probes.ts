/** Access control lists through commit, export and import: a user whom a list excludes stays excluded. */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, lstatSync, mkdirSync } from 'node:fs';
import { buildTar } from '../../support/images/tar-builder.ts';
import type { HostProbe, HostProbeScene } from '../support/host-probe.ts';
import { asNamed, cli, stackOf, writeLayout } from '../support/image-scene.ts';
import { type ProbeVerdict, toVerdict } from '../support/probe.ts';

/** The group that is excluded. */
const GROUP = 50;
const USER = 1000;
const NOBODY_NAMED = 0xffff_ffff;

/** As the kernel stores it: owner rw-, group r--, one named group ---, mask rw-, others r--. */
function toAcl(group: number): Buffer {
  const entries = [
    [1, 6, NOBODY_NAMED],
    [4, 4, NOBODY_NAMED],
    [8, 0, group],
    [0x10, 6, NOBODY_NAMED],
    [0x20, 4, NOBODY_NAMED],
  ] as const;
  const value = Buffer.alloc(4 + entries.length * 8);
  value.writeUInt32LE(2, 0);
  for (const [index, [tag, permissions, id]] of entries.entries()) {
    const at = 4 + index * 8;
    value.writeUInt16LE(tag, at);
    value.writeUInt16LE(permissions, at + 2);
    value.writeUInt32LE(id, at + 4);
  }
  return value;
}

const TEXT = 'user::rw-\ngroup::r--\ngroup:50:---\nmask::rw-\nother::r--\n';

/** A tar with the file `private`, readable for all users except one group. */
function toTar(
  scene: HostProbeScene,
  record: readonly [string, string | Buffer] = toRecord(GROUP),
): Buffer {
  const content = `${scene.secret}\n`;
  return buildTar({ path: 'private', content, mode: 0o664, pax: [record] });
}

const toRecord = (group: number) => ['SCHILY.xattr.system.posix_acl_access', toAcl(group)] as const;

/** Writes the file with its list into a folder of the host. */
function unpack(folder: string, tar: Buffer): void {
  const flags = ['--extract', '--xattrs', '--xattrs-include=*', '--numeric-owner', '-p', '-f', '-'];
  execFileSync('tar', [...flags, '-C', folder], { input: tar });
}

async function importFile(scene: HostProbeScene, stack: string, tar: Buffer): Promise<void> {
  const folder = `${scene.folder}/${stack}`;
  await writeLayout(folder, [asNamed(tar)]);
  await cli(scene, 'stack', 'import', stack, `oci:${folder}`);
}

async function isReadIn(scene: HostProbeScene, stack: string): Promise<ProbeVerdict> {
  const user = `${USER}:${GROUP}`;
  const { stdout } = await cli(scene, 'run', '--user', user, stack, 'cat', '/private');
  return toVerdict(stdout.includes(scene.secret));
}

/** Packs and unpacks the file without attributes. */
function copyPlainly(scene: HostProbeScene): Promise<ProbeVerdict> {
  const [from, to] = [`${scene.folder}/from`, `${scene.folder}/to`];
  for (const folder of [from, to]) {
    mkdirSync(folder);
    chmodSync(folder, 0o755);
  }
  unpack(from, toTar(scene));
  const ids = [`--reuid=${USER}`, `--regid=${GROUP}`, '--clear-groups', '--', 'cat'];
  const read = (file: string) => spawnSync('setpriv', [...ids, file], { encoding: 'utf8' }).stdout;
  if (read(`${from}/private`) !== '') throw new Error('the list keeps nobody out');
  execFileSync('sh', ['-c', 'tar -cf - -C "$1" . | tar -xpf - -C "$2"', 'sh', from, to]);
  return Promise.resolve(toVerdict(read(`${to}/private`).includes(scene.secret)));
}

/** Keeps a task, writes the file with a list for `groupOf` the base of its ids, and commits. */
async function commitFile(
  scene: HostProbeScene,
  groupOf: (base: number) => number,
): Promise<ProbeVerdict> {
  const id = stackOf(scene, 'k');
  await cli(scene, 'run', '--keep', '--name', id, 'busybox', 'true');
  scene.defer(async () => void (await cli(scene, 'kill', id)));
  const upper = `${scene.installation.layout.root}/scratch/${id}/rootfs/upper`;
  const base = lstatSync(upper).uid;
  unpack(upper, toTar(scene, toRecord(groupOf(base))));
  chownSync(`${upper}/private`, base, base);
  const stack = stackOf(scene, 'c');
  await cli(scene, 'stack', 'commit', id, stack);
  return await isReadIn(scene, stack);
}

async function exportFile(scene: HostProbeScene): Promise<ProbeVerdict> {
  const [stack, again] = [stackOf(scene, 'e'), stackOf(scene, 'f')];
  await importFile(scene, stack, toTar(scene));
  const file = `${scene.folder}/image.tar`;
  await cli(scene, 'stack', 'export', stack, file);
  await cli(scene, 'stack', 'import', again, `oci-archive:${file}`);
  return await isReadIn(scene, again);
}

async function importAndRead(scene: HostProbeScene, tar: Buffer): Promise<ProbeVerdict> {
  const stack = stackOf(scene, 'i');
  await importFile(scene, stack, tar);
  return await isReadIn(scene, stack);
}

const COMMON = {
  group: 'images and layers',
  shownOn: '`tar` without attributes',
  proof: copyPlainly,
  timeoutMs: 120_000,
} as const;

export const accessListProbes: readonly HostProbe[] = [
  {
    ...COMMON,
    name: 'access control list: commit',
    tries: 'commits a file that a list denies to one group, and reads it as that group',
    stoppedBy: 'lists are kept, with their ids moved to those of the image',
    attack: (scene) => commitFile(scene, (base) => base + GROUP),
  },
  {
    ...COMMON,
    name: 'access control list: commit with an id of nobody’s',
    tries: 'commits a file with a list that names an id outside of the task’s, and reads it',
    stoppedBy: 'the commit is refused',
    attack: (scene) => commitFile(scene, (base) => base + 70_000),
  },
  {
    ...COMMON,
    name: 'access control list: export',
    tries: 'exports a stack with such a file, imports it again and reads the file',
    stoppedBy: 'lists are part of the layer that is exported',
    attack: exportFile,
  },
  {
    ...COMMON,
    name: 'access control list: import',
    tries: 'imports an image whose layer has such a file',
    stoppedBy: 'lists are part of the layer that is stored',
    attack: (scene) => importAndRead(scene, toTar(scene)),
  },
  {
    ...COMMON,
    name: 'access control list: import of a text',
    tries: 'the same with a list as `tar --acls` writes it',
    stoppedBy: 'the layer is refused',
    attack: (scene) => importAndRead(scene, toTar(scene, ['SCHILY.acl.access', TEXT])),
  },
];
