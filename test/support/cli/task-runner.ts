/** `stackshim run` in a test file's own installation, with the result record of each task. */
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import type { TaskResult } from '../../../src/task/result.ts';
import { type TestInstallation, useInstallation } from '../installation/installation.ts';
import { writePolicy } from '../installation/write-policy.ts';
import { type CliOptions, type CliResult, type StartedCli, startCli } from './run-cli.ts';

export interface TaskRun extends CliResult {
  /** What `--result` wrote; undefined when the file was not written. */
  readonly record: TaskResult | undefined;
}

export interface StartedTask extends Omit<StartedCli, 'ended'> {
  readonly ended: Promise<TaskRun>;
}

export type RunnerOptions = Partial<CliOptions>;

export interface TaskRunner {
  readonly installation: TestInstallation;
  /** A folder for the tests, outside of the installation; removed at the end. */
  readonly folder: string;
  /** `stackshim run --result … OPTIONS busybox COMMAND`. */
  start(options: readonly string[], command: readonly string[], more?: RunnerOptions): StartedTask;
  /** Runs the same command to its end. */
  run(
    options: readonly string[],
    command: readonly string[],
    more?: RunnerOptions,
  ): Promise<TaskRun>;
  /** Replaces the policy file; null: a policy without restrictions. */
  setPolicy(policy: object | null): void;
}

/** Registers the hooks of a file; every test in it is checked for leaks. `allow` contains patterns of what the tests leave on purpose. */
export function useTaskRunner(allow: readonly RegExp[] = []): TaskRunner {
  const installation = useInstallation(allow);
  const folder = mkdtempSync('/var/tmp/stackshim-files-');
  chmodSync(folder, 0o755);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  let count = 0;
  const start: TaskRunner['start'] = (options, command, more = {}) => {
    count += 1;
    const file = join(folder, `result-${count}.json`);
    const args = ['run', '--result', file, ...options, 'busybox', ...command];
    const started = startCli(args, { ...more, env: { ...installation.env, ...more.env } });
    return { ...started, ended: started.ended.then((ended) => ({ ...ended, record: read(file) })) };
  };
  return {
    installation,
    folder,
    start,
    run: (options, command, more) => start(options, command, more).ended,
    setPolicy(policy) {
      writePolicy(installation.layout, policy ?? {});
    },
  };
}

function read(file: string): TaskResult | undefined {
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined;
}

/** A task that ended by itself and left nothing. */
export const CLEAN = { removed: true, leftovers: [] } as const;
