/** What the executable loads before it knows the command: each module costs every task time. */
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const source = new URL('../../src/', import.meta.url);
const STATIC_IMPORT = /^(?:import|export) (?!type )[^;]*?from '([^']+)';/gm;

/** Everything that `file` imports statically, including itself; packages by name. */
function loadedBy(file: URL, seen = new Set<string>()): Set<string> {
  const name = relative(fileURLToPath(source), fileURLToPath(file));
  if (seen.has(name)) return seen;
  seen.add(name);
  if (!name.endsWith('.ts')) return seen;
  for (const [, specifier = ''] of readFileSync(file, 'utf8').matchAll(STATIC_IMPORT)) {
    if (specifier.startsWith('.')) loadedBy(new URL(specifier, file), seen);
    else seen.add(specifier);
  }
  return seen;
}

it('a plain run loads no command parser but readRunLine, and the error printer', () => {
  const loaded = [...loadedBy(new URL('cli/main.ts', source))];
  expect(loaded).toContain('cli/run-options.ts');
  const others = loaded.filter((name) => !/^(cli|core)\/|^node:(fs|os)$/.test(name));
  // The table of task options and its readers, which every task needs.
  expect(others).toContain('spec/options/task-options.ts');
  const ofTasks = loadedBy(new URL('cli/execute-run.ts', source));
  expect(others.filter((name) => !/^spec\/|^node:path$/.test(name) || !ofTasks.has(name))).toEqual(
    [],
  );
  const implementations = loaded.filter((name) =>
    /^cli\/(command-line|define|show|execute|end|reap|move|build)/.test(name),
  );
  expect(implementations).toEqual([]);
});

it('a plain run loads no module that is slow to load', () => {
  const loaded = [...loadedBy(new URL('cli/execute-run.ts', source))];
  expect(loaded).toContain('node:fs');
  const slow = ['crypto', 'net', 'stream', 'timers/promises', 'util', 'worker_threads', 'zlib'];
  expect(loaded.filter((name) => slow.includes(name.replace('node:', '')))).toEqual([]);
  expect(loaded.filter((name) => /^(zod|commander)/.test(name))).toEqual([]);
});

it('a plain run loads from the door only what runs a task', () => {
  const loaded = [...loadedBy(new URL('door/open-stackshim.ts', source))];
  const ofTasks = loadedBy(new URL('task/run-task.ts', source));
  loadedBy(new URL('task/installation.ts', source), ofTasks);
  expect(loaded.filter((name) => !ofTasks.has(name)).sort()).toEqual([
    'door/open-stackshim.ts',
    'door/with-content-sought.ts',
  ]);
});
