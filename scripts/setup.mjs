/** npm run setup: installs what stackshim needs on the host. With --tests also what the test lanes need. */

import { prepareHost } from './steps/prepare-host.mjs';
import { runScript } from './steps/run-script.mjs';

await runScript(async () => {
  await prepareHost({ forTests: process.argv.includes('--tests') });
});
