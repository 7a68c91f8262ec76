/** Which runtime the tests run on: STACKSHIM_TEST_RUNTIME takes runc's place in their installations. */
import { basename } from 'node:path';

export const TESTED_RUNTIME = basename(process.env['STACKSHIM_TEST_RUNTIME'] ?? 'runc');
