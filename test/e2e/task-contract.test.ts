/** What a program finds in a task: its input byte for byte, its working directory, the programs of docs/contract.md that need no stack of their own. */
import { createHash, randomBytes } from 'node:crypto';
import { chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { listStackFolders } from '../../scripts/steps/stack-folders.mjs';
import { readContractPrograms, testContract } from '../../scripts/steps/test-contract.mjs';
import { openStackshim } from '../../src/index.ts';
import { runCli, STACKSHIM } from '../support/cli/run-cli.ts';
import { sh } from '../support/cli/shell.ts';
import { CLEAN, useTaskRunner } from '../support/cli/task-runner.ts';
import { writeSmallOciLayout } from '../support/images/small-oci-layout.ts';
import { makeBusyboxTar } from '../support/stacks/busybox-stack.ts';

const STORED = /^(file|mount) \S+\/(lib|run)\/(packages|images|layers)(\/|$)/;
const { installation, run, folder } = useTaskRunner([STORED]);
const { env, layout, options } = installation;
const sha256 = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');
const SUMS = 'sha256sum < "$PAYLOAD_FILE"; sha256sum < "$CONFIG_FILE"; id -u';

beforeAll(async () => {
  const directory = `${layout.root}/../as-user`;
  await mkdir(directory);
  await writeSmallOciLayout(directory, { layers: [await makeBusyboxTar()], user: 'user' });
  const imported = await runCli(['stack', 'import', 'as-user', `oci:${directory}`], { env });
  expect(imported.status, imported.stderr).toBe(0);
});

describe('payload and config, for the user of the image', () => {
  const ALL_BYTES = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));

  it.each([
    ['no bytes', Buffer.alloc(0)],
    ['a NUL', Buffer.from('a\0b\0')],
    ['every byte, which is no UTF-8', ALL_BYTES],
    ['lines of several systems', Buffer.from('a\r\nb\rc\n\n')],
    ['64 KiB', randomBytes(64 * 1024)],
    ['10 MiB', randomBytes(10 * 1024 * 1024)],
  ])('arrive byte for byte: %s', async (_, bytes) => {
    const [payload, config] = [join(folder, 'payload'), join(folder, 'config')];
    writeFileSync(payload, bytes, { mode: 0o600 });
    writeFileSync(config, bytes, { mode: 0o600 });
    const given = ['--payload-file', payload, '--config-file', config];
    const { stdout } = await runCli(['run', ...given, 'as-user', ...sh(SUMS)], { env });
    const sum = `${sha256(bytes)}  -\n`;
    expect(stdout).toBe(`${sum}${sum}1000\n`);
    const { output } = await openStackshim(options).run(
      { stack: 'as-user', command: sh(SUMS), configFile: config },
      { payload: bytes },
    );
    expect(output.stdout).toBe(`${sum}${sum}1000\n`);
  });
});

describe('the working directory', () => {
  const code = join(folder, 'code');
  mkdirSync(join(code, 'below'), { recursive: true });
  writeFileSync(join(code, 'file'), 'of the code\n');
  // Whoever owns them here: the task's root owns them there.
  chownSync(join(code, 'file'), 1234, 1234);
  const script =
    'pwd; stat -c "%u:%g %a" . file below; echo new > made; mv file moved; cat moved made';

  it('belongs to the user of a task with a code package', async () => {
    const added = await runCli(['code', 'add', 'of-user', code], { env });
    expect(added.status, added.stderr).toBe(0);
    const script = sh('stat -c "%u %n" . file; echo new > made');
    const args = ['run', '--code', 'of-user', 'as-user', ...script];
    expect(await runCli(args, { env })).toMatchObject({ status: 0, stdout: '1000 .\n0 file\n' });
  });

  it.each([
    ['of the image', 'as-user', [], '1000:1000'],
    ['of the task', 'busybox', ['-u', '4321:99'], '4321:99'],
    ['of the task, in the host’s user namespace', 'as-user', ['--userns', 'host'], '1000:1000'],
    ['root', 'busybox', [], '0:0'],
  ])('belongs to the user: %s', async (_, stack, given, owner) => {
    const args = ['run', ...given, '--code', code, stack, ...sh(script)];
    const { stdout, stderr } = await runCli(args, { env });
    expect(stdout, stderr).toBe(`/task\n${owner} 755\n0:0 644\n0:0 755\nof the code\nnew\n`);
  });

  it('belongs to the user of a build step, too, and to that of each task with its build', async () => {
    const build = ['--build', 'id -u > by; mkdir made'];
    const args = [
      'run',
      '--code',
      code,
      ...build,
      'as-user',
      ...sh('cat by; rmdir made; id -u > own'),
    ];
    for (const _ of [1, 2]) {
      const { status, stdout, stderr } = await runCli(args, { env });
      expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '1000\n', stderr: '' });
    }
  });

  it('keeps its owner when its files are copied from a kept task', async () => {
    const made = sh('echo text > made');
    const { record } = await run(['--keep', '--name', 'kept', '--code', code, '-u', '7'], made);
    expect(record).toMatchObject({ verdict: 'succeeded' });
    for (const _ of [1, 2]) {
      const { stdoutBytes } = await runCli(['cp', 'kept:/task', '-'], { env });
      expect(ownerInTar(stdoutBytes)).toBe(7);
    }
    expect((await runCli(['kill', 'kept'], { env })).status).toBe(0);
  });
});

/** The user id in the first header of a tar. */
const ownerInTar = (tar: Buffer) => Number.parseInt(tar.toString('latin1', 108, 115), 8);

it('code, payload and config are found from where the caller is', async () => {
  const place = join(folder, 'any where');
  mkdirSync(join(place, 'inner'), { recursive: true });
  writeFileSync(join(place, 'main.sh'), 'cat "$PAYLOAD_FILE" "$CONFIG_FILE"; pwd; ls\n');
  writeFileSync(join(place, 'p.json'), '{"p":1}\n');
  writeFileSync(join(place, 'c.json'), '{"c":2}\n');
  const expected = '{"p":1}\n{"c":2}\n/task\nc.json\ninner\nmain.sh\np.json\n';
  for (const [cwd, path] of [
    [place, '.'],
    [place, './'],
    [join(place, 'inner'), '..'],
    [join(place, 'inner'), '../../any where'],
  ] as const) {
    const at = path.replace(/\/$/, '');
    const given = [
      '--code',
      path,
      '--payload-file',
      `${at}/p.json`,
      '--config-file',
      `${at}/c.json`,
    ];
    const { record, stdout } = await run(given, ['sh', 'main.sh'], { cwd });
    expect(record).toMatchObject({ ...CLEAN, verdict: 'succeeded' });
    expect(stdout).toBe(expected);
  }
});

describe('docs/contract.md', () => {
  it('has a program in each of eight languages, each for a stack that there is', async () => {
    const programs = await readContractPrograms();
    expect(programs.map(({ language }) => language).toSorted()).toEqual([
      'go',
      'java',
      'node',
      'perl',
      'php',
      'python',
      'ruby',
      'shell',
    ]);
    const stacks = listStackFolders().map(({ name }) => name);
    for (const { stack } of programs) expect(stacks).toContain(stack);
  });

  it('has a shell program that runs as it stands there', async () => {
    await testContract('busybox', { executable: STACKSHIM, env, language: 'shell' });
  });
});
