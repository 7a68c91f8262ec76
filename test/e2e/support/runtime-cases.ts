/** Tests of `run` with any runtime. */
import { expect, it } from 'vitest';
import { sh } from '../../support/cli/shell.ts';
import { CLEAN, type TaskRunner } from '../../support/cli/task-runner.ts';

export function describeRuntime({ run }: TaskRunner, path: string): void {
  it('runs a task with all features of the default runtime', async () => {
    const script = 'echo out; echo err > /dev/stderr; cat; id -u; cat "$PAYLOAD_FILE"; exit 3';
    const options = ['--runtime', path, '-i', '--payload', '+payload'];
    const { status, stdout, stderr, record } = await run(options, sh(script), { input: 'in\n' });
    expect({ status, stdout, stderr }).toEqual({
      status: 3,
      stdout: 'out\nin\n0\n+payload',
      stderr: 'err\n',
    });
    expect(record).toMatchObject({ ...CLEAN, verdict: 'failed', exitCode: 3 });
    expect(record?.usage.memoryPeakBytes).toBeGreaterThan(0);
  });

  it('reads the progress of a task', async () => {
    const options = ['--runtime', path, '--payload', '', '-u', 'user'];
    const place = 'cd $(dirname $TASK_PROGRESS_FILE)';
    const replace = `${place}; echo 1 > text; echo done > next; mv -f next text`;
    const { record } = await run(options, sh(replace));
    expect(record).toMatchObject({ ...CLEAN, verdict: 'succeeded', progress: 'done' });
  });

  it.each([
    ['no-such-command', 127, 'ERR_STACKSHIM_COMMAND_NOT_FOUND'],
    ['/etc/passwd', 126, 'ERR_STACKSHIM_COMMAND_NOT_EXECUTABLE'],
  ])('reports the command %s with status %i', async (command, expected, code) => {
    const { status, record } = await run(['--runtime', path], [command]);
    expect(status).toBe(expected);
    expect(record).toMatchObject({ ...CLEAN, verdict: 'setup_failed', error: { code } });
  });

  it('ends a task at its time limit and at its memory limit', async () => {
    const late = await run(['--runtime', path, '--timeout', '200ms'], ['sleep', '3600']);
    expect(late).toMatchObject({ status: 124, record: { ...CLEAN, verdict: 'timed_out' } });
    const fill = ['dd', 'if=/dev/zero', 'of=/dev/null', 'bs=64M', 'count=1'];
    const large = await run(['--runtime', path, '-m', '24m'], fill);
    expect(large).toMatchObject({ status: 137, record: { ...CLEAN, verdict: 'oom_killed' } });
  });
}
