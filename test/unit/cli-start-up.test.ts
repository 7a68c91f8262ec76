/** What the executable loads before it knows the command: each module costs every task time. */
import { expect, it } from 'vitest';
import { defineCommands } from '../../src/cli/command-line.ts';
import { isModule, loadedBy } from '../support/loaded-modules.ts';

it('the executable loads only the error printer and the request to the kernel before it knows the command', () => {
  const loaded = [...loadedBy('cli/main.ts', 'bun')];
  expect(loaded).toContain('cli/print/printable.ts');
  const others = loaded.filter((name) => !/^core\/|^node:(fs|os)$/.test(name));
  expect(others.sort()).toEqual([
    ...['cgroup/hasten-attach.ts', 'cli/exit-status.ts', 'cli/main.ts'],
    'cli/print/printable.ts',
  ]);
});

it('a plain run loads no command parser but readRunLine', () => {
  const loaded = [...loadedBy('cli/define/run-options.ts', 'bun')];
  // The table of task options and its readers, which every task needs.
  expect(loaded).toContain('spec/options/task-options.ts');
  const ofTasks = loadedBy('cli/run/execute-run.ts', 'bun');
  expect(loaded.filter((name) => !ofTasks.has(name))).toEqual([]);
  const implementations = [...ofTasks].filter((name) =>
    /^cli\/(command-line|commands\/|define\/define-|progress\/)/.test(name),
  );
  expect(implementations).toEqual([]);
});

it('a command in a running task loads no code that runs tasks', () => {
  const loaded = loadedBy('cli/commands/exec.ts', 'bun', loadedBy('cli/main.ts', 'bun'));
  loadedBy('cli/define/plain-line.ts', 'bun', loaded);
  expect(loaded).toContain('task/exec/exec-in-task.ts');
  const others = ['door/open-stackshim.ts', 'task/run-task.ts', 'task/plan-task.ts'];
  expect(others.filter((name) => loaded.has(name))).toEqual([]);
  expect([...loaded].filter((name) => /^rootfs\/mount|^oci\/build-config/.test(name))).toEqual([]);
  expect([...loaded].filter(isModule).length).toBeLessThan(95);
});

it('other commands do not define those of queues', async () => {
  const loaded = [...loadedBy('cli/command-line.ts', 'bun')];
  expect(loaded).toContain('cli/define/define-task-commands.ts');
  expect(loaded.filter((name) => /define.*(queue|worker)/.test(name))).toEqual([]);
  const namesOf = async (called?: string) =>
    (await defineCommands(() => Promise.resolve(), called)).commands.map((one) => one.name());
  const all = await namesOf();
  expect(await namesOf('ps')).toEqual(all.filter((name) => name !== 'queue' && name !== 'worker'));
  for (const called of [
    'queue',
    'worker',
    'help',
    '--help',
    'completion',
    'complete',
    'nonsense',
  ]) {
    expect(await namesOf(called), called).toEqual(all);
  }
});

it('completion, which each new shell runs, loads its script and what prints it', () => {
  const loaded = [...loadedBy('cli/commands/completion.ts', 'bun')];
  expect(loaded).toContain('cli/completion/scripts.ts');
  expect(loaded.filter((name) => /^(door|task|spec|worker)\/|suggest-words/.test(name))).toEqual(
    [],
  );
});

it('a plain run loads no module that is slow to load', () => {
  const loaded = [...loadedBy('cli/run/execute-run.ts', 'bun')];
  expect(loaded).toContain('node:fs');
  const slow = 'crypto fs/promises net stream timers/promises util worker_threads zlib'.split(' ');
  expect(loaded.filter((name) => slow.includes(name.replace('node:', '')))).toEqual([]);
  expect(
    loaded.filter((name) => /^(zod|commander|log-update|picocolors|string-width)/.test(name)),
  ).toEqual([]);
});

it('a task with a payload or a bind loads no zod, which takes longer to load than the rest of the library', () => {
  const loaded = [...loadedBy('task/resolve-inputs.ts', 'source')];
  expect(loaded).toContain('spec/policy.ts');
  expect(loaded.filter((name) => name.startsWith('zod'))).toEqual([]);
});

it('a plain run loads from the door only what runs a task', () => {
  const loaded = [...loadedBy('door/open-stackshim.ts', 'bun')];
  const ofTasks = loadedBy('task/run-task.ts', 'bun');
  loadedBy('task/installation.ts', 'bun', ofTasks);
  expect(loaded.filter((name) => !ofTasks.has(name))).toEqual(['door/open-stackshim.ts']);
});

// Counts what a plain task waits for: modules that are imported statically. The library loads more after that, in the background.
it('is fewer than 130 modules in all, whichever face a plain task comes by', () => {
  const ofExecutable = loadedBy('cli/run/execute-run.ts', 'bun', loadedBy('cli/main.ts', 'bun'));
  const ofLibrary = loadedBy('index.ts', 'source');
  const counts = [ofExecutable, ofLibrary].map((loaded) => [...loaded].filter(isModule).length);
  expect(Math.min(...counts)).toBeGreaterThan(90);
  expect(Math.max(...counts)).toBeLessThan(130);
});
