/** A read-only bind is refused if the task could make it writable. */
import { expect, it } from 'vitest';
import { loadTemplate } from '../../src/oci/load-template.ts';
import type { RuntimeKind } from '../../src/runtime/runtime.ts';
import { requireHeldBinds } from '../../src/task/plan-container.ts';
import { toConfigInput } from '../support/tasks/oci-config-input.ts';

const READ_ONLY = { mounts: [{ type: 'bind', source: '/data', target: '/data', readonly: true }] };
const WRITABLE = { mounts: [{ type: 'bind', source: '/data', target: '/data' }] };

const admit = (kind: RuntimeKind, task: object, bundle: 'default' | 'fuse' = 'default') => {
  const { spec } = toConfigInput(task);
  requireHeldBinds(spec, loadTemplate(bundle), { kind });
};

it.each([
  ['crun', { capAdd: ['SYS_ADMIN'] }],
  ['crun', { capAdd: ['ALL'] }],
  ['other', { capAdd: ['SYS_ADMIN'] }],
] as const)('a read-only bind is refused for a task on %s with %j', (kind, task) => {
  expect(() => admit(kind, { ...READ_ONLY, ...task })).toThrow(/could make \/data writable/);
  expect(() => admit(kind, { ...WRITABLE, ...task })).not.toThrow();
});

it('capabilities of the bundle template count unless they are dropped', () => {
  expect(() => admit('crun', READ_ONLY, 'fuse')).toThrow(/could make \/data writable/);
  expect(() => admit('crun', { ...READ_ONLY, capDrop: ['SYS_ADMIN'] }, 'fuse')).not.toThrow();
  expect(() => admit('crun', READ_ONLY)).not.toThrow();
});

it.each(['runc', 'runsc'] as const)(
  'a read-only bind is accepted on %s, which locks it',
  (kind) => {
    expect(() => admit(kind, { ...READ_ONLY, capAdd: ['ALL'] })).not.toThrow();
  },
);
