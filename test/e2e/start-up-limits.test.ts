/** With too few resources, `run` never ends with the exit status of a task that did not run. Requires: root. */
import { describe, expect, it } from 'vitest';
import { useTaskRunner } from '../support/cli/task-runner.ts';

const { run } = useTaskRunner();
const limited = (limit: string) => ({
  through: ['sh', '-c', `ulimit ${limit} && exec "$@"`, 'sh'],
});
const TOO_LITTLE =
  'stackshim: too few open files (ulimit -n) or too small a stack (ulimit -s) to start\n';

describe('with limits too low for the engine', () => {
  it.each(['-n 4', '-s 32', '-s 128', '-s 191'])('ulimit %s', async (limit) => {
    const { status, stdout, stderr, record } = await run([], ['true'], limited(limit));
    expect({ status, stdout, stderr, record }).toEqual({
      status: 125,
      stdout: '',
      stderr: TOO_LITTLE,
      record: undefined,
    });
  });
});

describe('with limits just high enough', () => {
  it.each(['-n 26', '-s 192', '-s unlimited', '-l 0', '-t 60'])('ulimit %s', async (limit) => {
    const { status, stderr } = await run([], ['sh', '-c', 'exit 7'], limited(limit));
    expect({ status, stderr }).toEqual({ status: 7, stderr: '' });
  });

  it.each([5, 6, 7, 8, 10, 12, 14])(
    '%i open files are enough for the engine, not for a task',
    async (most) => {
      const { status, stderr } = await run([], ['true'], limited(`-n ${most}`));
      expect(status).toBe(125);
      expect(stderr).toContain('[ERR_STACKSHIM_PROCESS_EXHAUSTED]');
    },
  );
});

it.each([
  ['no standard streams', '<&- >&- 2>&-'],
  ['no standard input', '<&-'],
  ['no standard output', '>&-'],
  ['no standard error', '2>&-'],
])('%s', async (_, closed) => {
  const through = ['sh', '-c', `exec "$@" ${closed}`, 'sh'];
  const { status, stderr } = await run([], ['sh', '-c', 'exit 7'], { through });
  expect({ status, stderr }).toEqual({ status: 7, stderr: '' });
});
