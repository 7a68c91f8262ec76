/** No descriptor of a host device reaches a runtime or a task, with every runtime and kind of stream. Requires: root. */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { STACKSHIM } from '../support/cli/run-cli.ts';
import { useTaskRunner } from '../support/cli/task-runner.ts';
import { ownDevices } from '../support/host/own-devices.ts';
import { writeExecutable } from '../support/runtimes/fake-runtime.ts';
import { runtimesUnderTest } from '../support/runtimes/runtime-lab.ts';

const { run, folder, setPolicy, installation } = useTaskRunner();
const { env } = installation;
const log = join(folder, 'descriptors');

/** Writes the runtime that lists each descriptor it gets, then runs the real one. */
function writeTellingRuntime(name: string, real: string): string {
  const path = join(folder, `telling-${name}`);
  const look = `stat -L -c '%F %d:%i' /proc/self/fd/$fd >> ${log} 2>> ${log}.missing`;
  const each = `for fd in 0 1 2 3 4 5; do ${look}; done`;
  writeExecutable(path, `#!/bin/sh\n${each}\nexec ${real} "$@"\n`);
  return path;
}

/** The device nodes of the host that programs get. */
function hostDevices(): ReadonlySet<string> {
  const nodes = readdirSync('/dev')
    .map((name) => statSync(`/dev/${name}`, { throwIfNoEntry: false }))
    .filter((stat) => stat?.isCharacterDevice() || stat?.isBlockDevice());
  return new Set(nodes.map((stat) => `${stat?.dev}:${stat?.ino}`));
}

const handedOver = () =>
  readFileSync(log, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => line.split(' ').at(-1) ?? '');

describe.each(runtimesUnderTest(folder))('$name', ({ name, path }) => {
  const telling = writeTellingRuntime(name.replaceAll(/\W/g, '-'), path);
  beforeEach(() => {
    setPolicy({ allow: { runtimes: ['runc', telling] } });
    writeFileSync(log, '');
  });
  afterEach(() => {
    setPolicy(null);
    for (const file of [log, `${log}.missing`]) rmSync(file, { force: true });
  });

  it.each([
    ['without input', [], ['true'], 0],
    ['with input', ['-i'], ['true'], 0],
    ['with a terminal', ['-t'], ['true'], 0],
    ['with a missing command', [], ['/nowhere'], 127],
  ] as const)('gives the task no device of the host %s', async (_, options, command, expected) => {
    const { status } = await run(['--runtime', telling, ...options], command);
    expect(status).toBe(expected);
    const devices = hostDevices();
    expect(handedOver().length).toBeGreaterThan(2);
    expect(handedOver().filter((node) => devices.has(node))).toEqual([]);
  });

  it('gives a task without input an empty one that is not a terminal', async () => {
    const script = 'cat; cat /dev/stdin; [ -t 0 ] || stat -L -c "%F %t:%T" /dev/stdin';
    const { stdout, status } = await run(['--runtime', telling], ['sh', '-c', script]);
    expect({ stdout, status }).toEqual({ stdout: 'character special file 1:3\n', status: 0 });
  });
});

describe('crun in a mount namespace with devices of its own', () => {
  it.each([
    ['without input', ''],
    ['with input', '-i'],
    ['with a terminal', '-t'],
  ])('changes the owner of no device, %s, even when it fails', (_, option) => {
    setPolicy({ allow: { runtimes: ['runc', '/usr/bin/crun'] } });
    const call = `${STACKSHIM} run --runtime /usr/bin/crun ${option} busybox`;
    const script = [
      ownDevices(join(folder, `dev-${option}`)),
      'before=$(stat -c "%n %u:%g %a" /dev/*)',
      `${call} true < /dev/null && echo ran`,
      `${call} /nowhere < /dev/null 2> /dev/null`,
      'after=$(stat -c "%n %u:%g %a" /dev/*)',
      '[ "$before" = "$after" ] && echo same',
    ].join('\n');
    const inside = ['-m', '--propagation', 'private', 'sh', '-c', script];
    const { stdout, stderr } = spawnSync('unshare', inside, {
      env: { ...process.env, ...env },
      encoding: 'utf8',
    });
    expect({ stdout, stderr }).toEqual({ stdout: 'ran\nsame\n', stderr: '' });
    setPolicy(null);
  });
});
