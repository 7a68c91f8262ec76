/** Errors of what a caller gives as bytes. */
import { expect, it } from 'vitest';
import type { Installation } from '../../src/task/installation.ts';
import { receiveInputs } from '../../src/task/receive-inputs.ts';
import { layoutBelow } from '../support/installation/test-layout.ts';

// A timer cannot wait that long: its error must be one of stackshim.
it.each([Number.NaN, Number.MAX_SAFE_INTEGER])('a deadline of %s is refused', async (deadline) => {
  const host = { isRoot: true };
  const installation = { layout: layoutBelow('/nowhere'), host } as Installation;
  const options = { payload: new Uint8Array(1), deadline };
  const received = receiveInputs(installation, options, () => Promise.resolve());
  await expect(received).rejects.toMatchObject({ code: 'ERR_STACKSHIM_INPUT_NOT_FOUND' });
});
