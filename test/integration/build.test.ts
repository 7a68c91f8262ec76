/** The build script in its own tree: what it builds, what it skips, and what a failed build leaves. */
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';

const projectRoot = join(import.meta.dirname, '../..');
let tree: string;

beforeAll(() => {
  tree = mkdtempSync(join(tmpdir(), 'stackshim-build-'));
  const copied = [
    'scripts',
    'package.json',
    'package-lock.json',
    'tsconfig.json',
    'tsconfig.build.json',
  ];
  for (const name of copied) cpSync(join(projectRoot, name), join(tree, name), { recursive: true });
  symlinkSync(join(projectRoot, 'node_modules'), join(tree, 'node_modules'));
  write('src/index.ts', "export { face } from '#ffi';\n");
  write('src/sys/ffi/koffi.ts', "export const face: string = 'koffi';\n");
  write('src/sys/ffi/bun.ts', "export const face: string = 'bun';\n");
  for (const name of [
    'src/worker/index.ts',
    'src/sys/pipe-io/node.ts',
    'src/task/abandoned/guard-process.ts',
    'src/task/copying/copy-process.ts',
    'src/door/keeper/keeper-process.ts',
  ])
    write(name, 'export {};\n');
  write('src/cli/main.ts', cli('one'));
});

afterAll(() => {
  rmSync(tree, { recursive: true });
});

/** Also writes the manual pages, as the build asks of the executable. */
const cli = (word: string) =>
  `import { mkdirSync } from 'node:fs';
import { face } from '../index.ts';
const [, , command, folder] = process.argv;
if (command === 'man') mkdirSync(folder ?? '');
console.log('${word}', face, process.env['FROM_FILE'] ?? 'clean');
`;

function write(name: string, text: string): void {
  mkdirSync(join(tree, name, '..'), { recursive: true });
  writeFileSync(join(tree, name), text);
}

function build() {
  const { status, stderr } = spawnSync(process.execPath, [join(tree, 'scripts/build.mjs')], {
    encoding: 'utf8',
  });
  return {
    status,
    outcomes: [...stderr.matchAll(/^ {4}(built|up to date|failed after)/gm)].map(
      (match) => match[1],
    ),
  };
}

function runExecutable(): string {
  return spawnSync(join(tree, 'dist/stackshim'), { cwd: tree, encoding: 'utf8' }).stdout;
}

it('builds a library on koffi and an executable on bun:ffi from one source', () => {
  expect(build()).toEqual({ status: 0, outcomes: ['up to date', 'built', 'built', 'built'] });
  expect(runExecutable()).toBe('one bun clean\n');
  const script = "import('stackshim').then((library) => console.log(library.face))";
  const { stdout } = spawnSync(process.execPath, ['-e', script], { cwd: tree, encoding: 'utf8' });
  expect(stdout).toBe('koffi\n');
});

it('does nothing the second time', () => {
  expect(build()).toEqual({ status: 0, outcomes: Array(4).fill('up to date') });
});

it('makes an executable that ignores all files in the working directory', () => {
  write('.env', 'FROM_FILE=steered\n');
  write('bunfig.toml', 'preload = ["./missing.ts"]\n');
  expect(runExecutable()).toBe('one bun clean\n');
});

it('keeps the last executable when a build fails, and leaves no other files', () => {
  write('src/cli/main.ts', 'export const broken = ;\n');
  expect(build()).toEqual({ status: 1, outcomes: ['up to date', 'built', 'failed after'] });
  expect(runExecutable()).toBe('one bun clean\n');
  expect(readdirSync(join(tree, 'dist')).sort()).toEqual([
    '.lib.inputs',
    '.man.inputs',
    '.stackshim.inputs',
    'lib',
    'man',
    'stackshim',
  ]);
});

it('builds again after a source has changed', () => {
  write('src/cli/main.ts', cli('two'));
  expect(build()).toMatchObject({ status: 0 });
  expect(runExecutable()).toBe('two bun clean\n');
});
