/** Inputs and results of `run`: code, payload, standard input, result, events, and kept files. */
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runCli } from '../support/cli/run-cli.ts';
import { sh } from '../support/cli/shell.ts';
import { CLEAN, useTaskRunner } from '../support/cli/task-runner.ts';
import { buildZip } from '../support/images/zip-builder.ts';

const { installation, run, start, folder } = useTaskRunner();
const { env, layout } = installation;
const sha256 = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');

function makeFile(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

describe('--code', () => {
  const PROGRAM = '#!/bin/sh\npwd; echo $TASK_DIR; cat data/text; ls -A . | sort | tr "\\n" " "\n';

  function makeProgram(name: string): string {
    const code = join(folder, name);
    for (const path of ['.git/objects', 'data/.git'])
      mkdirSync(join(code, path), { recursive: true });
    writeFileSync(join(code, 'main.sh'), PROGRAM, { mode: 0o755 });
    writeFileSync(join(code, 'data/text'), 'content\n');
    writeFileSync(join(code, '.git/config'), 'secret');
    symlinkSync('data/text', join(code, 'link'));
    return code;
  }

  const EXPECTED = '/task\n/task\ncontent\ndata link main.sh ';

  it('takes a directory, without .git', async () => {
    const { stdout, record } = await run(['--code', makeProgram('directory')], ['./main.sh']);
    expect(stdout).toBe(EXPECTED);
    expect(record).toMatchObject({ ...CLEAN, verdict: 'succeeded' });
    const found = await run(['--code', join(folder, 'directory')], sh('find . -name .git'));
    expect(found.stdout).toBe('');
  });

  it('takes a relative path', async () => {
    makeProgram('relative');
    const { stdout } = await run(['--code', './relative'], ['./main.sh'], { cwd: folder });
    expect(stdout).toBe(EXPECTED);
  });

  it('takes a .tar.gz', async () => {
    const archive = join(folder, 'code.tar.gz');
    execFileSync('tar', ['-czf', archive, '-C', makeProgram('tarred'), '.']);
    expect((await run(['--code', archive], ['./main.sh'])).stdout).toBe(EXPECTED);
  });

  it('takes a .zip', async () => {
    const archive = makeFile(
      'code.zip',
      buildZip(
        { name: 'main.sh', content: PROGRAM, mode: 0o100755 },
        { name: 'data/text', content: 'content\n', mode: 0o100644 },
        { name: '.git/config', content: 'secret' },
        { name: 'link', content: 'data/text', mode: 0o120777 },
      ),
    );
    expect((await run(['--code', archive], ['./main.sh'])).stdout).toBe(EXPECTED);
  });

  it('belongs to the task’s root and is writable, and its source does not change', async () => {
    const code = makeProgram('writable');
    const script =
      'stat -c %u:%g main.sh; echo new > main.sh; mkdir made; rm data/text; cat main.sh';
    const { status, stdout } = await run(['--code', code], sh(script));
    expect({ status, stdout }).toEqual({ status: 0, stdout: '0:0\nnew\n' });
    expect(readFileSync(join(code, 'main.sh'), 'utf8')).toBe(PROGRAM);
    expect(readdirSync(code).sort()).toEqual(['.git', 'data', 'link', 'main.sh']);
  });

  it('does not set the working directory if --workdir does', async () => {
    const options = ['--code', makeProgram('elsewhere'), '-w', '/usr'];
    expect((await run(options, sh('pwd; ls /task/main.sh'))).stdout).toBe('/usr\n/task/main.sh\n');
  });
});

describe('--payload, --payload-file and --config-file', () => {
  it('write text to the file that PAYLOAD_FILE names', async () => {
    const payload = '{"üñí":"code"}\nno newline at the end';
    const { stdout } = await run(
      ['--payload', payload],
      sh('cat "$PAYLOAD_FILE"; echo $CONFIG_FILE'),
    );
    expect(stdout).toBe(`${payload}\n`);
  });

  it('give the task files byte for byte, read-only, readable for every user of the task', async () => {
    const [payload, config] = [randomBytes(1_048_577), randomBytes(4096)];
    const options = ['--payload-file', makeFile('payload', payload)];
    options.push('--config-file', makeFile('config', config), '-u', 'user');
    const script =
      'sha256sum < "$PAYLOAD_FILE"; sha256sum < "$CONFIG_FILE"; echo x >> "$PAYLOAD_FILE"; rm -f "$CONFIG_FILE"';
    const { stdout } = await run(options, sh(script));
    expect(stdout).toBe(`${sha256(payload)}  -\n${sha256(config)}  -\n`);
    const asRoot = sh('echo x >> "$PAYLOAD_FILE"; rm "$CONFIG_FILE"');
    const { stderr, status } = await run(options.slice(0, 4), asRoot);
    expect(status).toBe(1);
    expect(stderr).toMatch(/payload: Read-only file system\n.*config': (Resource|Device) .*busy\n/);
    expect(sha256(readFileSync(join(folder, 'payload')))).toBe(sha256(payload));
  });

  it.each(['0', '077', '0777'])(
    'make their files readable for every user, with umask %s',
    async (umask) => {
      mkdirSync(join(folder, 'code'), { recursive: true });
      writeFileSync(join(folder, 'code/file'), ' and code');
      const options = ['--payload', 'text', '--code', join(folder, 'code'), '-u', 'user'];
      const through = ['sh', '-c', `umask ${umask}; exec "$@"`, 'sh'];
      const { stdout, record } = await run(options, sh('cat "$PAYLOAD_FILE" file'), { through });
      expect(stdout).toBe('text and code');
      expect(record).toMatchObject({ ...CLEAN, verdict: 'succeeded' });
    },
  );

  it('accept an empty payload', async () => {
    const script = 'stat -c %s "$PAYLOAD_FILE"';
    expect((await run(['--payload', ''], sh(script))).stdout).toBe('0\n');
  });
});

describe('--interactive', () => {
  it('passes standard input on, byte for byte', async () => {
    const input = randomBytes(1_048_576);
    const { status, stdoutBytes } = await run(['-i'], ['cat'], { input });
    expect(status).toBe(0);
    expect(sha256(stdoutBytes)).toBe(sha256(input));
  });

  it('does not stop a task that reads nothing or only a part', async () => {
    const input = Buffer.alloc(4 * 1_048_576);
    expect(await run(['-i'], ['true'], { input })).toMatchObject({ status: 0 });
    const { stdoutBytes, record } = await run(['-i'], ['head', '-c', '10'], { input });
    expect(stdoutBytes).toEqual(Buffer.alloc(10));
    expect(record).toMatchObject({ ...CLEAN, verdict: 'succeeded', error: null });
  });

  it('can be reopened by path', async () => {
    const { stdout } = await run(['-i', '-u', 'user'], ['cat', '/dev/stdin'], { input: 'text' });
    expect(stdout).toBe('text');
  });

  it('is empty without it', async () => {
    expect(await run([], ['cat'], { input: 'unseen' })).toMatchObject({ status: 0, stdout: '' });
  });
});

describe('--result, --json and --events', () => {
  const stackshim = (...args: string[]) => runCli(['run', ...args], { env });

  it('replace a result file in one step, and leave no other file', async () => {
    const place = join(folder, 'results');
    mkdirSync(place);
    const file = join(place, 'result.json');
    writeFileSync(file, 'old');
    await stackshim('--result', file, 'busybox', 'true');
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({
      verdict: 'succeeded',
      ...CLEAN,
    });
    expect(readdirSync(place)).toEqual(['result.json']);
  });

  it('write the result to standard output or into a FIFO', async () => {
    const { stdout } = await stackshim('--result', '/dev/stdout', 'busybox', 'echo', 'hello');
    expect(stdout).toMatch(/^hello\n\{"id".*\}\n$/);
    const fifo = join(folder, 'result.fifo');
    execFileSync('mkfifo', [fifo]);
    const reading = readFile(fifo, 'utf8');
    await stackshim('--result', fifo, 'busybox', 'false');
    expect(JSON.parse(await reading)).toMatchObject({ verdict: 'failed', exitCode: 1 });
  });

  it.each(['/dev/stdout', '/dev/fd/1', '/proc/self/fd/1'])(
    'append to standard output given as %s, even if it is a file',
    async (path) => {
      const file = makeFile('stdout', '');
      const before = lstatSync('/dev/stdout').ino;
      const through = ['sh', '-c', `exec "$@" > ${file}`, 'sh'];
      await runCli(['run', '--result', path, 'busybox', 'echo', 'hello'], { env, through });
      const [first, second] = readFileSync(file, 'utf8').split('\n');
      expect(first).toBe('hello');
      expect(JSON.parse(second ?? '')).toMatchObject({ verdict: 'succeeded' });
      expect(lstatSync('/dev/stdout').ino).toBe(before);
      expect(readdirSync('/dev').filter((name) => name.endsWith('.tmp'))).toEqual([]);
    },
  );

  it('replace the target of a link, not the link', async () => {
    const [file, link] = [makeFile('linked.json', 'old'), join(folder, 'link.json')];
    symlinkSync(file, link);
    await stackshim('--result', link, 'busybox', 'true');
    expect(lstatSync(link).isSymbolicLink()).toBe(true);
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ verdict: 'succeeded' });
  });

  it.each([
    ['--result', '/no/such/folder/file'],
    ['--events', '/no/such/folder/file'],
  ])('start no task when %s cannot be written', async (option, path) => {
    const marks = join(folder, 'marks');
    mkdirSync(marks, { recursive: true, mode: 0o777 });
    const args = [option, path, '--mount', `type=bind,src=${marks},dst=/m`, 'busybox'];
    const { status, stderr } = await stackshim(...args, 'touch', '/m/ran');
    expect(status).toBe(125);
    expect(stderr).toContain('[ERR_STACKSHIM_SPEC_INVALID]');
    expect(readdirSync(marks)).toEqual([]);
  });

  it('print one JSON object and nothing else', async () => {
    const { status, stdout, stderr } = await stackshim(
      ...['--json', 'busybox', 'sh', '-c', 'echo out; echo err >&2; exit 3'],
    );
    expect({ status, stderr }).toEqual({ status: 3, stderr: '' });
    expect(stdout.trimEnd().split('\n')).toHaveLength(1);
    expect(JSON.parse(stdout)).toMatchObject({
      verdict: 'failed',
      exitCode: 3,
      output: { stdout: 'out\n', stderr: 'err\n' },
    });
    const missing = await stackshim('--json', 'busybox', 'no-such-command');
    expect(JSON.parse(missing.stdout).error.code).toBe('ERR_STACKSHIM_COMMAND_NOT_FOUND');
    expect(missing).toMatchObject({ status: 127, stderr: '' });
  });

  it('write events in their documented order', async () => {
    const file = join(folder, 'events.ndjson');
    const { record } = await run(['--events', file, '--name', 'eventful'], ['echo', 'ü']);
    const events = readFileSync(file, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    const types = ['accepted', 'created', 'started', 'output', 'exited', 'removed', 'finished'];
    expect(events.map(({ type }) => type)).toEqual(types);
    expect(new Set(events.map(({ id }) => id))).toEqual(new Set(['eventful']));
    expect(events.map(({ time }) => time).toSorted()).toEqual(events.map(({ time }) => time));
    const [accepted, created, , output, exited, removed, finished] = events;
    expect(accepted).toMatchObject({ stack: 'busybox', revision: 1, image: record?.image });
    expect(created.pid).toBeGreaterThan(1);
    expect(output).toMatchObject({ stream: 'stdout' });
    expect(Buffer.from(output.data, 'base64').toString()).toBe('ü\n');
    expect(exited).toMatchObject({ exitCode: 0, signal: null });
    expect(removed).toMatchObject(CLEAN);
    expect(finished.result).toEqual(record);
  });

  it('report a stopped task, and a task that never ran', {
    tags: ['gvisor/late-command'],
  }, async () => {
    const file = join(folder, 'stopped.ndjson');
    await run(['--events', file, '--timeout', '100ms'], ['sleep', '3600']);
    const typesOf = () =>
      readFileSync(file, 'utf8')
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line).type);
    const stopped = ['accepted', 'created', 'started', 'stopping', 'exited', 'removed', 'finished'];
    expect(typesOf()).toEqual(stopped);
    await run(['--events', file], ['no-such-command']);
    expect(typesOf()).toEqual(['accepted', 'removed', 'finished']);
  });
});

describe('--keep and --remove', () => {
  it('keeps the writable layer until the task is killed', async () => {
    const { status, record } = await run(['--keep', '--name', 'kept'], sh('echo text > /made'));
    expect(status).toBe(0);
    expect(record).toMatchObject({ verdict: 'succeeded', removed: false });
    const made = join(layout.root, 'scratch/kept/rootfs/upper/made');
    expect(readFileSync(made, 'utf8')).toBe('text\n');
    expect(record?.leftovers).toContain(join(layout.root, 'scratch/kept'));
    const { stdout } = await runCli(['ps', '--json'], { env });
    expect(JSON.parse(stdout).tasks).toMatchObject([{ id: 'kept', state: 'kept' }]);
    expect(await runCli(['reap'], { env })).toMatchObject({ status: 0 });
    expect(existsSync(made)).toBe(true);
    expect(await runCli(['kill', 'kept'], { env })).toMatchObject({ status: 0 });
    expect(existsSync(join(layout.root, 'scratch/kept'))).toBe(false);
  });
});

describe('--label', () => {
  it('is listed while the task runs', async () => {
    const options = ['--label', 'team=blue', '--label', 'job/id=7', '--name', 'labelled'];
    const task = start(options, sh('echo ready; exec sleep 3600'));
    await task.printed('ready');
    const { stdout } = await runCli(['ps', '--json'], { env });
    expect(JSON.parse(stdout).tasks).toMatchObject([
      {
        id: 'labelled',
        stack: 'busybox',
        state: 'running',
        ownerPid: task.child.pid,
        labels: { team: 'blue', 'job/id': '7' },
      },
    ]);
    expect(await runCli(['kill', 'labelled'], { env })).toMatchObject({ status: 0 });
    expect(await task.ended).toMatchObject({ status: 143, record: { verdict: 'cancelled' } });
  });
});
