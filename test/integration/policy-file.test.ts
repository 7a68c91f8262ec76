/** A policy file that someone other than root could have written does not count. */
import { chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readPolicy } from '../../src/spec/read-policy.ts';

test('a file of another user is refused', () => {
  const folder = mkdtempSync(join(tmpdir(), 'stackshim-policy-'));
  try {
    const file = join(folder, 'policy.json');
    writeFileSync(file, '{}');
    readPolicy(file);
    chownSync(file, 65_534, 65_534);
    expect(() => readPolicy(file)).toThrow(
      expect.objectContaining({ code: 'ERR_STACKSHIM_POLICY_INVALID', details: { file } }),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});
