/** The runtime under test: STACKSHIM_TEST_RUNTIME replaces runc in the tests' installations. */
import { basename } from 'node:path';

export const TESTED_RUNTIME = basename(process.env['STACKSHIM_TEST_RUNTIME'] ?? 'runc');
