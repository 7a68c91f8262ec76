/** What commands draw on a real terminal, and leave out elsewhere. Requires: root, openssl. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, statSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { runCli, STACKSHIM } from '../support/cli/run-cli.ts';
import { useTaskRunner } from '../support/cli/task-runner.ts';
import { FIRST_SIZE, openTerminalSession } from '../support/cli/terminal-session.ts';

const { installation, folder, run } = useTaskRunner();
const { env } = installation;
const UTF8 = { LC_ALL: 'C.UTF-8', TERM: 'xterm' };
const CSI = '\u001b[';

/** Everything that a script shows on a terminal. */
async function show(
  script: string,
  more: Readonly<Record<string, string>> = UTF8,
): Promise<string> {
  const session = openTerminalSession(`${script}\necho "<over $?>"`, { ...env, ...more });
  const { before } = await session.shown(/<over \d+>/);
  await session.ended;
  return before.replaceAll('\r\n', '\n');
}

const widthsOf = (text: string) => text.split('\n').map((line) => [...line].length);

describe('tables', () => {
  const LABEL = 'x'.repeat(150);

  it('fit the terminal, unless asked to be whole', async () => {
    await run(['--name', 'wide', '--keep', '--label', `label=${LABEL}`], ['echo', LABEL]);
    const fitted = await show(`${STACKSHIM} ps`);
    expect(Math.max(...widthsOf(fitted))).toBe(FIRST_SIZE.columns);
    expect(fitted).toMatch(/^wide +busybox@rev:1 .*echo x+… +label=x+…$/m);
    expect(await show(`${STACKSHIM} ps --no-trunc`)).toContain(LABEL);
    expect(await show(`${STACKSHIM} ps | cat`)).toContain(LABEL);
    expect((await runCli(['ps'], { env })).stdout).toContain(`label=${LABEL}\n`);
    expect(await runCli(['kill', 'wide'], { env })).toMatchObject({ status: 0 });
  });

  it('wrap long findings instead of cutting them', async () => {
    const lines = (await show(`${STACKSHIM} doctor`)).split('\n');
    const table = lines.slice(0, lines.indexOf(''));
    expect(Math.max(...table.map((line) => line.length))).toBeLessThanOrEqual(FIRST_SIZE.columns);
    expect(table.join('\n')).not.toContain('…');
  });

  it('show whole digests with --no-trunc', async () => {
    const short = (await runCli(['stack', 'ls'], { env })).stdout;
    const whole = (await runCli(['stack', 'ls', '--no-trunc'], { env })).stdout;
    expect(short).toMatch(/ sha256:[0-9a-f]{12} /);
    expect(whole).toMatch(/ sha256:[0-9a-f]{64} /);
  });
});

describe('drawings', () => {
  it('have colours and bars on a terminal', async () => {
    const graph = await show(`${STACKSHIM} stack graph`);
    expect(graph).toContain(`${CSI}1mbusybox${CSI}22m`);
    expect(graph).toContain('█');
    const usage = await show(`${STACKSHIM} df`);
    expect(usage).toMatch(/busybox .*█/);
  });

  it.each([[{ NO_COLOR: '1' }], [{ TERM: 'dumb' }]])('have no colours with %j', async (more) => {
    for (const command of ['stack graph', 'df']) {
      const text = await show(`${STACKSHIM} ${command}`, { ...UTF8, ...more });
      expect(text).toContain('█');
      expect(text).not.toContain('\u001b');
    }
  });

  it('are ASCII in another locale', async () => {
    for (const command of ['stack graph', 'df']) {
      const text = await show(`NO_COLOR=1 ${STACKSHIM} ${command}`, { LC_ALL: 'C', TERM: 'xterm' });
      expect(text).toContain('#');
      expect(text).toMatch(/^[\x20-\x7e\n]*$/);
    }
  });

  it('are plain where standard output is no terminal', async () => {
    const graph = await runCli(['stack', 'graph'], { env: { ...env, ...UTF8 } });
    expect(graph.stdout).toMatch(/^busybox {2}rev 1 +\S+ \S+\n$/);
    const usage = await runCli(['df'], { env: { ...env, ...UTF8 } });
    expect(usage.stdout).not.toContain('█');
    expect(usage.stdout).not.toContain('\u001b');
  });
});

describe('progress', () => {
  const HIDE = `${CSI}?25l`;
  const SHOW = `${CSI}?25h`;

  it('is a bar on a terminal, which leaves no trace and shows the cursor again', async () => {
    const text = await show(`${STACKSHIM} verify`);
    expect(text).toContain('no damage found');
    const [hidden, shown] = [text.split(HIDE).length, text.split(SHOW).length];
    expect(hidden).toBe(shown);
  });

  it('is drawn while it goes on, and cleared when it is interrupted', async () => {
    const saved = `${folder}/saved`;
    const fresh = `${folder}/fresh`;
    mkdirSync(`${fresh}/trusted-keys`, { recursive: true });
    execFileSync('openssl', ['genpkey', '-algorithm', 'ed25519', '-out', `${folder}/key.pem`]);
    const trusted = ['-pubout', '-out', `${fresh}/trusted-keys/key.pem`];
    execFileSync('openssl', ['pkey', '-in', `${folder}/key.pem`, ...trusted]);
    const save = ['save', saved, 'busybox', '--key', `${folder}/key.pem`];
    expect(await runCli(save, { env })).toMatchObject({ status: 0 });
    const half = Math.floor(statSync(saved).size / 2);
    const places = `STACKSHIM_ROOT=${fresh} STACKSHIM_RUN=${folder}/fresh-run`;
    // The second half never comes.
    const script = `trap : INT; (head -c ${half} ${saved}; exec sleep 1000) | ${places} ${STACKSHIM} load -; echo "<status $?>"`;
    const session = openTerminalSession(script, { ...env, ...UTF8 });
    const { before: first } = await session.shown(/layer 1 of 1 █+░+ +\d+% {2}\S+ \S+ of \S+ \S+/);
    expect(first).toContain(HIDE);
    session.type('\u0003');
    const { before, match } = await session.shown(/<status (\d+)>/);
    expect(match[1]).toBe('1');
    expect(before).toContain(SHOW);
    expect(before).toContain('[ERR_STACKSHIM_BUILD_ABORTED]');
    expect(before.slice(before.lastIndexOf(SHOW))).not.toContain(HIDE);
    await session.ended;
  });

  it('is lines where standard error is no terminal, and nothing with --json', async () => {
    const file = `${folder}/busybox.tar`;
    const exported = await runCli(['stack', 'export', 'busybox', file], { env });
    expect(exported.stderr).toMatch(/^- export busybox revision 1\n {4}layer 1 of 1: \S+ \S+\n$/);
    for (const args of [['stack', 'export', 'busybox', file], ['verify'], ['gc'], ['migrate']]) {
      const quiet = await runCli([...args, '--json'], { env });
      expect(quiet).toMatchObject({ status: 0, stderr: '' });
    }
  });

  it.each(['2>&-', '2>/dev/full'])('does not disturb the work with %s', async (redirection) => {
    const script = `${STACKSHIM} stack export busybox ${folder}/unseen.tar ${redirection}; echo status=$?`;
    expect(await show(`(${script}) | cat`)).toMatch(/localhost\/busybox:rev-1 .*\nstatus=0/);
  });
});

describe('run --verbose', () => {
  it('tells the phases as they begin, and what is known by then', async () => {
    const { status, stdout, stderr, record } = await run(
      ['--verbose'],
      ['sh', '-c', 'echo out; exit 3'],
    );
    expect({ status, stdout }).toEqual({ status: 3, stdout: 'out\n' });
    const lines = stderr.trimEnd().split('\n');
    for (const line of lines) expect(line).toMatch(/^stackshim: +\d+\.\d ms {2}\S/);
    const told = lines.map((line) => line.replace(/^stackshim: +\S+ ms {2}/, ''));
    const phases = told.filter((text) => /^[a-z]+$/.test(text));
    expect(phases).toEqual('resolve assemble configure start run account remove'.split(' '));
    expect(told).toContain(`- task ${record?.id} of busybox@rev:1, image ${record?.image}`);
    expect(told).toContain('- it ended: exit code 3');
    expect(told.at(-1)).toMatch(/^failed: resolve \S+ ms, .* remove \S+ ms$/);
  });

  it('says nothing more without the option', async () => {
    expect(await run([], ['true'])).toMatchObject({ status: 0, stderr: '' });
  });

  it('keeps lines apart on a terminal in raw mode', async () => {
    const text = await show(`${STACKSHIM} run --verbose -it busybox true < $(tty)`);
    expect(text).toMatch(/^stackshim: +\S+ ms {2}assemble$/m);
  });
});
