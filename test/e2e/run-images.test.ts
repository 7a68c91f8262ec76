/** Images of other tools: their entrypoint, their stop signal, and which settings are kept. Requires: root. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { runCli, startCli } from '../support/cli/run-cli.ts';
import { writeSmallOciLayout } from '../support/images/small-oci-layout.ts';
import { STORED, useInstallation } from '../support/installation/installation.ts';
import { makeBusyboxTar } from '../support/stacks/busybox-stack.ts';

const { layout, env } = useInstallation([STORED]);
const cli = (...args: string[]) => runCli(args, { env });

/** Settings of docker and podman that stackshim does not use, and an unknown one. */
const SETTINGS = {
  Healthcheck: { Test: ['CMD-SHELL', 'true || exit 1'], Interval: 30_000_000_000, Retries: 3 },
  ExposedPorts: { '80/tcp': {}, '443/tcp': {} },
  Volumes: { '/var/lib/data': {} },
  StopSignal: 'SIGUSR1',
  OnBuild: ['RUN echo é'],
  SomethingNew: { a: [1, 2.5, null] },
};

async function importImage(
  name: string,
  settings: Readonly<Record<string, unknown>>,
  ...options: string[]
): Promise<void> {
  const directory = `${layout.root}/../${name}`;
  await mkdir(directory);
  await writeSmallOciLayout(directory, { layers: [await makeBusyboxTar()], settings });
  const { status, stderr } = await cli('stack', 'import', name, `oci:${directory}`, ...options);
  expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' });
}

beforeAll(async () => {
  await importImage('entry', { Entrypoint: ['echo', 'entry'], Cmd: ['cmd'] });
  await importImage('settled', SETTINGS);
});

describe('the entrypoint', () => {
  const run = async (...args: string[]) => {
    const { status, stdout } = await cli('run', ...args);
    return { status, stdout };
  };

  it.each([
    ['of the image, with its command', [], [], 'entry cmd\n'],
    ['of the image, with a command', [], ['own'], 'entry own\n'],
    ['of the task, with a command', ['--entrypoint', 'printf'], ['%s.', 'a', 'b'], 'a.b.'],
    ["of the task, without the image's command", ['--entrypoint', '/bin/echo'], [], '\n'],
    ['reset, with a command', ['--entrypoint', ''], ['echo', 'plain'], 'plain\n'],
    ['reset, in one word', ['--entrypoint='], ['echo', 'plain'], 'plain\n'],
  ])('%s', async (_, options, command, stdout) => {
    expect(await run(...options, 'entry', ...command)).toEqual({ status: 0, stdout });
  });

  it('that is reset without a command is an error, because the image then gives none', async () => {
    const { status, stderr } = await cli('run', '--entrypoint', '', 'entry');
    expect(status).toBe(125);
    expect(stderr).toContain('ERR_STACKSHIM_SPEC_INVALID');
  });

  it('is not used for the smoke command', async () => {
    // `false /bin/true` would fail, as would the label's command with it.
    await importImage('refuses', { Entrypoint: ['false'] });
    await importImage('refuses-too', { Entrypoint: ['false'] }, '--smoke', '["test","1","=","1"]');
    expect((await run('refuses')).status).toBe(1);
  });
});

describe('the stop signal', () => {
  const waiting = (signal: string) =>
    `trap 'echo got ${signal}; exit 0' ${signal}; echo ready; while :; do sleep 0.05; done`;

  const stopped = async (how: 'cancel' | 'kill' | 'timeout', options: string[], script: string) => {
    const stops = ['--name', `stop-${how}`, '--stop-timeout', '1h'];
    const limit = how === 'timeout' ? ['--timeout', '1s'] : [];
    const args = ['run', ...stops, ...limit, ...options, 'settled', 'sh', '-c', script];
    const task = startCli(args, { env });
    await task.printed('ready');
    if (how === 'cancel') task.child.kill('SIGTERM');
    if (how === 'kill') expect((await cli('kill', 'stop-kill')).status).toBe(0);
    return (await task.ended).stdout;
  };

  it.each(['cancel', 'kill', 'timeout'] as const)(
    'of the image is sent first at a %s',
    async (how) => {
      expect(await stopped(how, [], waiting('USR1'))).toBe('ready\ngot USR1\n');
    },
  );

  it.each(['cancel', 'kill', 'timeout'] as const)(
    'of the task takes precedence over that of the image at a %s',
    async (how) => {
      const options = ['--stop-signal', 'QUIT'];
      expect(await stopped(how, options, waiting('QUIT'))).toBe('ready\ngot QUIT\n');
    },
  );

  it('that pid 1 does not handle is not waited for', async () => {
    // The stop timeout is an hour: the test ends only because KILL comes at once.
    expect(await stopped('cancel', [], waiting('TERM'))).toBe('ready\n');
  });

  it('that does not exist is refused', async () => {
    const { status, stderr } = await cli('run', '--stop-signal', 'SIGFOO', 'settled', 'true');
    expect(status).toBe(125);
    expect(stderr).toContain('"SIGFOO": not a signal');
  });
});

describe('settings of an image', () => {
  const exportedConfig = async (stack: string): Promise<Record<string, unknown>> => {
    const file = `${layout.root}/../${stack}.tar`;
    expect((await cli('stack', 'export', stack, file)).status).toBe(0);
    const read = (path: string) => execFileSync('tar', ['-xOf', file, path], { encoding: 'utf8' });
    const [{ Config }] = JSON.parse(read('manifest.json'));
    return JSON.parse(read(Config)).config;
  };

  it('are exported as they were imported', async () => {
    const config = await exportedConfig('settled');
    for (const [name, value] of Object.entries(SETTINGS)) {
      expect(JSON.stringify(config[name])).toBe(JSON.stringify(value));
    }
  });

  it('are kept by an image that a task is committed to', async () => {
    expect((await cli('run', '--keep', '--name', 'kept', 'settled', 'touch', '/new')).status).toBe(
      0,
    );
    expect((await cli('stack', 'commit', 'kept', 'committed')).status).toBe(0);
    expect((await cli('kill', 'kept')).status).toBe(0);
    expect(await exportedConfig('committed')).toEqual(await exportedConfig('settled'));
  });

  it('an image that an earlier version stored without settings can be read', async () => {
    const { stdout } = await cli('stack', 'show', 'settled', '--json');
    const { image } = JSON.parse(stdout);
    const file = `${layout.root}/images/${image.slice('sha256:'.length)}.json`;
    const stored = JSON.parse(readFileSync(file, 'utf8'));
    const { other, stopSignal, ...config } = stored.config;
    expect({ other: other.Volumes, stopSignal }).toEqual({
      other: SETTINGS.Volumes,
      stopSignal: 'SIGUSR1',
    });
    writeFileSync(file, JSON.stringify({ ...stored, config }));
    expect((await cli('run', 'settled', 'true')).status).toBe(0);
    writeFileSync(file, JSON.stringify(stored));
  });
});
