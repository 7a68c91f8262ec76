/** Imports an OCI archive into an empty root folder and prints the duration in milliseconds: `time-import.mjs ROOT ARCHIVE`. */
import { importStack } from '../src/exchange/import-stack.ts';
import { linuxSystem } from '../src/sys/linux-system.ts';

const [root = '', archive = ''] = process.argv.slice(2);
const layout = {
  root,
  run: `${root}/run`,
  policyFile: `${root}/policy.json`,
  slots: `${root}/slots`,
};
const stack = /** @type {import('../src/core/ids.ts').StackName} */ ('bench');
// The programs that it is compared with run nothing of the image either.
const passed = /** @type {import('../src/task/result.ts').TaskResult} */ ({ verdict: 'succeeded' });
const startedAt = performance.now();
await importStack(layout, {
  system: linuxSystem,
  stack,
  reference: `oci-archive:${archive}`,
  runSmoke: () => Promise.resolve(passed),
});
process.stdout.write(JSON.stringify(performance.now() - startedAt));
