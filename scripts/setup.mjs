/** npm run setup: brings the host what stackshim needs. With --tests also what the test lanes need. */
import { runScript } from './steps/failure.mjs';
import { prepareHost } from './steps/prepare-host.mjs';

await runScript(async () => {
  await prepareHost({ forTests: process.argv.includes('--tests') });
});
