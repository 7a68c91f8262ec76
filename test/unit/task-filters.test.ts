/** `--filter` of `ps` and `events`. */
import { describe, expect, it, test } from 'vitest';
import { parseFilters } from '../../src/cli/task-filters.ts';

const task = { id: 'one', stack: 'python-3.13', status: 'running', labels: { job: '7', a: 'b=c' } };
const passes = (...texts: readonly string[]) =>
  parseFilters(texts, ['id', 'stack', 'status', 'label'])(task);

describe('filters', () => {
  test.each([
    [[], true],
    [['id=one'], true],
    [['id=on'], false],
    [['id=two', 'id=one'], true],
    [['id=one', 'stack=ruby-3.3'], false],
    [['status=running', 'stack=python-3.13'], true],
    [['label=job'], true],
    [['label=job=7'], true],
    [['label=job=8'], false],
    [['label=a=b=c'], true],
    [['label=job', 'label=other'], false],
    [['label=toString'], false],
  ])('%j: %s', (texts, expected) => {
    expect(passes(...texts)).toBe(expected);
  });

  it.each(['', 'id', 'id=', '=x', 'tenant=x', 'constructor=x', 'ID=one'])('refuse %j', (text) => {
    const error = expect.objectContaining({
      code: 'ERR_STACKSHIM_SPEC_INVALID',
      hint: 'the keys are id, stack, status, label',
    });
    expect(() => passes(text)).toThrow(error);
  });

  it('find nothing in what is not known', () => {
    expect(parseFilters(['stack=a'], ['stack'])({ id: 'one' })).toBe(false);
  });
});
