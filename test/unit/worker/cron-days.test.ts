/** Which patterns of cron never have a day: a worker must not look for the next one. */
import { describe, expect, it } from 'vitest';
import { hasDay } from '../../../src/worker/intake/lanes/cron-days.ts';

describe('a pattern of cron', () => {
  it.each([
    '* * * * *',
    '0 0 31 * *',
    '0 0 1,31 4,6 *',
    '0 0 31 2-11/4 *',
    '0 0 31 4,6 1',
    '0 0 31 4/2 *',
    '0 0 31 */2 *',
    '0 0 31 apr,MAY ?',
    '0 0 0 29 2 *',
    '0 0 L 2 *',
    '@daily',
    '*/5 * * * *',
  ])('%s may have a day', (pattern) => {
    expect(hasDay(pattern)).toBe(true);
  });

  it.each([
    '0 0 31 4,6 *',
    '0 0 31 4-4,6 ?',
    '0 0 31 apr,Jun *',
    '0 0 31/1 2,4 *',
    '0 0 30-31 2/12 *',
    '0 0 31 2-11/7 *',
    '  0 0 0  31,31 4,6,9,11   * ',
    '0 0 H(31-31) 4,6 *',
    `${'0,'.repeat(100)}0 0 31 * *`,
  ])('%s has none', (pattern) => {
    expect(hasDay(pattern)).toBe(false);
  });
});
