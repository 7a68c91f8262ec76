/** Completion in a real bash. */
import { execFileSync } from 'node:child_process';
import { dirname } from 'node:path';
import { expect, it } from 'vitest';
import { runCli, STACKSHIM } from '../support/cli/run-cli.ts';
import { useTaskRunner } from '../support/cli/task-runner.ts';

const { installation, run } = useTaskRunner();
const { env } = installation;

/** The words that bash would offer; bash divides `line` into words. */
function complete(...line: readonly string[]): readonly string[] {
  const script = [
    'source <(stackshim completion) || exit',
    'COMP_WORDS=(stackshim "$@")',
    'COMP_CWORD=$#',
    '_stackshim',
    `printf "%s\\n" "\${COMPREPLY[@]}"`,
  ].join('\n');
  const path = `${dirname(STACKSHIM)}:${process.env['PATH']}`;
  const options = { env: { ...process.env, ...env, PATH: path }, encoding: 'utf8' } as const;
  const said = execFileSync('bash', ['--norc', '-c', script, 'bash', ...line], options);
  return said.split('\n').filter(Boolean);
}

it('offers commands, options, stacks and tasks', async () => {
  expect(complete('stack', 'his')).toEqual(['history']);
  expect(complete('run', '--memo')).toEqual(['--memory']);
  expect(complete('run', '--memory', '=', '64m', '')).toEqual(['busybox']);
  expect(complete('kill', '')).toEqual([]);
  await run(['--name', 'kept-1', '--keep'], ['true']);
  expect(complete('kill', 'kept')).toEqual(['kept-1']);
  expect(await runCli(['kill', 'kept-1'], { env })).toMatchObject({ status: 0 });
});

it('offers nothing for file names, so that bash completes them', () => {
  expect(complete('run', '--env-file', '')).toEqual([]);
  expect(complete('stack', 'build', '')).toEqual([]);
});
