/** gVisor by its name, as the set-up installs it, beside the default runtime. */
import { afterAll, beforeAll } from 'vitest';
import { describeRuntime } from '../support/runtime-cases.ts';
import { useTaskRunner } from '../support/task-runner.ts';

const runner = useTaskRunner();

beforeAll(() => runner.setPolicy({ allow: { runtimes: ['runc', 'runsc'] } }));
afterAll(() => runner.setPolicy(null));

describeRuntime(runner, 'runsc');
