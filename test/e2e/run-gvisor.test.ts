/** gVisor by name, as the set-up installs it, beside the default runtime. */
import { afterAll, beforeAll, it } from 'vitest';
import { useTaskRunner } from '../support/cli/task-runner.ts';
import { expectRefusal } from './support/refusal.ts';
import { describeRuntime } from './support/runtime-cases.ts';

const runner = useTaskRunner();

const allow = { runtimes: ['runc', 'runsc'], devices: ['/dev/fuse'] };
beforeAll(() => runner.setPolicy({ allow }));
afterAll(() => runner.setPolicy(null));

describeRuntime(runner, 'runsc');

it('gives a task no device of the host', async () => {
  const options = ['--runtime', 'runsc', '--device', '/dev/fuse'];
  expectRefusal(await runner.run(options, ['true']), 'ERR_STACKSHIM_SPEC_INVALID');
});
