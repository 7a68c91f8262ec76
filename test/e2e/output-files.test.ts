/** Outputs of `stack export`, `save` and `run --result`: complete files, devices, FIFOs, standard output. */
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import {
  closeSync,
  constants,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { errnoCodeOf } from '../../src/core/errors.ts';
import { runCli, STACKSHIM, startCli } from '../support/cli/run-cli.ts';
import { openTerminalSession } from '../support/cli/terminal-session.ts';
import { useInstallation } from '../support/installation/installation.ts';
import { waitUntil } from '../support/timing/wait-until.ts';

const { env } = useInstallation();
const outside = mkdtempSync('/var/tmp/stackshim-output-');
const key = `${outside}/key.pem`;
let folder: string;

beforeAll(() => {
  const { privateKey } = generateKeyPairSync('ed25519');
  writeFileSync(key, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
});
beforeEach(() => {
  folder = `${outside}/work`;
  mkdirSync(folder);
  return () => rmSync(folder, { recursive: true });
});
afterAll(() => rmSync(outside, { recursive: true }));

const stackshim = (...args: string[]) => runCli(args, { env });
const commands = {
  'stack export': (file: string) => ['stack', 'export', 'busybox', file],
  save: (file: string) => ['save', file, 'busybox', '--key', key],
};
/** The name of a layer, in both kinds of archive: the output contains one. */
const listOf = (archive: Buffer) =>
  execFileSync('tar', ['-tf', '-'], { input: archive }).toString().trim().split('\n');

/** Of a FIFO: there is no data until a writer writes, and EOF is reported only after a writer opened it. */
function hasByte(fd: number): boolean {
  try {
    return readSync(fd, Buffer.alloc(1)) > 0;
  } catch (error) {
    if (errnoCodeOf(error) === 'EAGAIN') return false;
    throw error;
  }
}

describe.each(Object.entries(commands))('%s', (_, to) => {
  it('writes a file that only root can read, and no other files', async () => {
    const file = `${folder}/archive.tar`;
    writeFileSync(file, 'old');
    expect(await stackshim(...to(file))).toMatchObject({ status: 0 });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder)).toEqual(['archive.tar']);
    expect(listOf(readFileSync(file)).length).toBeGreaterThan(2);
  });

  it.each(['-', '/proc/self/fd/1'])(
    'writes only the archive to standard output, given as %s',
    async (name) => {
      const { status, stdoutBytes } = await stackshim(...to(name));
      expect(status).toBe(0);
      expect(listOf(stdoutBytes).length).toBeGreaterThan(2);
      expect(stdoutBytes.subarray(-1024).equals(Buffer.alloc(1024))).toBe(true);
    },
  );

  it('refuses to write to a terminal', async () => {
    const command = to('-').join(' ');
    const session = openTerminalSession(`${STACKSHIM} ${command}; echo "ended $?"`, env);
    const { before } = await session.shown(/ended 2/);
    expect(before).toContain('it is a terminal [ERR_STACKSHIM_SPEC_INVALID]');
    expect(await session.ended).toBe(0);
  });

  it('writes into a FIFO, and leaves it a FIFO', async () => {
    const fifo = `${folder}/fifo`;
    execFileSync('mkfifo', [fifo]);
    const reading = readFile(fifo);
    expect(await stackshim(...to(fifo))).toMatchObject({ status: 0 });
    expect(listOf(await reading).length).toBeGreaterThan(2);
    expect(lstatSync(fifo).isFIFO()).toBe(true);
  });

  it('waits for the reader of a FIFO until it is interrupted', async () => {
    const fifo = `${folder}/fifo`;
    execFileSync('mkfifo', [fifo]);
    const { child, ended } = startCli(to(fifo), { env });
    // Open without a writer and never read: the archive is larger than a FIFO's buffer.
    const reader = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      await waitUntil(() => hasByte(reader));
      child.kill('SIGTERM');
      expect((await ended).stderr).toContain('[ERR_STACKSHIM_BUILD_ABORTED]');
      expect(lstatSync(fifo).isFIFO()).toBe(true);
    } finally {
      closeSync(reader);
    }
  });

  it('writes into a device, even through a link', async () => {
    const [device, link] = [`${folder}/device`, `${folder}/link`];
    execFileSync('mknod', [device, 'c', '1', '3']);
    symlinkSync('device', link);
    for (const file of [device, link]) {
      expect(await stackshim(...to(file))).toMatchObject({ status: 0 });
    }
    expect(lstatSync(device).isCharacterDevice()).toBe(true);
    expect(lstatSync(link).isSymbolicLink()).toBe(true);
    expect(readdirSync(folder).sort()).toEqual(['device', 'link']);
  });

  it('replaces the target of a link that belongs to root, not the link', async () => {
    const [file, link] = [`${folder}/archive.tar`, `${folder}/link`];
    writeFileSync(file, 'old');
    symlinkSync(file, link);
    expect(await stackshim(...to(link))).toMatchObject({ status: 0 });
    expect(lstatSync(link).isSymbolicLink()).toBe(true);
    expect(listOf(readFileSync(file)).length).toBeGreaterThan(2);
  });

  it.each([
    ['a folder', () => folder],
    ['a path below a file', () => `${key}/archive.tar`],
    ['a folder that does not exist', () => `${folder}/none/archive.tar`],
  ])('is refused for %s', async (_case, path) => {
    const { status, stderr } = await stackshim(...to(path()));
    expect(status).toBe(3);
    expect(stderr).toContain('[ERR_STACKSHIM_INPUT_NOT_FOUND]');
    expect(stderr).not.toContain('/proc/');
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe.each(['--result', '--events'])('the file of %s', (option) => {
  const runWith = (file: string, readOnly: string) =>
    stackshim(
      ...['run', option, file, '--mount', `type=bind,src=${folder},dst=/w${readOnly}`],
      ...['busybox', 'true'],
    );

  it('below a source that the task can write to is refused with a hint', async () => {
    mkdirSync(`${folder}/below`);
    const { status, stderr } = await runWith(`${folder}/below/file.json`, '');
    expect(status).toBe(125);
    expect(stderr).toContain(`the task can write to ${folder} [ERR_STACKSHIM_SPEC_INVALID]`);
    expect(stderr).toContain('hint: name a file outside of the folders');
    expect(readdirSync(`${folder}/below`)).toEqual([]);
  });

  it('below a source that the task can only read, or beside a source, is written', async () => {
    expect(await runWith(`${folder}/file.json`, ',readonly')).toMatchObject({ status: 0 });
    expect(readdirSync(folder)).toEqual(['file.json']);
    expect(await runWith(`${folder}-beside`, '')).toMatchObject({ status: 0 });
    expect(
      JSON.parse(readFileSync(`${folder}-beside`, 'utf8').split('\n')[0] ?? ''),
    ).toHaveProperty('id');
  });
});
