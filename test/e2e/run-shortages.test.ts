/** A shortage on the host is reported as such, and as retryable. Requires: root. */
import { chmodSync, existsSync, mkdirSync, rmdirSync, statfsSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '../support/cli/run-cli.ts';
import { CLEAN, useTaskRunner } from '../support/cli/task-runner.ts';

const { run, installation, folder } = useTaskRunner();
const { layout, env } = installation;

const failed = { ...CLEAN, verdict: 'setup_failed', exitCode: null, retryable: true };
/** The script's arguments are what it passes to `exec`. */
const through = (script: string) => ['sh', '-c', `${script}; exec "$@"`, 'sh'];
const mounted = (script: string) => ['unshare', '--mount', ...through(script)];

describe('disk', () => {
  it('limited to more than is free is refused as exhausted', async () => {
    const { blocks, bavail, bsize } = statfsSync(layout.root);
    const asked = Math.floor((blocks + bavail) / 2) * bsize;
    const { status, stderr, record } = await run(['--disk', `${asked}`], ['true']);
    expect({ status, record }).toEqual({ status: 125, record: undefined });
    expect(stderr).toContain('[ERR_STACKSHIM_DISK_FULL]\n  hint: free disk space');
    expect(stderr).not.toContain('policy');
  });

  it('in a read-only root folder is reported as such, and nothing is left', async () => {
    const { root } = layout;
    const readOnly = `mount --bind ${root} ${root} && mount -o remount,bind,ro ${root}`;
    const { status, stderr, record } = await run([], ['true'], { through: mounted(readOnly) });
    expect(record).toMatchObject({ ...failed, error: { code: 'ERR_STACKSHIM_DISK_FAILED' } });
    expect(record?.error?.hint).toMatch(/^mount the filesystem writable/);
    expect({ status, told: stderr.includes('is not removed') }).toEqual({
      status: 125,
      told: false,
    });
  });
});

describe('processes and descriptors', () => {
  const pids = existsSync('/sys/fs/cgroup/pids') ? '/sys/fs/cgroup/pids' : '/sys/fs/cgroup';
  const group = `${pids}/few-processes-${process.pid}`;
  beforeAll(() => mkdirSync(group));
  afterAll(() => rmdirSync(group));

  it.each([8, 12])('are exhausted at pids.max %i', async (most) => {
    writeFileSync(`${group}/pids.max`, `${most}`);
    const { status, record } = await run([], ['true'], {
      through: through(`echo $$ > ${group}/cgroup.procs`),
    });
    expect(record).toMatchObject({
      ...failed,
      error: { code: 'ERR_STACKSHIM_PROCESS_EXHAUSTED', kind: 'exhausted' },
    });
    expect(record?.error?.hint).toContain('pids.max');
    expect(status).toBe(125);
  });

  it('are exhausted if there are too few descriptors', async () => {
    const { record } = await run([], ['true'], { through: through('ulimit -n 18') });
    expect(record).toMatchObject({
      ...failed,
      error: { code: 'ERR_STACKSHIM_PROCESS_EXHAUSTED', kind: 'exhausted' },
    });
    expect(record?.error?.hint).toContain('ulimit -n');
  });
});

describe('a run folder below a directory that other users cannot enter', () => {
  const above = dirname(layout.run);
  beforeAll(() => chmodSync(above, 0o700));
  afterAll(() => chmodSync(above, 0o711));

  it('is reported as such', async () => {
    const { status, stderr, record } = await run([], ['true']);
    expect({ status, stderr }).toEqual({
      status: 125,
      stderr: [
        `stackshim: use run folder ${layout.run}: tasks cannot pass through ${above} [ERR_STACKSHIM_HOST_UNSUPPORTED]`,
        `  hint: run chmod o+x ${above}, or set STACKSHIM_RUN to a folder that every user can pass through\n`,
      ].join('\n'),
    });
    expect(record).toMatchObject({ ...CLEAN, verdict: 'setup_failed' });
  });

  it('does not prevent a task that is root of the host', async () => {
    expect(await run(['--userns', 'host'], ['true'])).toMatchObject({ status: 0, stderr: '' });
  });
});

describe('memory', () => {
  it.each(['-v 2000000', '-d 1000000'])('limited to %s is reported as exhausted', async (limit) => {
    const { status, stderr } = await run([], ['true'], { through: through(`ulimit ${limit}`) });
    expect(status).toBe(125);
    expect(stderr).toMatch(
      /^stackshim: call libc: [^\n]* \[ERR_STACKSHIM_PROCESS_EXHAUSTED\]\n {2}hint: raise the limits of address space and data [^\n]*\n$/,
    );
  });
});

describe('the doctor', () => {
  const overlay = `cd ${folder} && mkdir -p over && mount -t tmpfs none over && cd over &&
    mkdir lower upper work root && mount -t overlay none -o lowerdir=lower,upperdir=upper,workdir=work root`;
  const diagnose = async (policy: object) => {
    const policyFile = `${folder}/doctor-policy.json`;
    writeFileSync(policyFile, JSON.stringify(policy));
    const { stdout } = await runCli(['doctor', '--json'], {
      env: { ...env, STACKSHIM_ROOT: `${folder}/over/root`, STACKSHIM_POLICY: policyFile },
      through: mounted(overlay),
    });
    const { checks } = JSON.parse(stdout);
    return checks.find(({ name }: { name: string }) => name === 'overlay of layers');
  };

  it('reports that tasks run if the root folder is on an overlay', async () => {
    expect(await diagnose({})).toMatchObject({
      status: 'ok',
      message: expect.stringContaining('scratch volume'),
    });
  });

  it('says what to change if tasks cannot run there, and does not blame the kernel', async () => {
    const check = await diagnose({ disk: { mechanism: 'sampling' } });
    expect(check).toMatchObject({ status: 'fail' });
    expect(check.hint).toContain('ext4');
    expect(check.hint).not.toContain('kernel');
  });
});
