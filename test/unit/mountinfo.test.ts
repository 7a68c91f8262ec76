/** The mount table's text, and processes and host facts that need no privilege. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { StackshimError } from '../../src/core/errors.ts';
import { signalDisposition } from '../../src/sys/ask-process.ts';
import { isOfHost, isRunning, nsPidOf } from '../../src/sys/handled-process.ts';
import {
  isKernelAtLeast,
  parseKernelVersion,
  parseLimits,
  readHostFacts,
} from '../../src/sys/host-facts.ts';
import { parseMountinfo, readMounts } from '../../src/sys/mountinfo.ts';
import {
  bootId,
  isAlive,
  isOwnerAlive,
  ownIdentity,
  readProcess,
} from '../../src/sys/processes.ts';

const escapeOctal = (text: string) =>
  text.replace(
    /[ \t\n\\#]/g,
    (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`,
  );

describe('parseMountinfo', () => {
  test('reads a line with optional fields', () => {
    const text =
      '36 35 98:0 /mnt1 /mnt2 rw,noatime shared:1 master:2 - ext4 /dev/root rw,errors=continue\n';
    expect(parseMountinfo(text)).toEqual([
      {
        id: 36,
        parentId: 35,
        device: '98:0',
        root: '/mnt1',
        mountPoint: '/mnt2',
        options: ['rw', 'noatime'],
        filesystem: 'ext4',
        source: '/dev/root',
        superOptions: ['rw', 'errors=continue'],
      },
    ]);
  });

  test('reads a line without optional fields and decodes octal escapes', () => {
    const [entry] = parseMountinfo('1 0 0:1 / /a\\040b\\134c\\012d rw - tmpfs no\\043ne rw');
    expect(entry).toMatchObject({ mountPoint: '/a b\\c\nd', source: 'no#ne' });
  });

  test('distinguishes a mount point named “-” from the separator', () => {
    const [entry] = parseMountinfo('1 0 0:1 / - rw - tmpfs - rw');
    expect(entry).toMatchObject({ mountPoint: '-', filesystem: 'tmpfs', source: '-' });
  });

  test.each(['1 0 0:1 / /a rw tmpfs none rw', 'x 0 0:1 / /a rw - tmpfs none rw', '1 0', '- - -'])(
    'refuses %j',
    (line) => {
      expect(() => parseMountinfo(line)).toThrow(
        expect.objectContaining({ code: 'ERR_STACKSHIM_SYSTEM' }),
      );
    },
  );

  test('reads any mount point as the kernel escapes it', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), (name) => {
        const [entry] = parseMountinfo(`1 0 0:1 / ${escapeOctal(name)} rw - tmpfs none rw`);
        expect(entry?.mountPoint).toBe(name);
      }),
    );
  });

  test('returns mounts or one typed error, for any text', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          parseMountinfo(text);
        } catch (error) {
          expect(error).toBeInstanceOf(StackshimError);
        }
      }),
    );
  });

  test('reads this machine’s mounts', () => {
    expect(readMounts()).toContainEqual(
      expect.objectContaining({ mountPoint: '/proc', filesystem: 'proc' }),
    );
  });
});

describe('processes', () => {
  test('reads this process', () => {
    expect(readProcess(process.pid)).toMatchObject({
      pid: process.pid,
      ppid: process.ppid,
      executed: true,
    });
    expect(nsPidOf(process.pid)).toBe(process.pid);
    expect(isAlive(ownIdentity())).toBe(true);
    expect(isOwnerAlive(ownIdentity())).toBe(true);
    expect(isOwnerAlive({ ...ownIdentity(), bootId: 'another' })).toBe(false);
    expect(bootId()).toMatch(/^[0-9a-f-]{36}$/);
  });

  test('reads a name with parentheses, spaces and a newline', async () => {
    const name = 'a) S 1 (\nb';
    const script = `process.title; require('fs').writeFileSync('/proc/self/comm', ${JSON.stringify(name)}); console.log(); setInterval(() => 0, 1e6)`;
    const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'ignore'] });
    await once(child.stdout, 'data');
    try {
      expect(readProcess(child.pid ?? 0)).toMatchObject({ comm: name, ppid: process.pid });
    } finally {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  });

  test('reports an ended process as gone, and another start time as another process', async () => {
    const child = spawn('/bin/sleep', ['60'], { stdio: 'ignore' });
    await once(child, 'spawn');
    const identity = readProcess(child.pid ?? 0);
    if (identity === undefined) throw new Error('the child is not there');
    expect(isAlive(identity)).toBe(true);
    expect(isRunning(identity.pid)).toBe(true);
    expect(isOfHost(identity.pid)).toBe(true);
    expect(isAlive({ pid: identity.pid, startTime: identity.startTime + 1 })).toBe(false);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(readProcess(identity.pid)).toBeUndefined();
    expect(isAlive(identity)).toBe(false);
    expect(isRunning(identity.pid)).toBe(false);
    expect(isOfHost(identity.pid)).toBe(false);
    expect(await signalDisposition(identity.pid, 15)).toBeUndefined();
    expect(nsPidOf(identity.pid)).toBeUndefined();
  });

  test.each([
    ['handled', '$SIG{TERM} = sub {}'],
    ['blocked', 'sigprocmask(SIG_BLOCK, POSIX::SigSet->new(SIGTERM))'],
    ['dropped', '$SIG{TERM} = "IGNORE"'],
  ])('reports that a signal is %s', async (seen, prepare) => {
    const script = `use POSIX; $| = 1; ${prepare}; print "x"; sleep 600`;
    const child = spawn('/usr/bin/perl', ['-e', script], { stdio: ['ignore', 'pipe', 'ignore'] });
    await once(child.stdout, 'data');
    try {
      expect(await signalDisposition(child.pid ?? 0, 15)).toBe(seen);
      expect(await signalDisposition(child.pid ?? 0, 10)).toBe('dropped');
    } finally {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  });
});

describe('host facts', () => {
  test('contain limits, unlimited ones as Infinity', () => {
    const text = [
      'Limit                     Soft Limit           Hard Limit           Units     ',
      'Max cpu time              unlimited            unlimited            seconds   ',
      'Max open files            20000                40000                files     ',
      'Max nice priority         0                    0                    ',
      'Max pending signals       many                 many                 signals   ',
    ].join('\n');
    expect(parseLimits(text)).toEqual({
      RLIMIT_CPU: Infinity,
      RLIMIT_NOFILE: 40000,
      RLIMIT_NICE: 0,
    });
  });

  test('are read once', () => {
    const facts = readHostFacts();
    expect(readHostFacts()).toBe(facts);
    expect(facts.memoryBytes).toBeGreaterThan(0);
    expect(facts.cpus).toBeGreaterThan(0);
    expect(Object.keys(facts.hardLimits)).toHaveLength(16);
    expect(facts.isRoot).toBe(process.getuid?.() === 0);
  });

  test('contain a comparable kernel version', () => {
    const facts = { ...readHostFacts(), kernelVersion: parseKernelVersion('6.12.48+deb13-amd64') };
    expect(facts.kernelVersion).toEqual([6, 12]);
    expect(isKernelAtLeast(facts, 6, 12)).toBe(true);
    expect(isKernelAtLeast(facts, 5, 19)).toBe(true);
    expect(isKernelAtLeast(facts, 6, 15)).toBe(false);
    expect(() => parseKernelVersion('none')).toThrow(
      expect.objectContaining({ code: 'ERR_STACKSHIM_SYSTEM' }),
    );
  });
});
