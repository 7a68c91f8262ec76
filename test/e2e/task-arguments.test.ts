/** `--args`: how a command gets the paths of its inputs as arguments. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openStackshim } from '../../src/index.ts';
import { runCli } from '../support/cli/run-cli.ts';
import { CLEAN, useTaskRunner } from '../support/cli/task-runner.ts';

const STORED = /^(file|mount) \S+\/(lib|run)\/(packages|images|layers)(\/|$)/;
const { installation, run, folder } = useTaskRunner([STORED]);
const { env } = installation;
const [PAYLOAD, CONFIG] = ['/run/stackshim/payload', '/run/stackshim/config'];

const code = join(folder, 'code');
mkdirSync(code);
const ECHO = 'printf "%s\\n" "$@"; if [ -n "$PAYLOAD_FILE" ]; then cat "$PAYLOAD_FILE"; fi';
writeFileSync(join(code, 'main.sh'), `${ECHO}\n`);
const config = join(folder, 'config.json');
writeFileSync(config, '{}');
const linesOf = (text: string) => text.split('\n').filter((line) => line !== '');

/** What the program of the code got: its arguments, then its payload. */
async function argumentsOf(options: readonly string[], more: readonly string[] = []) {
  const given = ['--name', 'the-task', '--code', code, ...options];
  const { stdout, record, stderr } = await run(given, ['sh', 'main.sh', ...more]);
  expect(record, stderr).toMatchObject({ ...CLEAN, verdict: 'succeeded' });
  return linesOf(stdout);
}

describe('--args iron', () => {
  const usual = ['-d', '/task/', '-e', 'production', '-id', 'the-task', '-payload', PAYLOAD];

  it('appends the arguments of IronWorker to the command', async () => {
    const options = ['--args', 'iron', '--payload', 'text'];
    expect(await argumentsOf(options, ['-v', '{id}'])).toEqual(['-v', '{id}', ...usual, 'text']);
  });

  it('names config and schedule only if the task has them', async () => {
    const options = ['--config-file', config, '--schedule-id', '66:nightly'];
    const more = ['-config', CONFIG, '-schedule_id', '66:nightly'];
    expect(await argumentsOf(['--args', 'iron', ...options])).toEqual([...usual, ...more]);
    expect(await argumentsOf(options, ['x'])).toEqual(['x']);
  });

  it('makes an empty payload file for a task without payload', async () => {
    const script = 'stat -c "%n %s" "$6" "$PAYLOAD_FILE"; echo "$*"';
    const given = ['--args', 'iron', '--name', 'codeless'];
    const { stdout } = await run(given, ['sh', '-c', `${script}`, 'sh']);
    const args = `-e production -id codeless -payload ${PAYLOAD}`;
    expect(linesOf(stdout)).toEqual([`${PAYLOAD} 0`, `${PAYLOAD} 0`, args]);
  });

  it('names the folder of a code package, and its config', async () => {
    const settings = ['--stack', 'busybox', '--config-file', config];
    const add = ['code', 'add', 'worker', code, ...settings, '--', 'sh', 'main.sh'];
    const added = await runCli(add, { env });
    expect(added.status, added.stderr).toBe(0);
    const start = ['run', '--name', 'the-task', '--code', 'worker', '--args', 'iron'];
    const { stdout } = await runCli(start, { env });
    expect(linesOf(stdout)).toEqual([...usual, '-config', CONFIG]);
  });

  it('comes from the library, too, and data from a queue may ask for it, but not name the schedule', async () => {
    const stackshim = openStackshim(installation.options);
    const input = { stack: 'busybox', command: ['printf', '%s '], args: 'iron', id: 'a' } as const;
    const { output } = await stackshim.run({ ...input, scheduleId: 'b' });
    expect(output.stdout).toBe(`-e production -id a -payload ${PAYLOAD} -schedule_id b `);
    const { id: _, ...job } = input;
    const asJob = await stackshim.run(job, { origin: 'job' });
    expect(asJob).toMatchObject({ ...CLEAN, verdict: 'succeeded' });
    const refused = stackshim.run({ ...job, scheduleId: 'b' }, { origin: 'job' });
    await expect(refused).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_SPEC_DENIED',
      details: { field: 'scheduleId' },
    });
  });
});

describe('--args names', () => {
  it('replaces names in every argument, each as often as it stands there', async () => {
    const given = ['--args', 'names', '--payload', 'text', '--config-file', config];
    const words = [
      '--in={payload}',
      '{config}',
      '{id}-{id}',
      '{other}',
      '{PAYLOAD}',
      '{{id}}',
      '$id',
    ];
    expect(await argumentsOf(given, words)).toEqual([
      ...[`--in=${PAYLOAD}`, CONFIG, 'the-task-the-task', '{other}', '{PAYLOAD}', '{the-task}'],
      ...['$id', 'text'],
    ]);
  });

  it('replaces names in the entrypoint, and makes an empty payload file if that is named', async () => {
    const given = ['--args', 'names', '--entrypoint', 'cat'];
    expect(await run(given, ['{payload}'])).toMatchObject({ status: 0, stdout: '' });
    const stackshim = openStackshim(installation.options);
    const entrypoint = ['echo', '{id}', '{payload}'];
    const input = { stack: 'busybox', entrypoint, args: 'names', id: 'a' } as const;
    expect((await stackshim.run(input)).output.stdout).toBe(`a ${PAYLOAD}\n`);
  });

  it('refuses a name of a config that the task does not have', async () => {
    const { status, stderr, record } = await run(['--args', 'names'], ['cat', '{config}']);
    expect(status).toBe(125);
    expect(stderr).toContain('COMMAND: names {config}, and the task has no config');
    expect(record).toBeUndefined();
  });

  it('refuses a command that gets too long', async () => {
    const long = '{payload}'.repeat(14_000);
    const { status, stderr } = await run(['--args', 'names'], ['echo', long]);
    expect(status).toBe(125);
    expect(stderr).toContain('COMMAND: longer than 131071 bytes');
  });
});

describe('without --args', () => {
  it('a command is not changed', async () => {
    const awk = ['awk', 'BEGIN { id = 7; payload = 8 } {id}{payload} END { print id, "{id}" }'];
    expect((await run(['--payload', 'x'], awk)).stdout).toBe('7 {id}\n');
    expect((await run(['--args', 'none'], ['echo', '{id}', '{config}'])).stdout).toBe(
      '{id} {config}\n',
    );
  });
});

it('an unknown convention or an unusable schedule is refused', async () => {
  for (const [option, value] of [
    ['--args', 'steel'],
    ['--args', ''],
    ['--schedule-id', ''],
    ['--schedule-id', '-x'],
    ['--schedule-id', 'a\nb'],
    ['--schedule-id', 'x'.repeat(256)],
  ] as const) {
    const { status, stderr } = await runCli(['run', option, value, 'busybox', 'true'], { env });
    expect(status, value).toBe(125);
    expect(stderr).toContain(`stackshim: ${option}`);
    expect(stderr).toContain('[ERR_STACKSHIM_SPEC_INVALID]');
  }
});
