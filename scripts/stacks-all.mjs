/**
 * npm run stacks:all [-- [--root DIR] [--twice] NAME…]: builds every base and stack of overlay/, tests each, and ends with a table.
 * Without --root the store is a new one that is removed at the end.
 */
import { parseArgs } from 'node:util';
import { ensureBuild } from './steps/ensure-build.mjs';
import { makeStacks } from './steps/make-stacks.mjs';
import { prepareHost } from './steps/prepare-host.mjs';
import { runScript } from './steps/run-script.mjs';
import { formatReport } from './steps/stacks-report.mjs';

await runScript(async () => {
  const { values, positionals } = parseArgs({
    options: { root: { type: 'string' }, twice: { type: 'boolean', default: false } },
    allowPositionals: true,
  });
  await prepareHost({ forTests: true });
  await ensureBuild();
  const startedAt = Date.now();
  const reports = await makeStacks({ names: positionals, ...values });
  console.log(formatReport(reports, (Date.now() - startedAt) / 1000));
  return reports.every(({ failure }) => failure === undefined) ? 0 : 1;
});
