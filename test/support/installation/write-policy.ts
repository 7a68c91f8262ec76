/** Writes the policy file of a test's installation: a policy file that is named must exist. */
import { chmodSync, writeFileSync } from 'node:fs';
import type { Layout } from '../../../src/core/layout.ts';

/** Without `policy` the file restricts nothing. */
export function writePolicy({ policyFile }: Pick<Layout, 'policyFile'>, policy: object = {}): void {
  writeFileSync(policyFile, JSON.stringify(policy));
  chmodSync(policyFile, 0o644);
}
