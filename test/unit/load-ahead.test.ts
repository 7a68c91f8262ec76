/** A long-lived process that has run out of descriptors can still run, end and remove tasks: their code is loaded before. */
import { readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { expect, it } from 'vitest';
import { isModule, loadedBy } from '../support/loaded-modules.ts';

const LAZY = /\bimport\('(\.[^']+)'\)/g;
/** Large, or for one runtime only. Without them, only tasks that need them fail. */
const LEFT_OUT = new Set([
  'runtime/drivers/gvisor-sandbox.ts',
  'spec/seccomp-profile.ts',
  'task/add-code.ts',
  'task/build-step/take-built-code.ts',
  'task/receive-inputs.ts',
]);

const lazyIn = (name: string): readonly string[] => {
  const text = readFileSync(new URL(`../../src/${name}`, import.meta.url), 'utf8');
  return [...text.matchAll(LAZY)].map(([, path = '']) => posix.join(posix.dirname(name), path));
};

it('loads ahead everything that a task loads when it needs it, but for large code', () => {
  const ofRun = loadedBy('index.ts', 'source');
  const ahead = loadedBy('door/load-ahead.ts', 'source');
  const ofTasks = [...ofRun, ...ahead].filter(
    (name) => isModule(name) && /^(cgroup|runtime|spec|task|sys\/pipe-io)\//.test(name),
  );
  const lazy = [...ofTasks, 'door/open-stackshim.ts'].flatMap(lazyIn);
  expect(lazy).toContain('cgroup/kill-group.ts');
  const late = lazy.filter((name) => !ofRun.has(name) && !ahead.has(name));
  expect(new Set(late)).toEqual(LEFT_OUT);
});

it('loads no zod ahead', () => {
  const ahead = [...loadedBy('door/load-ahead.ts', 'source')];
  expect(ahead.filter((name) => name.startsWith('zod'))).toEqual([]);
});
