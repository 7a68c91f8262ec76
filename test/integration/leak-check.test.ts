/** The leak check of privileged tests finds each kind of leak, and reports nothing else. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cgroupParent } from '../../src/cgroup/cgroup-names.ts';
import { type HostSnapshot, snapshotHost } from '../support/host/host-snapshot.ts';
import { expectNoLeaks, expectNoLeaksSince } from '../support/host/leak-check.ts';
import { disposeInstallation } from '../support/installation/dispose-installation.ts';

let root: string;
let before: HostSnapshot;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'stackshim-leaks-'));
  before = snapshotHost([root]);
});

afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

/** The report of the leak check as text; empty without leaks. */
function report(allow: readonly RegExp[] = []): string {
  try {
    expectNoLeaks(before, snapshotHost([root]), { roots: [root], allow });
    return '';
  } catch (error) {
    return String(error);
  }
}

/** The path of this installation's parent cgroup in one hierarchy. */
function parentCgroup(): string {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  const hierarchy = mounts.find((line) => / - cgroup2? .*(pids|cgroup2)/.test(line))?.split(' ')[4];
  return join(hierarchy ?? '', cgroupParent({ root }));
}

async function stop(child: ChildProcess): Promise<void> {
  const closed = once(child, 'close');
  child.kill('SIGKILL');
  await closed;
}

describe('expectNoLeaks', () => {
  it('passes if nothing was left', () => {
    expect(report()).toBe('');
  });

  it('reports a file unless it is allowed', () => {
    writeFileSync(join(root, 'left'), '');
    expect(report()).toContain(`file ${root}/left`);
    expect(report([/^file \S+\/left$/])).toBe('');
  });

  it('reports a folder once, whatever is in it', () => {
    mkdirSync(join(root, 'folder/deep'), { recursive: true });
    writeFileSync(join(root, 'folder/deep/left'), '');
    expect(report().split('\n').slice(1)).toEqual([`  file ${root}/folder/`]);
  });

  it('reports a new entry of the root directory', () => {
    expect(before.entries).toContain('/etc');
    const earlier = {
      ...before,
      entries: new Set([...before.entries].filter((e) => e !== '/etc')),
    };
    expect(() => expectNoLeaks(earlier, before, { roots: [root] })).toThrow(/\n {2}entry \/etc$/);
  });

  it('reports a mount, and no files below it', () => {
    const place = join(root, 'mounted');
    mkdirSync(place);
    execFileSync('mount', ['-t', 'tmpfs', 'none', place]);
    try {
      writeFileSync(join(place, 'inside'), '');
      expect(report()).toContain(`mount ${place} (tmpfs `);
      expect(report()).not.toContain('inside');
    } finally {
      execFileSync('umount', [place]);
    }
  });

  it('reports a process that this process started, until it ends', async () => {
    const child = spawn('sleep', ['1000'], { stdio: 'ignore' });
    await once(child, 'spawn');
    expect(report()).toContain(`process ${child.pid} sleep (parent ${process.pid})`);
    await stop(child);
    expect(report()).toBe('');
  });

  it('reports a process with dead parents by its cgroup', async () => {
    const parent = parentCgroup();
    mkdirSync(parent);
    const script = `sh -c 'echo $$ > ${parent}/cgroup.procs; echo in; exec sleep 1000' & wait`;
    const child = spawn('setsid', ['sh', '-c', script], { stdio: ['ignore', 'pipe', 'ignore'] });
    const readMembers = () => readFileSync(`${parent}/cgroup.procs`, 'utf8').trim();
    try {
      await once(child.stdout, 'data');
      await waitUntil(() => readFileSync(`/proc/${readMembers()}/comm`, 'utf8') === 'sleep\n');
      child.kill('SIGKILL');
      await once(child, 'exit');
      expect(report()).toMatch(new RegExp(`process ${readMembers()} sleep \\(parent \\d+\\)`));
      expect(report()).toContain(`cgroup ${parent}`);
    } finally {
      process.kill(Number(readMembers()), 'SIGKILL');
      await waitUntil(() => readMembers() === '');
    }
    expect(report()).toBe('');
    await waitUntil(() => removeEmpty(parent));
  });

  it('waits for a helper process that is still ending, and for no other', async () => {
    const script = '$0 = q(stackshim-guard); $| = 1; print 1; <STDIN>';
    const helper = spawn('perl', ['-e', script], { stdio: ['pipe', 'pipe', 'ignore'] });
    await once(helper.stdout, 'data');
    expect(report()).toContain(`process ${helper.pid} stackshim-guard`);
    const checked = expectNoLeaksSince(before, { roots: [root] });
    helper.stdin.end();
    await checked;
    const other = spawn('sleep', ['1000'], { stdio: 'ignore' });
    await once(other, 'spawn');
    const said = expectNoLeaksSince(before, { roots: [root] });
    await expect(said).rejects.toThrow(`process ${other.pid} sleep`);
    await stop(other);
  });

  it('reports a cgroup below the parent that is allowed to stay', () => {
    const parent = parentCgroup();
    mkdirSync(join(parent, 'task'), { recursive: true });
    expect(report()).toContain(`cgroup ${parent}/task`);
    rmdirSync(join(parent, 'task'));
    expect(report()).toBe('');
    rmdirSync(parent);
  });
});

describe('disposeInstallation', () => {
  it('removes mounts, cgroups and folders as well', () => {
    const layout = { root: join(root, 'lib'), run: join(root, 'run') };
    const place = join(layout.run, 'layers/mounted');
    mkdirSync(place, { recursive: true });
    mkdirSync(layout.root);
    execFileSync('mount', ['-t', 'tmpfs', 'none', place]);
    const hierarchies = [...snapshotHost([]).mounts].filter((line) => line.includes('(cgroup'));
    const cgroups = hierarchies.map((line) => join(line.split(' ')[0] ?? '', cgroupParent(layout)));
    for (const folder of cgroups) mkdirSync(join(folder, 'task'), { recursive: true });
    disposeInstallation(layout);
    expect(report()).toBe('');
    const after = snapshotHost([root]);
    expect([...after.files]).toEqual([`${root}/`]);
    expect(cgroups.filter((folder) => after.cgroups.has(folder))).toEqual([]);
  });
});

/** Polls a condition that the kernel changes without notice. */
async function waitUntil(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setImmediate(resolve));
}

function removeEmpty(folder: string): boolean {
  try {
    rmdirSync(folder);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EBUSY') return false;
    throw error;
  }
}
