/** The path of a task from `runTask` to its result leads downward through a dozen files. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

/** In an order in which each file stands after its callers. */
const TRUNK = [
  'run-task',
  'plan-task',
  'plan-container',
  'record-task',
  'execute-task',
  'start-command',
  'account-task',
  'create-task',
  'add-command',
  'prepare-container',
  'ending/remove-task',
  'build-result',
];

const sourceOf = (name: string) =>
  readFileSync(new URL(`../../src/task/${name}.ts`, import.meta.url), 'utf8');

function importsOf(name: string, types: boolean): readonly string[] {
  const pattern = /^import (type )?[^;]*?from '([^']+)';/gm;
  return [...sourceOf(name).matchAll(pattern)]
    .filter(([, isType]) => types || isType === undefined)
    .map(([, , path = '']) => new URL(path, `file:///${name}.ts`).pathname.slice(1, -3));
}

it('no stage of a task imports a stage that calls it', () => {
  const upward = TRUNK.flatMap((name, index) =>
    importsOf(name, false)
      .filter((path) => TRUNK.slice(0, index).includes(path))
      .map((path) => `${name} imports ${path}`),
  );
  expect(upward).toEqual([]);
  expect(importsOf('run-task', false)).toContain('execute-task');
});

it('no stage imports even the types of the stage that calls it', () => {
  const callers = ['run-task', 'execute-task'];
  const below = TRUNK.filter((name) => !callers.includes(name));
  expect(
    below.filter((name) => importsOf(name, true).some((path) => callers.includes(path))),
  ).toEqual([]);
});

it('the stage that prepares a container cannot name a command', () => {
  for (const name of ['plan-container', 'prepare-container']) {
    expect(sourceOf(name)).not.toMatch(/CommandPlan|CommandSpec|AdmittedTaskSpec|TaskPlan/);
  }
});
