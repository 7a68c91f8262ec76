/**
 * The real host set-up in its own mount and network namespaces, without tools, network or Debian.
 * Requires: root, a Debian host that is set up, and a reachable mirror.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { useLeakCheck } from '../support/host/leak-check.ts';

const project = join(import.meta.dirname, '../..');
const asNobody = 'exec setpriv --reuid 65534 --regid 65534 --clear-groups';
/** Hides a program from everything that runs in the namespace. */
const hide = (program: string) => `mount --bind /dev/null ${program}`;

useLeakCheck({ roots: () => [] });

let folder: string;
let root: string;
let temporary: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stackshim-setup-'));
  root = join(folder, 'root');
  temporary = join(folder, 'tmp');
  mkdirSync(temporary);
  // The checkout may lie where other users cannot go, for example below /root.
  chmodSync(folder, 0o755);
  mkdirSync(join(folder, 'checkout'));
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

interface SetupOptions {
  /** Shell commands that prepare the private mount namespace. */
  readonly arrange?: readonly string[];
  readonly isOffline?: boolean;
  /** Starts the set-up, for example as another user with `exec`. */
  readonly start?: string;
  readonly script?: 'setup' | 'quickstart';
}

/** apt retries after 1, 2 and 4 seconds without an answer; not in tests. Laid over the host's settings in the private mount namespace. */
function withoutRetries(): string {
  const settings = join(folder, 'apt');
  mkdirSync(settings, { recursive: true });
  writeFileSync(join(settings, '99retries'), 'Acquire::Retries "0";\n');
  const own = '/etc/apt/apt.conf.d';
  return `mount -t overlay -o ro,lowerdir=${settings}:${own} overlay ${own}`;
}

function runSetup({
  arrange = [],
  isOffline = false,
  start = 'exec',
  script = 'setup',
}: SetupOptions = {}) {
  const command = `${start} ${process.execPath} ${folder}/checkout/scripts/${script}.mjs`;
  const place = `mount --bind ${project} ${folder}/checkout`;
  const shell = ['set -e', place, withoutRetries(), ...arrange, command].join('\n');
  const namespaces = ['--mount', '--propagation', 'private', ...(isOffline ? ['--net'] : [])];
  const { status, stderr } = spawnSync('unshare', [...namespaces, 'sh', '-c', shell], {
    encoding: 'utf8',
    env: setupEnvironment(),
  });
  return { status, stderr };
}

const setupEnvironment = () => ({
  ...process.env,
  STACKSHIM_ROOT: root,
  TMPDIR: temporary,
});

/** Hashes what the set-up must not change on the host: apt's configuration and sources, and the package database. */
function hashHost(): string {
  const hash = createHash('sha256').update(readFileSync('/var/lib/dpkg/status'));
  const names = readdirSync('/etc/apt', { recursive: true, encoding: 'utf8' }).sort();
  for (const name of names) {
    const file = join('/etc/apt', name);
    hash.update(`${name}\0`);
    if (/\.(list|sources|conf)$/.test(name)) hash.update(readFileSync(file));
  }
  return hash.digest('hex');
}

/** A copy of the package database with one edited stanza. */
function editDpkgStatus(name: string, edit: (stanza: string) => string): string {
  const stanzas = readFileSync('/var/lib/dpkg/status', 'utf8').split('\n\n');
  const edited = stanzas.map((stanza) =>
    stanza.startsWith(`Package: ${name}\n`) ? edit(stanza) : stanza,
  );
  const file = join(folder, 'dpkg-status');
  writeFileSync(file, edited.join('\n\n'));
  return `mount --bind ${file} /var/lib/dpkg/status`;
}

describe('npm run setup', () => {
  it('installs a patched runc below the root, leaves the host unchanged, and does nothing the second time', () => {
    const before = hashHost();
    const first = runSetup();
    expect(first).toMatchObject({ status: 0 });
    const link = readlinkSync(join(root, 'runtimes/runc'));
    expect(link).toMatch(/^runc-1\.\S+\/usr\/sbin\/runc$/);
    expect(readdirSync(join(root, 'runtimes')).sort()).toEqual(['runc', link.split('/')[0]]);
    const { stdout } = spawnSync(join(root, 'runtimes/runc'), ['--version'], { encoding: 'utf8' });
    expect(first.stderr).toContain(/^runc version (\S+)/.exec(stdout)?.[1]);
    expect(hashHost()).toBe(before);
    expect(readdirSync(temporary)).toEqual([]);

    const second = runSetup({ isOffline: true });
    expect(second).toMatchObject({ status: 0 });
    expect(second.stderr).toContain('is there');
  });

  it('uses the host’s runc and warns about its vulnerabilities if the mirror cannot be reached', () => {
    const { status, stderr } = runSetup({ isOffline: true });
    expect(status).toBe(0);
    expect(stderr).toMatch(/WARNING: .*CVE-2025-31133, CVE-2025-52565, CVE-2025-52881/);
    expect(existsSync(root)).toBe(false);
    expect(readdirSync(temporary)).toEqual([]);
  });

  it('uses the host’s runc and says so if the C library is too old for the patched one', () => {
    const oldLibc = editDpkgStatus('libc6', (stanza) =>
      stanza.replace(/^Version: .*$/m, 'Version: 2.36-9'),
    );
    const { status, stderr } = runSetup({ arrange: [oldLibc] });
    expect(status).toBe(0);
    expect(stderr).toMatch(/needs libc6 2\.\d+; this host has 2\.36-9/);
    expect(stderr).toContain('WARNING');
    expect(existsSync(join(root, 'runtimes'))).toBe(false);
  });
});

describe('npm run setup that is stopped by a signal', () => {
  it('ends apt, removes its downloads and exits with 128 + the signal', async () => {
    const watcher = watch(temporary);
    const child = spawn(process.execPath, [join(project, 'scripts/setup.mjs')], {
      env: setupEnvironment(),
      stdio: 'ignore',
    });
    await once(watcher, 'change');
    watcher.close();
    child.kill('SIGTERM');
    expect(await once(child, 'close')).toEqual([143, null]);
    expect(readdirSync(temporary)).toEqual([]);
    expect(existsSync(join(root, 'runtimes/runc'))).toBe(false);
  });
});

describe('npm run setup with a missing tool', () => {
  const buildah = '/usr/bin/buildah';

  it.each<[string, SetupOptions, string]>([
    ['not root', { start: asNobody }, 'this is not root'],
    ['not root, the quickstart', { start: asNobody, script: 'quickstart' }, 'this is not root'],
    [
      'not Debian',
      { arrange: ['echo ID=fedora > $TMPDIR/os; mount --bind $TMPDIR/os /etc/os-release'] },
      'this is not a Debian system',
    ],
  ])('%s: names the tool and its package, and changes nothing', (_title, options, reason) => {
    const { status, stderr } = runSetup({
      ...options,
      arrange: [hide(buildah), ...(options.arrange ?? [])],
    });
    expect(status).toBe(1);
    expect(stderr).toContain('missing on this host: buildah (Debian package buildah)');
    expect(stderr).toContain(reason);
    expect(existsSync(root)).toBe(false);
  });

  it('no network: names the tool and its package, and leaves the package database alone', () => {
    const before = hashHost();
    const { status, stderr } = runSetup({
      isOffline: true,
      arrange: [
        hide(buildah),
        editDpkgStatus(
          'buildah',
          () => 'Package: buildah-was-here\nStatus: deinstall ok config-files',
        ),
        'mount -t tmpfs none /var/lib/apt/lists',
        'mount -t tmpfs none /var/cache/apt',
      ],
    });
    expect(status).toBe(1);
    expect(stderr).toContain('missing on this host: buildah (Debian package buildah)');
    expect(stderr).toContain('apt-get install --no-install-recommends buildah');
    expect(hashHost()).toBe(before);
    expect(existsSync(root)).toBe(false);
  });
});
