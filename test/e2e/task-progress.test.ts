/** What a task writes to the file named by TASK_PROGRESS_FILE: events, the result, and what a task may do with the file. */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runCli } from '../support/cli/run-cli.ts';
import { sh } from '../support/cli/shell.ts';
import { CLEAN, useTaskRunner } from '../support/cli/task-runner.ts';
import { waitUntil } from '../support/timing/wait-until.ts';

const STORED = /^(file|mount) \S+\/(lib|run)\/(packages|images|layers)(\/|$)/;
const { installation, run, start, folder } = useTaskRunner([STORED]);
const { env } = installation;
const GIVEN = ['--payload', 'text'];

interface EventLine {
  readonly type: string;
  readonly text?: string;
}

const eventsIn = (file: string): readonly EventLine[] =>
  readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));

const textsIn = (file: string) =>
  eventsIn(file).flatMap(({ type, text }) => (type === 'progress' ? [text] : []));

/** A shell function that waits until the test lets the task go on. */
const GATE = 'gate() { until [ -e /gates/$1 ]; do sleep 0.05; done; }';

function makeGates() {
  const gates = mkdtempSync(join(folder, 'gates-'));
  chmodSync(gates, 0o755);
  return {
    bind: ['-v', `${gates}:/gates:ro`],
    goOn: (n: number) => writeFileSync(join(gates, String(n)), ''),
  };
}

describe('TASK_PROGRESS_FILE', () => {
  it('is there for tasks with code, payload, config or build step, and for no others', async () => {
    const code = join(folder, 'code');
    mkdirSync(code);
    const config = join(folder, 'config');
    writeFileSync(config, '{}');
    await runCli(['code', 'add', 'packaged', code], { env });
    const script = sh('echo "$TASK_PROGRESS_FILE"; stat -c "%s %a" "$TASK_PROGRESS_FILE"');
    const stdout = '/run/stackshim/progress/text\n0 666\n';
    for (const given of [
      ['--payload', ''],
      ['--code', code],
      ['--config-file', config],
      ['--build', 'true'],
      ['--code', 'packaged'],
    ]) {
      expect(await run(given, script)).toMatchObject({ status: 0, stdout });
    }
    const plain = await run(['-e', 'A=b'], sh('env; ls -A /run'));
    expect(plain.stdout).not.toContain('TASK_PROGRESS_FILE');
    expect(plain.stdout).not.toContain('stackshim');
    expect(plain.record).toMatchObject({ ...CLEAN, progress: null });
  });

  it('is told as events in order, and the last text stands in the result', async () => {
    const file = join(folder, 'events');
    writeFileSync(file, '');
    const { bind, goOn } = makeGates();
    const steps = 'for n in 1 2 3; do echo "$n of 3" > $TASK_PROGRESS_FILE; gate $n; done';
    const task = start(['--events', file, ...GIVEN, ...bind], sh(`${GATE}; ${steps}`));
    for (const n of [1, 2]) {
      await waitUntil(() => textsIn(file).at(-1) === `${n} of 3`);
      goOn(n);
    }
    goOn(3);
    const { record } = await task.ended;
    expect(record).toMatchObject({ ...CLEAN, verdict: 'succeeded', progress: '3 of 3' });
    expect(textsIn(file)).toEqual(['1 of 3', '2 of 3', '3 of 3']);
    const types = eventsIn(file).map(({ type }) => type);
    expect(types.indexOf('started')).toBeLessThan(types.indexOf('progress'));
    expect(types.lastIndexOf('progress')).toBeLessThan(types.indexOf('exited'));
  });

  it('may be replaced by a rename, by any user of the task, and by an executed command', async () => {
    const replace = 'cd $(dirname $TASK_PROGRESS_FILE); echo "by $(id -u)" > next; mv -f next text';
    for (const user of ['0', '1000', '4321:99']) {
      const { record } = await run([...GIVEN, '-u', user], sh(replace));
      expect(record).toMatchObject({ ...CLEAN, progress: `by ${user.split(':')[0]}` });
    }
    const { bind, goOn } = makeGates();
    const wait = sh(`${GATE}; echo ready; gate 1`);
    const task = start([...GIVEN, ...bind, '--name', 'target'], wait);
    await task.printed('ready');
    const { status, stderr } = await runCli(
      ['exec', '-u', 'user', 'target', '--', ...sh(replace)],
      { env },
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    goOn(1);
    expect((await task.ended).record).toMatchObject({ ...CLEAN, progress: 'by 1000' });
  });

  it.each([['--read-only'], ['--userns=host'], ['--init'], ['--network=host']])(
    'works with %s',
    async (option) => {
      const command = sh('echo 99% > $TASK_PROGRESS_FILE');
      const { record, stderr } = await run([...GIVEN, option], command);
      expect(record, stderr).toMatchObject({ ...CLEAN, verdict: 'succeeded', progress: '99%' });
    },
  );

  it('is known of a task that was killed or passed its time', async () => {
    const wait = 'echo half > $TASK_PROGRESS_FILE; exec sleep 3600';
    const late = await run([...GIVEN, '--timeout', '300ms'], sh(wait));
    expect(late.record).toMatchObject({ ...CLEAN, verdict: 'timed_out', progress: 'half' });
    const killed = await run(GIVEN, sh('echo half > $TASK_PROGRESS_FILE; kill -9 -1'));
    expect(killed.record).toMatchObject({ ...CLEAN, progress: 'half' });
  });

  it.each([
    ['no more than the first 4,096 bytes', 'yes | head -c 100000', `${'y\n'.repeat(2047)}y`],
    ['what is no UTF-8 as U+FFFD', "printf 'a\\377b\\0c\\303'", 'a\ufffdb\ufffdc\ufffd'],
    ['no half of a character', "printf 'x%.0s' $(seq 4095); printf 'é'", 'x'.repeat(4095)],
    ['lines without the last line break', "printf ' 1\\n2\\n\\n'", ' 1\n2'],
    ['no empty text', 'true', null],
    ['no blank text', "printf ' \\n'", null],
    ['no padding', "printf 'text\\0\\0'; truncate -s 1099511627776 text", 'text'],
  ])('tells %s', async (_, program, progress) => {
    const { record } = await run(
      GIVEN,
      sh(`cd $(dirname $TASK_PROGRESS_FILE); { ${program}; } > text`),
    );
    expect(record).toMatchObject({ ...CLEAN, progress });
  });

  it.each([
    ['a folder', 'rm text; mkdir text', null],
    ['a link to a file of the task', 'echo secret > /tmp/own; rm text; ln -s /tmp/own text', null],
    ['a link to a file beside it', 'rm text; echo beside > other; ln -s other text', null],
    ['a hard link', 'rm text; echo linked > other; ln other text', 'linked'],
    ['a file that nobody may read', 'echo hidden > text; chmod 0 text', 'hidden'],
    ['nothing', 'rm text', null],
    ['nothing, in a folder that nobody may enter', 'rm text; chmod 0 .', null],
    ['a file under a full filesystem', 'echo full > text; yes > other 2>&1', 'full'],
    ['a device', 'rm text; mknod text c 1 9 2> /dev/null', null],
  ])('may be replaced by %s', async (_, program, progress) => {
    const script = sh(`cd $(dirname $TASK_PROGRESS_FILE); ${program}; exit 0`);
    for (const more of [[], ['--userns', 'host']]) {
      const { record } = await run([...GIVEN, ...more], script);
      expect(record).toMatchObject({ ...CLEAN, verdict: 'succeeded', progress });
    }
  });

  it('has room for a few small files, and none for many or large ones', async () => {
    const many = 'n=0; while touch $n 2> /dev/null; do n=$((n + 1)); done; echo $n; rm *';
    const large = 'yes 2> /dev/null > large; stat -c %s large';
    const place = 'cd $(dirname $TASK_PROGRESS_FILE)';
    const { stdout, record } = await run(GIVEN, sh(`${place}; ${many}; ${large}`));
    expect(record).toMatchObject(CLEAN);
    expect(stdout).toMatch(/^1[0-9]\n65536\n$/);
  });

  it('is told at most once a second, however often the task renames', async () => {
    const file = join(folder, 'renames');
    const renames = 'while :; do echo a$n > a; mv a text; n=$((n + 1)); done';
    const script = sh(`cd $(dirname $TASK_PROGRESS_FILE); ${renames}`);
    const { record } = await run([...GIVEN, '--events', file, '--timeout', '3500ms'], script);
    expect(record).toMatchObject({ ...CLEAN, verdict: 'timed_out' });
    expect(record?.progress).toMatch(/^a\d+$/);
    const wallMs = record?.usage.wallMs ?? 0;
    expect(textsIn(file).length).toBeLessThanOrEqual(Math.floor(wallMs / 1000) + 1);
  });
});
