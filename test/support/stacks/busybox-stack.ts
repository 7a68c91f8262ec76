/** The small stack of most tests: static busybox with its applets, made and imported in less than a second. */
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { isStackName } from '../../../src/core/ids.ts';
import type { Layout } from '../../../src/core/layout.ts';
import { importOciLayout } from '../../../src/exchange/oci-image/import-oci-layout.ts';
import { STACK_LABELS } from '../../../src/store/images/image.ts';
import { addRevision } from '../../../src/store/stacks/change-revisions.ts';
import { flipStacks } from '../../../src/store/stacks/flip-stacks.ts';
import { linuxSystem } from '../../../src/sys/linux-system.ts';
import { writeSmallOciLayout } from '../images/small-oci-layout.ts';
import { makeTar, type SmallTarEntry } from '../images/small-tar.ts';

const BUSYBOX = '/bin/busybox';
const NOW = new Date('2026-01-01T00:00:00.000Z');

const directory = (path: string, mode = 0o755, id = 0): SmallTarEntry => ({
  kind: 'directory',
  path,
  mode,
  uid: id,
  gid: id,
});

/**
 * Imports the stack under `name` (`busybox` by default) and makes it current.
 * Users: root, `user` (1000:1000, home /home/user), `nobody` (65534:65534).
 */
export async function installBusyboxStack(layout: Layout, name = 'busybox'): Promise<void> {
  if (!isStackName(name)) throw new Error(`${name} is not a stack name`);
  const made = await mkdtemp(`${tmpdir()}/stackshim-busybox-`);
  try {
    await writeSmallOciLayout(made, {
      layers: [await makeBusyboxTar()],
      labels: {
        [STACK_LABELS.description]: 'static busybox for tests',
        [STACK_LABELS.smoke]: '["/bin/true"]',
      },
    });
    const image = await importOciLayout(layout, {
      system: linuxSystem,
      directory: made,
      tag: 'latest',
    });
    const { revision } = await addRevision(layout, linuxSystem, {
      stack: name,
      image: image.digest,
      source: { kind: 'import', reference: 'busybox' },
      now: NOW,
    });
    const changes = new Map([[name, revision]]);
    await flipStacks(layout, linuxSystem, { changes, now: NOW, reason: `install ${name}` });
  } finally {
    await rm(made, { recursive: true, force: true });
  }
}

/** The layer of the stack as a tar. */
export async function makeBusyboxTar(): Promise<Buffer> {
  const applets = execFileSync(BUSYBOX, ['--list-full'], { encoding: 'utf8' }).trim().split('\n');
  const links = applets
    .filter((path) => path !== 'bin/busybox')
    .map((path): SmallTarEntry => ({ kind: 'symlink', path, linkTarget: BUSYBOX }));
  return makeTar([
    ...['bin', 'sbin', 'usr', 'usr/bin', 'usr/sbin', 'etc', 'var', 'run', 'home'].map((path) =>
      directory(path),
    ),
    ...['proc', 'sys', 'dev'].map((path) => directory(path, 0o555)),
    directory('tmp', 0o1777),
    directory('var/tmp', 0o1777),
    directory('root', 0o700),
    directory('home/user', 0o755, 1000),
    {
      path: 'etc/passwd',
      content: [
        'root:x:0:0:root:/root:/bin/sh',
        'user:x:1000:1000:user:/home/user:/bin/sh',
        'nobody:x:65534:65534:nobody:/:/bin/false\n',
      ].join('\n'),
    },
    { path: 'etc/group', content: 'root:x:0:\nuser:x:1000:\nstaff:x:50:user\nnogroup:x:65534:\n' },
    { path: 'bin/busybox', mode: 0o755, content: await readFile(BUSYBOX) },
    ...links,
  ]);
}
