/** npm run test:vm [-- OPTION…] [FILE…]: runs test lanes in virtual machines with cgroup v2 and other kernels; prints one line of counts at the end. */
import { formatFailures } from './steps/counts.mjs';
import { ensureBuild } from './steps/ensure-build.mjs';
import { prepareHost } from './steps/prepare-host.mjs';
import { runScript } from './steps/run-script.mjs';
import { parseVmOptions } from './steps/vm-options.mjs';
import { testInVms } from './steps/vm-run.mjs';

await runScript(async () => {
  const options = parseVmOptions(process.argv.slice(2));
  await prepareHost({ forTests: false });
  await ensureBuild();
  const { passed, failed, skipped, failures } = await testInVms(options);
  if (failed > 0) console.log(formatFailures(failures));
  console.log(`\n${passed} passed, ${failed} failed, ${skipped} skipped`);
  return failed === 0 ? 0 : 1;
});
