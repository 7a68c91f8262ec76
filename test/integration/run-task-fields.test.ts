/** Fields and files that the calling program adds to data from a queue. Requires: root. */
import { expect, it } from 'vitest';
import { runTask } from '../../src/door/open-stackshim.ts';
import { useInstallation } from '../support/installation/installation.ts';

const { options } = useInstallation();
const run: typeof runTask = (input, more) => runTask(input, { ...options, ...more });
const GONE = { removed: true, leftovers: [] };

it('let the program that receives a job set fields that the job may not', async () => {
  const config = Buffer.from([0, 255, 10]);
  const job = { stack: 'busybox', command: ['sh', '-c', 'od -An -tx1 "$CONFIG_FILE"'] };
  const fields = { id: 'given-by-caller', tenant: 'acme', memory: '32m' };
  const result = await run(job, { origin: 'job', fields, config });
  expect(result).toMatchObject({ id: 'given-by-caller', verdict: 'succeeded', ...GONE });
  expect(result.output.stdout?.trim()).toBe('00 ff 0a');
  const wrong = { fields: { memory: 'much' }, origin: 'job' } as const;
  await expect(run(job, wrong)).rejects.toMatchObject({ details: { field: 'memory' } });
  const unknown = { fields: { colour: 'red' } as object, origin: 'job' } as const;
  await expect(run(job, unknown)).rejects.toMatchObject({ code: 'ERR_STACKSHIM_SPEC_INVALID' });
});
