/** No environment variable of the caller, and no file in the working directory, makes the executable run other code. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { runCli } from '../support/cli/run-cli.ts';
import { useInstallation } from '../support/installation/installation.ts';

const { env } = useInstallation();
const folder = mkdtempSync('/var/tmp/stackshim-engine-');
const program = `${folder}/program.js`;
const mark = `${folder}/ran`;
const overrides = `${folder}/overrides`;

beforeEach(() => {
  writeFileSync(program, `require('node:fs').writeFileSync(${JSON.stringify(mark)}, '')\n`);
  // Not valid for the engine: if it reads the file, it reports an error and exits.
  writeFileSync(overrides, 'override\n');
  return () => rmSync(mark, { force: true });
});
afterAll(() => rmSync(folder, { recursive: true }));

const version = (more: Readonly<Record<string, string>>, cwd = '/') =>
  runCli(['--version'], { env: { ...env, ...more }, cwd });

describe('an environment variable of the JavaScript engine', () => {
  it.each([
    ['BUN_BE_BUN', '1'],
    ['BUN_OPTIONS', `--preload ${program}`],
    ['BUN_OPTIONS', '--config=/no/such/file'],
    ['BUN_INSPECT_PRELOAD', program],
    ['BUN_JSC_dumpOptions', '2'],
    ['BUN_JSC_functionOverrides', overrides],
    ['BUN_CONFIG_PRELOAD', program],
    ['NODE_OPTIONS', `--require ${program}`],
  ])('%s does not change what the executable does', async (name, value) => {
    expect(await version({ [name]: value })).toMatchObject({
      status: 0,
      stdout: '0.1.0\n',
      stderr: '',
    });
    expect(existsSync(mark)).toBe(false);
  });

  it('does not open a debugger', async () => {
    const socket = `${folder}/debugger`;
    const trace = `${folder}/trace`;
    const through = ['strace', '-f', '-e', 'trace=bind,connect', '-o', trace];
    for (const name of ['BUN_INSPECT', 'BUN_INSPECT_NOTIFY', 'BUN_INSPECT_CONNECT_TO']) {
      await runCli(['stack', 'ls'], { env: { ...env, [name]: `unix://${socket}` }, through });
      expect(readFileSync(trace, 'utf8')).not.toContain(socket);
    }
  });

  it('still reaches a task under its own name', async () => {
    const names = ['BUN_OPTIONS', 'NODE_ENV', 'JSC_x', 'OTHER'];
    const values = Object.fromEntries(names.map((name) => [name, `value of ${name}`]));
    const options = names.flatMap((name) => ['-e', name]);
    const { stdout } = await runCli(['run', ...options, 'busybox', 'env'], {
      env: { ...env, ...values },
    });
    for (const name of names) expect(stdout.split('\n')).toContain(`${name}=value of ${name}`);
  });
});

it('files in the working directory do not change what the executable does', async () => {
  const cwd = `${folder}/called-here`;
  mkdirSync(cwd);
  for (const name of ['bunfig.toml', '.bunfig.toml']) {
    writeFileSync(`${cwd}/${name}`, `preload = [${JSON.stringify(program)}]\n`);
  }
  for (const name of ['.env', '.env.local', '.env.production']) {
    writeFileSync(`${cwd}/${name}`, `STACKSHIM_ROOT=${folder}/none\n`);
  }
  writeFileSync(`${cwd}/package.json`, '{"type": "nonsense"');
  const { stdout } = await runCli(['stack', 'ls'], {
    env: { ...env, HOME: cwd, XDG_CONFIG_HOME: cwd },
    cwd,
  });
  expect(stdout).toContain('busybox');
  const { STACKSHIM_ROOT: _, ...without } = env;
  const elsewhere = await runCli(['stack', 'ls', '--json'], {
    env: { ...without, STACKSHIM_RUN: env['STACKSHIM_RUN'] ?? '' },
    cwd,
  });
  expect(elsewhere.stderr).not.toContain(folder);
  expect(existsSync(mark)).toBe(false);
});
