/** Whether this is the full run (`npm run test:all`), in which tests that repeat something do so more often. */
export const isFullRun = process.env['STACKSHIM_TEST_FULL'] === '1';
