/** The task in which commands are executed: it does not notice them, it ends them, it tells of them, or it refuses them. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { openCgroupDriver } from '../../src/cgroup/open-cgroup-driver.ts';
import { parseTaskId } from '../../src/core/ids.ts';
import { readRecord } from '../../src/task/records/read-record.ts';
import { replaceRecord } from '../../src/task/records/record.ts';
import { sh } from '../support/cli/shell.ts';
import { CLEAN } from '../support/cli/task-runner.ts';
import { useExecTests } from './support/exec-tests.ts';

const {
  exec,
  startExec,
  startTask,
  kill,
  run,
  resultOf,
  placesOf,
  setPolicy,
  folder,
  installation,
} = useExecTests();
const { layout } = installation;

describe('the task', () => {
  it('does not wait for the command, which ends with it', async () => {
    const task = await startTask(['--timeout', '3s']);
    const started = startExec([
      task.id,
      ...sh('echo begun; trap "" TERM; while :; do sleep 0.1; done'),
    ]);
    await started.printed('begun');
    expect(await task.ended).toMatchObject({
      status: 124,
      record: { ...CLEAN, verdict: 'timed_out' },
    });
    expect((await started.ended).status).toBe(137);
  });

  it('ends although stackshim, which executes a command in it, is stopped', async () => {
    const task = await startTask();
    const started = startExec([task.id, ...sh('echo begun; exec sleep 1000')]);
    await started.printed('begun');
    started.child.kill('SIGSTOP');
    await kill(task.id);
    expect((await task.ended).record).toMatchObject({ ...CLEAN, verdict: 'cancelled' });
    started.child.kill('SIGCONT');
    expect((await started.ended).status).toBeGreaterThan(128);
  });

  it('holds the command to its limit of memory', async () => {
    const { id } = await startTask(['-m', '32m']);
    const { status } = await exec([id, ...sh('dd if=/dev/zero of=/dev/null bs=100M count=1')]);
    expect(status).toBe(137);
  });

  it('may have used up its processes: the command starts or not, and nothing is left', async () => {
    const fill = '(while :; do (while :; do sleep 1000 & done); done) 2> /dev/null &';
    const { id } = await startTask(['--pids-limit', '6'], `echo ready; ${fill} exec sleep 1000`);
    for (let round = 0; round < 5; round += 1) {
      expect([0, 125]).toContain((await exec([id, 'true'])).status);
    }
  });

  it('tells who executed what, when, and how it ended', async () => {
    const task = await startTask(['--events', `${folder}/events`]);
    const before = Date.now();
    await exec([task.id, ...sh('exit 3')], { env: { SUDO_UID: '1234' } });
    await exec(['-u', 'user', task.id, 'no-such-command'], { env: { SUDO_UID: '' } });
    await exec([task.id, ...sh('kill -9 $$')]);
    const long = startExec([task.id, 'sh', '-c', 'echo begun; sleep 1000', 'x'.repeat(10_000)]);
    await long.printed('begun');
    const record = await resultOf(task);
    await long.ended;
    const by = { pid: expect.any(Number), uid: 0, sudoUid: null };
    expect(record?.execs).toMatchObject([
      {
        command: ['sh', '-c', 'exit 3'],
        user: '0:0',
        by: { ...by, sudoUid: 1234 },
        exit: { exitCode: 3, signal: null },
        error: null,
      },
      {
        command: ['no-such-command'],
        user: '1000:1000',
        by,
        exit: null,
        error: 'ERR_STACKSHIM_COMMAND_NOT_FOUND',
      },
      { by, exit: { exitCode: null, signal: 'SIGKILL' }, error: null },
      { by: { ...by, pid: long.child.pid }, error: null },
    ]);
    const last = record?.execs?.[3];
    expect(last?.command.join('').length).toBeLessThan(4_100);
    const times = record?.execs?.map(({ startedAt }) => Date.parse(startedAt)) ?? [];
    expect(times.every((time) => time >= before && time <= Date.now())).toBe(true);
    const events = readFileSync(`${folder}/events`, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    const told = events.filter(({ type }) => type === 'exec');
    expect(told.map(({ exec: one }) => one)).toEqual(record?.execs);
    expect(events.map(({ type }) => type).slice(-7)).toEqual([
      'exited',
      'exec',
      'exec',
      'exec',
      'exec',
      'removed',
      'finished',
    ]);
  });

  it('says nothing of commands if there were none', async () => {
    const { record } = await run([], ['true']);
    expect(record).not.toHaveProperty('execs');
  });

  it('leaves nothing of the commands but what is told', async () => {
    const { id } = await startTask();
    await exec([id, 'true']);
    await exec([id, 'no-such-command']);
    const { execsDir } = placesOf(id);
    const left = readdirSync(execsDir).flatMap((name) => readdirSync(`${execsDir}/${name}`));
    expect(left).toEqual(['exec.json', 'exec.json']);
  });

  it('takes no more commands than can be told', async () => {
    const { id } = await startTask();
    await exec([id, 'true']);
    for (let i = 1; i < 1_000; i += 1) mkdirSync(`${placesOf(id).execsDir}/made-${i}`);
    const { status, stderr } = await exec([id, 'true']);
    expect(status).toBe(125);
    expect(stderr).toContain('ERR_STACKSHIM_TASK_CONFLICT');
  });
});

describe('the policy', () => {
  it('may forbid it', async () => {
    const task = await startTask();
    setPolicy({ allow: { exec: [] } });
    const { status, stderr } = await exec([task.id, 'true']);
    expect([status, stderr]).toEqual([125, expect.stringContaining('ERR_STACKSHIM_SPEC_DENIED')]);
    expect(await resultOf(task)).not.toHaveProperty('execs');
  });

  it.each([['job'], [undefined]] as const)(
    'forbids it in a task of origin %s, unless it allows jobs',
    async (origin) => {
      const { id } = await startTask();
      const record = readRecord(layout, parseTaskId(id));
      if (record === undefined) throw new Error('no record');
      const { origin: _, ...rest } = record;
      replaceRecord(placesOf(id), { ...rest, ...(origin === undefined ? {} : { origin }) });
      const denied = await exec([id, 'true']);
      expect(denied.status).toBe(125);
      expect(denied.stderr).toContain('allow.exec allows only caller [ERR_STACKSHIM_SPEC_DENIED]');
      setPolicy({ allow: { exec: ['job'] } });
      expect((await exec([id, 'true'])).status).toBe(0);
    },
  );
});

describe('no command is executed in a task that', () => {
  async function expectConflict(id: string, state: string): Promise<void> {
    const { status, stderr } = await exec([id, 'true']);
    expect(status).toBe(125);
    expect(stderr).toContain('[ERR_STACKSHIM_TASK_CONFLICT]');
    expect(stderr).toContain(state);
  }

  it('does not exist, or is another installation’s', async () => {
    const { status, stderr } = await exec(['nobody', 'true']);
    expect(status).toBe(125);
    expect(stderr).toContain('[ERR_STACKSHIM_TASK_NOT_FOUND]');
    expect(stderr).toContain('STACKSHIM_RUN');
    expect((await exec(['../x', 'true'])).stderr).toContain('[ERR_STACKSHIM_SPEC_INVALID]');
  });

  it('has ended and was kept', async () => {
    await run(['--name', 'kept', '--keep'], ['true']);
    await expectConflict('kept', 'it has ended');
    await kill('kept');
  });

  it('is orphaned', async () => {
    const { id, child, ended } = await startTask();
    child.kill('SIGKILL');
    await ended;
    await expectConflict(id, 'it is orphaned');
  });

  it('is paused', async () => {
    const { id } = await startTask();
    const { cgroupsPath } = placesOf(id);
    const [files, on, off] =
      openCgroupDriver().version === 1
        ? ['freezer.state', 'FROZEN', 'THAWED']
        : ['cgroup.freeze', '1', '0'];
    const found = openCgroupDriver()
      .existing(cgroupsPath)
      .map((directory) => `${directory}/${files}`)
      .filter(existsSync);
    const [file = ''] = found.filter((path) => files !== 'cgroup.freeze' || path.length > 0);
    writeFileSync(file, on);
    try {
      await expectConflict(id, 'it is paused');
    } finally {
      writeFileSync(file, off);
    }
    expect((await exec([id, 'true'])).status).toBe(0);
  });

  it('has a record that cannot be read', async () => {
    const { id } = await startTask();
    const file = placesOf(id).recordFile;
    const text = readFileSync(file, 'utf8');
    writeFileSync(file, '{}');
    const { status, stderr } = await exec([id, 'true']);
    writeFileSync(file, text);
    expect([status, stderr]).toEqual([
      125,
      expect.stringContaining('ERR_STACKSHIM_RECORD_CORRUPT'),
    ]);
  });
});

it('needs root', async () => {
  const { id } = await startTask();
  const through = ['setpriv', '--reuid', '12345', '--regid', '12345', '--clear-groups'];
  const { status, stderr } = await exec([id, 'true'], { through });
  expect(status).toBe(125);
  expect(stderr).toContain('ERR_STACKSHIM_NOT_ROOT');
});
