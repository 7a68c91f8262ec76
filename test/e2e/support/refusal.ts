/** How every refusal of `run` looks. */
import { expect } from 'vitest';
import type { ErrorCode } from '../../../src/core/error-codes.ts';
import type { CliResult } from '../../support/cli/run-cli.ts';

/** Expects one line with the message and its code, one line with a hint, and no other output. */
export function expectRefusal(result: CliResult, code: ErrorCode, status = 125): void {
  expect(result.stderr).toMatch(/^stackshim: [^\n]+ \[ERR_[A-Z_]+\]\n {2}hint: [^\n]+\n$/);
  expect({ code: result.stderr.match(/\[(ERR_[A-Z_]+)\]\n/)?.[1], status: result.status }).toEqual({
    code,
    status,
  });
  expect(result.stdout).toBe('');
}
