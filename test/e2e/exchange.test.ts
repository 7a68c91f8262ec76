/** Stacks carried between installations with the executable: archives, a registry, signed files and pipes, kept tasks. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { runCli, STACKSHIM } from '../support/cli/run-cli.ts';
import { startRegistry } from '../support/images/loopback-registry.ts';
import { useInstallation } from '../support/installation/installation.ts';
import { STORED } from '../support/stacks/exchange-lab.ts';

const sender = useInstallation([STORED]);
const receiver = useInstallation([STORED, /^file \S+\/lib\/trusted-keys\//]);
const folder = `${sender.layout.root}/../files`;
mkdirSync(folder, { recursive: true });

const send = (...args: string[]) => runCli(args, { env: sender.env });
const receive = (...args: string[]) => runCli(args, { env: receiver.env });
const DIGEST = /sha256:[0-9a-f]{64}/;

describe('an archive', () => {
  it('carries a stack from one installation to another', async () => {
    const exported = await send('stack', 'export', 'busybox', `${folder}/busybox.tar`);
    expect(exported).toMatchObject({ status: 0 });
    expect(exported.stdout).toMatch(/^localhost\/busybox:rev-1 sha256:[0-9a-f]{64}\n$/);
    expect(exported.stderr).toContain('export busybox revision 1');
    const imported = await receive(
      'stack',
      'import',
      'carried',
      `oci-archive:${folder}/busybox.tar`,
      '--json',
    );
    expect(imported).toMatchObject({ status: 0 });
    expect(JSON.parse(imported.stdout)).toEqual({
      stack: 'carried',
      revision: 1,
      image: DIGEST.exec(exported.stdout)?.[0],
    });
    expect(imported.stderr).toBe('');
    const run = await receive('run', 'carried', '--', 'echo', 'hello');
    expect(run).toMatchObject({ status: 0, stdout: 'hello\n' });
  });

  it('can be imported by a caller that ignores SIGCHLD', async () => {
    const file = `${folder}/ignored.tar`;
    expect(await send('stack', 'export', 'busybox', file)).toMatchObject({ status: 0 });
    const imported = await runCli(['stack', 'import', 'ignored', `oci-archive:${file}`], {
      env: receiver.env,
      through: ['env', '--ignore-signal=CHLD'],
    });
    expect(imported).toMatchObject({ status: 0, stdout: expect.stringMatching(/^ignored@rev:1 /) });
  });

  it('does not replace the stack when its smoke command fails, and shows the command’s output', async () => {
    const reference = `docker-archive:${folder}/busybox.tar`;
    const script = 'echo out of order >&2; exit 7';
    const imported = await receive('stack', 'import', 'carried', reference, '--smoke', script);
    expect(imported).toMatchObject({ status: 2, stdout: '' });
    expect(imported.stderr).toContain('out of order');
    expect(imported.stderr).toContain('ERR_STACKSHIM_SMOKE_FAILED');
    const shown = await receive('stack', 'show', 'carried', '--json');
    expect(JSON.parse(shown.stdout)).toMatchObject({ revision: 1, source: { kind: 'import' } });
  });

  it.each([
    [['stack', 'import', 'carried', 'x:y'], 2, 'ERR_STACKSHIM_SPEC_INVALID'],
    [['stack', 'import', 'NO', 'oci:x'], 2, 'ERR_STACKSHIM_SPEC_INVALID'],
    [['stack', 'import', 'a', 'oci-archive:/no/such'], 3, 'ERR_STACKSHIM_INPUT_NOT_FOUND'],
    [['stack', 'import', 'a', 'oci:/no/such'], 3, 'ERR_STACKSHIM_INPUT_NOT_FOUND'],
    [['stack', 'import', 'a', 'oci-archive:/etc/hostname'], 2, 'ERR_STACKSHIM_IMAGE_INVALID'],
    [
      ['stack', 'import', 'a', 'docker://h/a', '--tls-verify', 'maybe'],
      2,
      'ERR_STACKSHIM_SPEC_INVALID',
    ],
    [['stack', 'export', 'nothing', '/dev/shm/x.tar'], 3, 'ERR_STACKSHIM_STACK_NOT_FOUND'],
    [['stack', 'export', 'busybox', '/no/such/x.tar'], 3, 'ERR_STACKSHIM_INPUT_NOT_FOUND'],
    [['stack', 'export', 'busybox', '/dev/shm'], 3, 'ERR_STACKSHIM_INPUT_NOT_FOUND'],
    [['stack', 'import', 'a', 'oci:x', '--smoke', '[1'], 2, 'ERR_STACKSHIM_SPEC_INVALID'],
    [
      ['stack', 'import', 'a', 'docker://h/a', '--authfile', '/no/such'],
      3,
      'ERR_STACKSHIM_INPUT_NOT_FOUND',
    ],
    [
      ['stack', 'push', 'busybox', 'docker://h/a', '--authfile', '/no/such'],
      3,
      'ERR_STACKSHIM_INPUT_NOT_FOUND',
    ],
    [['stack', 'push', 'busybox', 'oci:x'], 2, 'ERR_STACKSHIM_SPEC_INVALID'],
    [['stack', 'commit', 'nobody', 'a'], 3, 'ERR_STACKSHIM_TASK_NOT_FOUND'],
    [['save', '/dev/shm/x', 'busybox', '--key', '/no/such'], 3, 'ERR_STACKSHIM_INPUT_NOT_FOUND'],
    [['save', '/dev/shm/x', 'busybox'], 2, 'ERR_STACKSHIM_SPEC_INVALID'],
    [['load', '/no/such'], 3, 'ERR_STACKSHIM_INPUT_NOT_FOUND'],
    [['load'], 2, 'ERR_STACKSHIM_SPEC_INVALID'],
  ])('is refused with a hint: %j', async (args, status, code) => {
    const result = await send(...args);
    expect(result).toMatchObject({ status, stdout: '' });
    expect(result.stderr).toContain(`[${code}]`);
  });

  it('needs root', async () => {
    const through = ['setpriv', '--reuid', '65534', '--clear-groups'];
    const result = await runCli(['stack', 'import', 'a', 'oci:x'], { env: sender.env, through });
    expect(result).toMatchObject({ status: 1 });
    expect(result.stderr).toContain('ERR_STACKSHIM_NOT_ROOT');
  });
});

describe("an image that came from docker's archive", () => {
  it('is found by the digest of its content, by two processes at once', async () => {
    const archive = `${folder}/content.tar`;
    const exported = await send('stack', 'export', 'busybox', archive);
    const content = DIGEST.exec(exported.stdout)?.[0] ?? '';
    const imported = await receive('stack', 'import', 'docker', `docker-archive:${archive}`);
    expect(imported).toMatchObject({ status: 0 });
    expect(imported.stdout).not.toContain(content);
    const before = JSON.parse((await receive('stack', 'show', 'docker', '--json')).stdout);
    expect(before).toMatchObject({ content: null });
    const run = () => receive('run', `docker@${content}`, '--', 'echo', 'hello');
    for (const result of await Promise.all([run(), run()])) {
      expect(result).toMatchObject({ status: 0, stdout: 'hello\n', stderr: '' });
    }
    const after = JSON.parse((await receive('stack', 'show', 'docker', '--json')).stdout);
    expect(after).toMatchObject({ content });
    const unknown = await receive('run', `docker@sha256:${'0'.repeat(64)}`, '--', 'true');
    expect(unknown).toMatchObject({ status: 125 });
    expect(unknown.stderr).toContain('find stack docker: no revision has the image sha256:0000');
  });
});

describe('a registry', () => {
  it('carries a stack', async () => {
    const registry = await startRegistry(`${folder}/registry`);
    try {
      const reference = `docker://${registry.host}/stacks/busybox:1`;
      const pushed = await send(
        'stack',
        'push',
        'busybox',
        reference,
        '--tls-verify',
        'false',
        '--json',
      );
      expect(pushed).toMatchObject({ status: 0 });
      const { digest } = JSON.parse(pushed.stdout);
      const pulled = await receive('stack', 'import', 'pulled', reference, '--tls-verify', 'false');
      expect(pulled).toMatchObject({ status: 0, stdout: `pulled@rev:1 ${digest}\n` });
      const refused = await receive('stack', 'import', 'pulled', reference);
      expect(refused).toMatchObject({ status: 1 });
      expect(refused.stderr).toContain('ERR_STACKSHIM_REGISTRY_FAILED');
    } finally {
      await registry.close();
    }
  });
});

describe('save and load', () => {
  it('carry stacks by file once the key is trusted, and then only what changed', async () => {
    execFileSync('openssl', ['genpkey', '-algorithm', 'ed25519', '-out', `${folder}/key.pem`]);
    const key = ['--key', `${folder}/key.pem`];
    const saved = await send('save', `${folder}/saved`, 'busybox', ...key);
    expect(saved).toMatchObject({ status: 0 });
    expect(saved.stdout).toMatch(/^busybox@rev:1 sha256:[0-9a-f]{64}\n1 layer, 0 left out\n$/);
    const refused = await receive('load', `${folder}/saved`);
    expect(refused).toMatchObject({ status: 1, stdout: '' });
    expect(refused.stderr).toContain('ERR_STACKSHIM_SAVE_UNTRUSTED');
    const trusted = `${receiver.layout.root}/trusted-keys`;
    mkdirSync(trusted, { recursive: true });
    const publicKey = execFileSync('openssl', ['pkey', '-in', `${folder}/key.pem`, '-pubout']);
    writeFileSync(`${trusted}/sender.pem`, publicKey);
    const loaded = await receive('load', `${folder}/saved`, '--json');
    expect(JSON.parse(loaded.stdout)).toMatchObject({ stacks: [{ stack: 'busybox' }] });
    const list = await receive('load', '--list');
    expect(list.stdout).toMatch(/^(?:[0-9a-f]{64}\n)+$/);
    writeFileSync(`${folder}/have`, list.stdout);
    const less = await send(
      'save',
      `${folder}/less`,
      'busybox',
      ...key,
      '--have',
      `${folder}/have`,
      '--json',
    );
    expect(JSON.parse(less.stdout)).toMatchObject({ layers: [], leftOut: [expect.any(String)] });
    expect(readFileSync(`${folder}/less`).length).toBeLessThan(20_000);
    expect(await receive('load', `${folder}/less`)).toMatchObject({ status: 0 });
  });

  it('carry stacks through a pipe', () => {
    const command = `"$0" save - busybox --key "$1" | STACKSHIM_ROOT="$2" STACKSHIM_RUN="$3" "$0" load -`;
    const { root, run } = receiver.layout;
    const piped = spawnSync(
      'bash',
      ['-o', 'pipefail', '-c', command, STACKSHIM, `${folder}/key.pem`, root, run],
      {
        env: { ...process.env, ...sender.env },
        encoding: 'utf8',
      },
    );
    expect(piped).toMatchObject({ status: 0 });
    expect(piped.stdout).toMatch(
      /^busybox@rev:1 sha256:[0-9a-f]{64} unchanged\n0 layers stored\n$/,
    );
  });
});

describe('commit', () => {
  it('makes a stack from what a kept task wrote', async () => {
    const script = 'echo done > /result';
    await send('run', '--keep', '--name', 'worker', 'busybox', '--', 'sh', '-c', script);
    const committed = await send('stack', 'commit', 'worker', 'worked');
    expect(committed).toMatchObject({ status: 0 });
    expect(committed.stdout).toMatch(/^worked@rev:1 sha256:/);
    const run = await send('run', 'worked', '--', 'cat', '/result');
    expect(run).toMatchObject({ status: 0, stdout: 'done\n' });
    await send('kill', 'worker');
  });
});
