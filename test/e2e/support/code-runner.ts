/** Adds code packages and runs their tasks, each test with its own code. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach } from 'vitest';
import type { AddedPackage } from '../../../src/exchange/code-packages/add-package.ts';
import { type CliResult, runCli } from '../../support/cli/run-cli.ts';
import { type TaskRunner, useTaskRunner } from '../../support/cli/task-runner.ts';

export interface CodeRunner extends TaskRunner {
  /** The number of the test: `main` of its code contains it. */
  count(): number;
  /** A directory with `main` and `data/old`, new for each test. */
  code(): string;
  /** The name of the test's package. */
  packageName(): string;
  cli(...args: readonly string[]): Promise<CliResult>;
  /** What a command prints with `--json`. Rejects if it fails. */
  json<T>(group: string, ...args: readonly string[]): Promise<T>;
  /** `stackshim code add NAME CODE ARGS`. */
  add(...args: readonly string[]): Promise<AddedPackage>;
}

/** What the tests store on purpose. */
const STORED = /^(file|mount) \S+\/(lib|run)\/(packages|images|layers)(\/|$)/;

/** Registers the hooks of a file. */
export function useCodeRunner(): CodeRunner {
  const runner = useTaskRunner([STORED]);
  const { env } = runner.installation;
  let count = 0;
  let code = '';
  beforeEach(() => {
    count += 1;
    code = join(runner.folder, `app-${count}`);
    mkdirSync(join(code, 'data'), { recursive: true });
    writeFileSync(join(code, 'main'), `code ${count}\n`);
    writeFileSync(join(code, 'data/old'), 'old\n');
  });
  const cli: CodeRunner['cli'] = (...args) => runCli(args, { env });
  const json: CodeRunner['json'] = async (group, ...args) => {
    // What follows `--` is a command.
    const words = group === 'code' ? 1 : 0;
    const ran = await cli(group, ...args.slice(0, words), '--json', ...args.slice(words));
    if (ran.status !== 0) throw new Error(ran.stderr);
    return JSON.parse(ran.stdout);
  };
  const packageName = () => `app-${count}`;
  return {
    ...runner,
    count: () => count,
    code: () => code,
    packageName,
    cli,
    json,
    add: (...args) => json('code', 'add', packageName(), code, ...args),
  };
}
