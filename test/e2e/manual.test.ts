/** The manual pages, read by the programs that people read them with. Requires: man, groff, mandoc. */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '../support/cli/run-cli.ts';

const folder = mkdtempSync('/var/tmp/stackshim-man-');
afterAll(() => rmSync(folder, { recursive: true }));
const pages = `${folder}/man/man1`;
const DAY = { SOURCE_DATE_EPOCH: '1700000000' };
const man = (to: string, env: Readonly<Record<string, string>> = DAY) =>
  runCli(['man', to], { env });

beforeAll(async () => {
  const { status, stdout, stderr } = await man(pages);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout.split('\n').filter(Boolean).sort()).toEqual(readdirSync(pages).sort());
});

function check(program: string, args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  return { program, args, status, output: `${stdout}${stderr}` };
}

describe('every page', () => {
  it('is sound for mandoc, groff and man', () => {
    const files = readdirSync(pages).map((file) => `${pages}/${file}`);
    expect(files.length).toBeGreaterThan(30);
    for (const file of files) {
      const lint = check('mandoc', ['-T', 'lint', '-W', 'warning', file]);
      expect(lint).toMatchObject({ status: 0, output: '' });
      const groff = check('groff', ['-ww', '-z', '-mandoc', '-K', 'utf8', '-T', 'utf8', file]);
      expect(groff).toMatchObject({ status: 0, output: '' });
    }
    const read = check('man', ['--warnings=w', '-E', 'UTF-8', '-l', '-T', 'utf8', '-Z', ...files]);
    expect(read.status).toBe(0);
    expect(read.output).not.toMatch(/warning/i);
  });

  it('is found by its name, and shows what the help shows', () => {
    const env = { ...process.env, MANPATH: `${folder}/man`, MANWIDTH: '80', LC_ALL: 'C.UTF-8' };
    const read = (name: string) =>
      execFileSync('man', ['-P', 'cat', name], { env, encoding: 'utf8' });
    const run = read('stackshim-run');
    expect(run).toMatch(/stackshim-run . run a command in a stack/);
    expect(run).toMatch(/^ +-m, --memory size$/m);
    expect(run).toMatch(/One of|Takes: none \(own namespace, loopback only\) or host/);
    expect(read('stackshim')).toMatch(/^ +stackshim-stack\(1\)$/m);
    expect(read('stackshim-completion')).toContain('source <(stackshim completion bash)');
  });

  it('is the same each time, and replaced by the next call', async () => {
    const file = `${pages}/stackshim-run.1`;
    const before = readFileSync(file, 'utf8');
    expect(before).toContain('.Dd November 14, 2023\n');
    writeFileSync(file, 'old');
    expect(await man(pages)).toMatchObject({ status: 0 });
    expect(readFileSync(file, 'utf8')).toBe(before);
    expect(statSync(file).mode & 0o777).toBe(0o644);
    expect(readdirSync(pages).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('is part of the package', () => {
    const built = new URL('../../dist/man', import.meta.url).pathname;
    expect(readdirSync(built).sort()).toEqual(readdirSync(pages).sort());
  });
});

describe('a folder that cannot be written', () => {
  it.each([['/proc/stackshim'], [`${folder}/file`], ['']])('is refused: %s', async (path) => {
    writeFileSync(`${folder}/file`, '');
    const { status, stdout, stderr } = await man(path);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toContain('[ERR_STACKSHIM_SPEC_INVALID]');
  });

  it('is refused if another user has put links there', async () => {
    const shared = `${folder}/shared`;
    mkdirSync(shared);
    symlinkSync(`${folder}/target`, `${shared}/stackshim.1`);
    chownSync(shared, 65534, 65534);
    execFileSync('chown', ['-h', '65534:65534', `${shared}/stackshim.1`]);
    expect(await man(shared)).toMatchObject({ status: 2, stdout: '' });
    expect(existsSync(`${folder}/target`)).toBe(false);
  });
});
