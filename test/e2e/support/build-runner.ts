/** Runs tasks with a build step, each test with its own code. */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach } from 'vitest';
import type { BuildReport } from '../../../src/task/result.ts';
import { type TaskRun, type TaskRunner, useTaskRunner } from '../../support/cli/task-runner.ts';

export interface BuildRunner extends TaskRunner {
  /** The folder of the cache. */
  readonly built: string;
  /** `main` and `data/old`; new for each test, so that its first build is not cached. */
  code(): string;
  /** A name that no other test uses. */
  nameOf(what: string): string;
  /** `stackshim run --code … --build BUILD OPTIONS busybox COMMAND`. */
  runBuilt(
    build: string,
    command?: readonly string[],
    options?: readonly string[],
  ): Promise<TaskRun>;
  /** The endings of a build's files, in order. */
  filesOf(key: string | undefined): readonly string[];
}

/** What the cache holds of a build that succeeded. */
export const BUILT_FILES = ['code.erofs', 'json', 'lock', 'log', 'task.erofs'];

export const buildOf = ({ record }: TaskRun): BuildReport | undefined => record?.build;

/** Registers the hooks of a file. */
export function useBuildRunner(): BuildRunner {
  const runner = useTaskRunner();
  const { installation, folder, setPolicy } = runner;
  const built = `${installation.layout.root}/built`;
  let code = '';
  let count = 0;
  beforeEach(() => {
    count += 1;
    code = join(folder, `code-${count}`);
    mkdirSync(join(code, 'data'), { recursive: true });
    writeFileSync(join(code, 'main'), `code ${count}\n`);
    writeFileSync(join(code, 'data/old'), 'old\n');
    setPolicy(null);
  });
  return {
    ...runner,
    built,
    code: () => code,
    nameOf: (what) => `${what}-${count}`,
    runBuilt: (build, command = ['true'], options = []) =>
      runner.run(['--code', code, '--build', build, ...options], command),
    filesOf: (key) =>
      readdirSync(built)
        .filter((name) => name.startsWith(`${key}.`))
        .map((name) => name.slice(`${key}.`.length))
        .sort(),
  };
}
