/**
 * Runs the examples of docs/library.md on Node against the built library, and compares what they print.
 * Requires: root, runc, mkfs.erofs, busybox, and `npm run build`.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readExamples, type WrittenExamples, writeExamples } from '../support/docs/doc-examples.ts';
import { STORED, useInstallation } from '../support/installation/installation.ts';

const installation = useInstallation([STORED]);
/** On the small stack of the tests. */
const examples = readExamples('docs/library.md')
  .filter(({ prints }) => prints !== undefined)
  .map((example) => ({ ...example, code: example.code.replaceAll('python-3.13', 'busybox') }));
let written: WrittenExamples;

beforeAll(() => {
  written = writeExamples(examples);
  const complaints = written.compile({
    noEmit: false,
    allowJs: false,
    checkJs: false,
    customConditions: [],
  });
  expect(complaints).toBe('');
});

afterAll(() => written.dispose());

test.each(examples.map(({ place, prints }, index) => ({ place, prints, index })))(
  '$place',
  async ({ prints, index }) => {
    expect(await runOnNode(join(written.folder, `${index}.js`))).toEqual({
      status: 0,
      stdout: prints,
      stderr: '',
    });
  },
);

async function runOnNode(file: string) {
  const child = spawn(process.execPath, [file], {
    env: { ...process.env, ...installation.env, NODE_OPTIONS: '' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [[status], stdout, stderr] = await Promise.all([
    once(child, 'exit'),
    text(child.stdout),
    text(child.stderr),
  ]);
  return { status, stdout, stderr };
}
