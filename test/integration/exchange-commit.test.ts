/** The changes of a kept task become a revision: cleaned, with the image's ids, including deletions. */
import { closeSync, lchownSync, mkdirSync, writeFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { isLayerId, parseTaskId } from '../../src/core/ids.ts';
import { runTask } from '../../src/door/open-stackshim.ts';
import { commitTask } from '../../src/exchange/commit-task.ts';
import { mountLayer } from '../../src/store/layers/mount-layer.ts';
import { linuxSystem } from '../../src/sys/linux-system.ts';
import { killTask } from '../../src/task/ending/kill-task.ts';
import { openInstallation } from '../../src/task/installation.ts';
import { lockRecord } from '../../src/task/records/claim-record.ts';
import { readTree } from '../support/images/read-tree.ts';
import { writeSmallOciLayout } from '../support/images/small-oci-layout.ts';
import { buildTar } from '../support/images/tar-builder.ts';
import { makeBusyboxTar } from '../support/stacks/busybox-stack.ts';
import { toStack, useExchangeLab } from '../support/stacks/exchange-lab.ts';
import { scaled } from '../support/timing/time-scale.ts';

const lab = useExchangeLab();
const kept: string[] = [];
const { layout, options } = lab.installation;
const upperOf = (id: string) => `${layout.root}/scratch/${id}/rootfs/upper`;

async function keep(id: string, script: string, more = {}): Promise<void> {
  kept.push(id);
  const spec = { stack: 'busybox', command: ['sh', '-ec', script], id, keep: true, ...more };
  expect(await runTask(spec, options)).toMatchObject({ verdict: 'succeeded' });
}

const commit = (task: string, stack: string, more = {}) =>
  commitTask(layout, { ...lab.options, task: parseTaskId(task), stack: toStack(stack), ...more });

afterEach(async () => {
  for (const id of kept.splice(0)) {
    await killTask(openInstallation(layout), parseTaskId(id), { graceMs: 0 });
  }
});

const ACL_NAME = 'system.posix_acl_access';
/** user::rw- group::rw- group:50:--- mask::rw- other::r-- */
const ACL_RECORD = [
  `SCHILY.xattr.${ACL_NAME}`,
  Buffer.from(
    '02000000' +
      '01000600ffffffff' +
      '04000600ffffffff' +
      '0800000032000000' +
      '10000600ffffffff' +
      '20000400ffffffff',
    'hex',
  ),
] as const;

const topOf = (name: string) => {
  const id = lab.layersOf(name).at(-1) ?? '';
  if (!isLayerId(id)) throw new Error('no layer');
  return readTree(mountLayer(linuxSystem, layout, id));
};

describe('commit', () => {
  it('adds one layer with the task’s changes', async () => {
    const script = [
      'echo new > /etc/new; ln /etc/new /etc/same; chown 1000:50 /etc/new; ln -s new /etc/link',
      'chmod 4755 /etc/new; rm /etc/group; rm -rf /home; mkdir /home; touch /home/mine; mkfifo /etc/pipe',
    ].join('\n');
    await keep('committed', script);
    const result = await commit('committed', 'changed');
    expect(result).toMatchObject({ stack: 'changed', revision: 1 });
    expect(lab.layersOf('changed').slice(0, -1)).toEqual(lab.layersOf('busybox'));
    const top = topOf('changed');
    expect(top.get('etc/new')).toMatchObject({
      uid: 1000,
      gid: 50,
      mode: 0o4755,
      content: 'new\n',
    });
    expect(top.get('etc/same')).toMatchObject({ kind: 'hardlink' });
    expect(top.get('etc/group')).toMatchObject({ kind: 'device', isZeroDevice: true });
    expect(top.get('home')?.xattrs.get('trusted.overlay.opaque')?.toString()).toBe('y');
    const seen = await lab.run('changed', ['sh', '-c', 'cat /etc/same; ls /home; ls /etc/group']);
    expect(seen).toMatchObject({ exitCode: 1, output: { stdout: 'new\nmine\n' } });
  });

  it('adds what is at /task, in place of what the image has there, if asked', async () => {
    const code = `${lab.folder}/code`;
    mkdirSync(code);
    writeFileSync(`${code}/main`, 'echo from code; cat more');
    writeFileSync(`${code}/gone`, '');
    await keep('coded', 'echo more > more; rm gone; chown 1000:50 more', { code });
    await commit('coded', 'with-code', { code: true });
    const base = lab.layersOf('busybox');
    expect(lab.layersOf('with-code').slice(0, base.length)).toEqual(base);
    expect(lab.layersOf('with-code')).toHaveLength(base.length + 2);
    expect(topOf('with-code').get('task/more')).toMatchObject({ uid: 1000, gid: 50 });
    const seen = await lab.run('with-code', ['sh', '-c', 'cd /task && ls && sh main']);
    expect(seen.output.stdout).toBe('main\nmore\nfrom code\nmore\n');
    await commit('coded', 'without-code');
    expect(lab.layersOf('without-code')).toHaveLength(base.length + 1);
  });

  it('makes no revision of a task whose removal has begun meanwhile', async () => {
    await keep('removed', 'echo new > /new');
    const id = parseTaskId('removed');
    let lock: number | undefined;
    const begin = () => {
      lock ??= lockRecord({ layout, system: linuxSystem }, id, () => true)?.lock;
    };
    await expect(commit('removed', 'half', { onProgress: begin })).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_TASK_CONFLICT',
    });
    closeSync(lock ?? -1);
    expect(await commit('removed', 'whole')).toMatchObject({ revision: 1 });
  });

  it('keeps access control lists, with ids as the image has them', async () => {
    const tar = buildTar({ path: 'listed', mode: 0o664, content: 'listed\n', pax: [ACL_RECORD] });
    const busybox = await makeBusyboxTar();
    await writeSmallOciLayout(`${lab.folder}/listed`, { layers: [busybox, tar] });
    await lab.import('listed', `oci:${lab.folder}/listed`);
    await keep('listing', 'echo more >> /listed', { stack: 'listed' });
    await commit('listing', 'listed-again');
    expect(topOf('listed-again').get('listed')?.xattrs.get(ACL_NAME)).toEqual(ACL_RECORD[1]);
    const read = (user: string) =>
      runTask({ stack: 'listed-again', command: ['cat', '/listed'], user }, options);
    expect(await read('1000:1000')).toMatchObject({ output: { stdout: 'listed\nmore\n' } });
    expect(await read('1000:50')).toMatchObject({ verdict: 'failed', output: { stdout: '' } });
  });

  it('accepts files that a task wrote without its own user namespace', async () => {
    await keep('shared', 'echo shared > /shared', { userns: 'host' });
    await commit('shared', 'shared');
    expect(topOf('shared').get('shared')).toMatchObject({ uid: 0, gid: 0, content: 'shared\n' });
  });

  it('can add a revision to the task’s own stack, and can be repeated', async () => {
    await keep('again', 'echo 1 > /one');
    const first = await commit('again', 'changed');
    const second = await commit('again', 'changed');
    expect(second).toEqual({ ...first, revision: first.revision + 1 });
  });

  it('does not change the stack if the smoke command fails', async () => {
    await keep('broken', 'rm /bin/true');
    const before = lab.state();
    await expect(commit('broken', 'changed')).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_SMOKE_FAILED',
    });
    await expect(commit('broken', 'changed', { smoke: 'false' })).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_SMOKE_FAILED',
    });
    expect(lab.state()).toEqual(before);
  });

  it('refuses files that a layer cannot contain', async () => {
    const before = lab.state();
    await keep('odd-name', 'touch /.wh.bin');
    await expect(commit('odd-name', 'changed')).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_LAYER_INVALID',
      details: { entry: '.wh.bin' },
    });
    await keep('foreign', 'mkdir /mine');
    writeFileSync(`${upperOf('foreign')}/mine/file`, 'x');
    lchownSync(`${upperOf('foreign')}/mine/file`, 12, 12);
    await expect(commit('foreign', 'changed')).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_LAYER_INVALID',
      details: { entry: 'mine/file' },
    });
    await keep('sparse', 'truncate -s 1000000000000 /huge');
    await expect(commit('sparse', 'changed')).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_LAYER_TOO_LARGE',
    });
    expect(lab.state()).toEqual(before);
  });

  it('reports tasks that do not exist and tasks that were not kept', async () => {
    await expect(commit('nobody', 'changed')).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_TASK_NOT_FOUND',
    });
    const stop = new AbortController();
    const spec = { stack: 'busybox', command: ['sleep', '1000'], id: 'running', keep: true };
    const running = runTask(spec, { ...options, signal: stop.signal });
    kept.push('running');
    await expect
      .poll(() => commit('running', 'changed').catch(({ code }) => code), {
        timeout: scaled(20_000),
      })
      .toBe('ERR_STACKSHIM_TASK_NOT_KEPT');
    stop.abort();
    await running;
  });
});
