/** The executable on a host with only an OCI runtime and the tools that each test allows. */
import { copyFileSync, mkdirSync, realpathSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { CLEAN, useTaskRunner } from '../support/cli/task-runner.ts';
import { realRunc } from '../support/runtimes/fake-runtime.ts';

const { installation, run, folder, setPolicy } = useTaskRunner();

afterEach(() => setPolicy(null));

/** Options that hide every program of the host from the executable, except the runtime and `tools`. */
function withOnly(name: string, tools: readonly string[]) {
  const programs = join(folder, name);
  mkdirSync(programs);
  for (const path of [realpathSync(realRunc(installation.layout)), ...tools]) {
    copyFileSync(path, join(programs, basename(path)));
  }
  const hide = `for folder in /usr/local/sbin /usr/local/bin /usr/sbin /usr/bin; do /usr/bin/mount --bind ${programs} $folder || exit; done`;
  const through = ['/usr/bin/unshare', '--mount', '/bin/sh', '-c', `${hide}; exec "$@"`, 'sh'];
  return { through, env: { PATH: '/nonexistent' } };
}

it('run needs a runtime and mkfs.ext4, and nothing else from PATH', async () => {
  const alone = withOnly('volume', ['/usr/sbin/mkfs.ext4']);
  const { status, stdout, stderr, record } = await run([], ['echo', 'hello'], alone);
  expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: 'hello\n', stderr: '' });
  expect(record).toMatchObject({ ...CLEAN, verdict: 'succeeded' });
});

it('run needs only a runtime if it does not have to make a volume', async () => {
  setPolicy({ disk: { mechanism: 'sampling' } });
  const { status, stdout } = await run([], ['echo', 'hello'], withOnly('sampling', []));
  expect({ status, stdout }).toEqual({ status: 0, stdout: 'hello\n' });
});

it.each([
  ['mkfs.ext4', 'e2fsprogs', []],
  ['mkfs.erofs', 'erofs-utils', ['--code', folder]],
])(
  'run names %s and its package if it is needed and missing',
  async (tool, packageName, options) => {
    setPolicy({ disk: { mechanism: tool === 'mkfs.ext4' ? 'volume' : 'sampling' } });
    const { status, stderr, record } = await run(options, ['true'], withOnly(`no-${tool}`, []));
    expect({ status, stderr }).toEqual({
      status: 125,
      stderr: [
        `stackshim: find ${tool}: not installed (Debian package ${packageName}) [ERR_STACKSHIM_TOOL_MISSING]`,
        `  hint: install the package: apt-get install ${packageName}\n`,
      ].join('\n'),
    });
    expect(record).toMatchObject({ ...CLEAN, verdict: 'setup_failed', retryable: true });
  },
);
