/** Properties of every error. */
import { expect, it } from 'vitest';
import { StackshimError } from '../../src/core/errors.ts';

it('a message with its cause is never longer than 16,384 characters', () => {
  const long = 'x'.repeat(100_000);
  const error = new StackshimError('ERR_STACKSHIM_SYSTEM', `read ${long}`, {
    cause: new Error(long),
  });
  const { message, cause } = error.toJSON();
  expect(message).toBe(error.message);
  expect(message).toMatch(/^read x+…$/);
  expect([message.length, cause?.length]).toEqual([16_384, 16_384]);
});

it('a message of ordinary length is not changed', () => {
  const text = 'y'.repeat(16_384);
  expect(new StackshimError('ERR_STACKSHIM_SYSTEM', text).message).toBe(text);
});
