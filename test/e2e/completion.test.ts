/** Completion in real shells. Requires: root, bash, zsh, fish. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '../support/cli/run-cli.ts';
import { useTaskRunner } from '../support/cli/task-runner.ts';
import { type CompletingShell, completeInFish, openShell } from './support/completing-shell.ts';

const { installation, folder, run, start } = useTaskRunner();
const { env } = installation;
const place = { folder, env };

beforeAll(() => {
  mkdirSync(`${folder}/some-folder`);
  writeFileSync(`${folder}/some-file`, '');
});

/** Lines up to the cursor, and what Tab makes of them. */
const LINES: readonly (readonly [typed: string, completed: string])[] = [
  ['stackshim stack his', 'stackshim stack history '],
  ['stackshim stack release a', 'stackshim stack release apply '],
  ['stackshim run --memo', 'stackshim run --memory '],
  ['stackshim run --network h', 'stackshim run --network host '],
  ['stackshim run --network=h', 'stackshim run --network=host '],
  ['stackshim run --ulimit nofi', 'stackshim run --ulimit nofile='],
  ['stackshim run -m 64m --init busy', 'stackshim run -m 64m --init busybox '],
  ['stackshim run --memory=64m busy', 'stackshim run --memory=64m busybox '],
  ['stackshim run busybox@', 'stackshim run busybox@rev:1 '],
  ['stackshim run busybox@rev:', 'stackshim run busybox@rev:1 '],
  ['stackshim stack rollback busybox --to ', 'stackshim stack rollback busybox --to 1 '],
  ['stackshim completion f', 'stackshim completion fish '],
  [`stackshim run --env-file ${folder}/some-fi`, `stackshim run --env-file ${folder}/some-file `],
  [`stackshim run --env-file=${folder}/some-fi`, `stackshim run --env-file=${folder}/some-file `],
  [`stackshim stack build ${folder}/some-`, `stackshim stack build ${folder}/some-folder/`],
  // Nothing is offered for a user's own word.
  ['stackshim run --timeout ', 'stackshim run --timeout '],
];

describe.each(['bash', 'zsh'] as const)('%s', (shell) => {
  let opened: CompletingShell;
  // A session belongs to the test that opens it.
  const open = async () => {
    opened = await openShell(shell, place);
  };

  it('completes commands, options, values, names and files', async () => {
    await open();
    for (const [typed, completed] of LINES) {
      expect({ typed, completed: await opened.complete(typed) }).toEqual({ typed, completed });
    }
    await opened.end();
  });

  it('completes the ids of tasks', async () => {
    await run(['--name', 'kept-1', '--keep'], ['true']);
    await open();
    expect(await opened.complete('stackshim kill kep')).toBe('stackshim kill kept-1 ');
    await opened.end();
    expect(await runCli(['kill', 'kept-1'], { env })).toMatchObject({ status: 0 });
  });

  it('lists what is possible', async () => {
    await open();
    const listed = await opened.list('stackshim stack ', /update/);
    expect(listed).toMatch(/history[^\n]*[\s\S]*rollback/);
    if (shell === 'zsh') expect(listed).toMatch(/history +-- list the revisions of a stack/);
    await opened.end();
  });
});

describe('fish', () => {
  it.each(LINES)('completes %s', (typed, completed) => {
    const wordBefore = typed.lastIndexOf(' ') + 1;
    const expected = typed === completed ? [] : [completed.slice(wordBefore).trimEnd()];
    expect(completeInFish(typed, place).map((line) => line.split('\t')[0])).toEqual(expected);
  });

  it('describes commands, options and stacks', () => {
    expect(completeInFish('stackshim stack his', place)).toEqual([
      'history\tlist the revisions of a stack, newest first',
    ]);
    expect(completeInFish('stackshim run --network', place)).toEqual(['--network\tnone or host']);
  });

  it('offers no files where none belong', () => {
    expect(completeInFish('stackshim kill ', place)).toEqual([]);
  });
});

describe('the question that the scripts ask', () => {
  const ask = async (...words: string[]) =>
    await runCli(['complete', '--', ...words], { env: installation.env });

  it('is answered with what the shell completes, then the words', async () => {
    expect(await ask('run', '--network', '')).toMatchObject({
      status: 0,
      stdout: 'none\nnone\t\nhost\t\n',
    });
    expect(await ask('run', '--env-file', '')).toMatchObject({ status: 0, stdout: 'files\n' });
  });

  it('is answered for a user who may not read the installation', async () => {
    const through = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups'];
    const asked = (word: string) => runCli(['complete', '--', word, ''], { env, through });
    expect(await asked('kill')).toMatchObject({ status: 0, stdout: 'none\n' });
    expect((await asked('stack')).stdout).toContain('history\t');
  });

  it('is answered from another installation with its own names', async () => {
    const elsewhere = { STACKSHIM_ROOT: `${folder}/lib`, STACKSHIM_RUN: `${folder}/run` };
    const asked = await runCli(['complete', '--', 'run', ''], { env: elsewhere });
    expect(asked).toMatchObject({ status: 0, stdout: 'none\n' });
  });

  it('is answered with ended tasks, where a command takes them', async () => {
    await run(['--log', '--name', 'over'], ['true']);
    for (const word of ['logs', 'wait', 'inspect', 'rm']) {
      expect((await ask(word, 'ov')).stdout).toBe('none\nover\tbusybox: true\n');
    }
    expect((await ask('kill', 'ov')).stdout).toBe('none\n');
    await runCli(['rm', 'over'], { env: installation.env });
  });

  it('is answered with the files of a running task, but for names that a shell could run', async () => {
    const names = [
      'plain',
      'with space',
      '$(reboot)',
      '`id`',
      'a;b',
      "q'",
      '\u001b[2J',
      'line\nbreak',
    ];
    const make = names.map((name) => `: > '${name.replace("'", `'\\''`)}'`).join('; ');
    const script = `mkdir -p /made/folder; ln -s / /made/up; cd /made; ${make}; echo ready; exec sleep 1000`;
    const task = start(['--name', 'filled'], ['sh', '-c', script]);
    await task.printed('ready');
    const asked = async (word: string) => (await ask('cp', word)).stdout;
    expect(await asked('filled:/made/')).toBe(
      'none\nfilled:/made/folder/\t\nfilled:/made/plain\t\nfilled:/made/up\t\n',
    );
    expect(await asked('filled:/made/p')).toBe('none\nfilled:/made/plain\t\n');
    expect(await asked('filled:made/../ma')).toBe('none\nfilled:made/../made/\t\n');
    expect(await asked('filled:/made/up/../../../../ma')).toContain('/made/\t');
    expect(await asked('filled:/no/such/')).toBe('none\n');
    expect(await asked('unknown:/')).toBe('none\n');
    await runCli(['kill', 'filled'], { env: installation.env });
    await task.ended;
  });

  it('keeps what images say from controlling the terminal', async () => {
    const dir = `${folder}/hostile`;
    mkdirSync(dir);
    await run(['--name', 'hostile', '--keep'], ['echo', '\u001b]0;owned\u0007\tx']);
    const { stdout } = await ask('kill', 'host');
    expect(stdout).toBe('none\nhostile\tbusybox: echo \\u{1b}]0;owned\\u{7}\\tx\n');
    expect(await runCli(['kill', 'hostile'], { env })).toMatchObject({ status: 0 });
  });
});

it('the shell must be one of three', async () => {
  for (const args of [[], ['csh'], ['bash', 'zsh']]) {
    const { status, stdout, stderr } = await runCli(['completion', ...args], { env });
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toContain('[ERR_STACKSHIM_SPEC_INVALID]');
  }
});
