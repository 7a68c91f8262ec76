/** A folder on a filesystem that never answers, as its maker can have it with FUSE: its import ends when its caller wants. Requires: root, FUSE. */
import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, read, writeSync } from 'node:fs';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { linuxSystem } from '../../src/sys/linux-system.ts';
import { makeBusyboxTar } from '../support/stacks/busybox-stack.ts';
import { useExchangeLab } from '../support/stacks/exchange-lab.ts';

const lab = useExchangeLab();

it.each([
  ['below a root filesystem', '/var'],
  ['in its place', ''],
])('%s', async (_, below) => {
  const tree = `${lab.folder}/tree${below.length}`;
  mkdirSync(tree);
  execFileSync('tar', ['-x', '-p', '-C', tree], { input: await makeBusyboxTar() });
  const fuse = await mountSilent(`${tree}${below}`);
  const stop = new AbortController();
  const before = lab.state();
  const importing = expect(
    lab.import('silent', tree, { signal: stop.signal }),
  ).rejects.toMatchObject({ code: 'ERR_STACKSHIM_BUILD_ABORTED' });
  try {
    // The import waits for an answer by now. The event loop does not: it goes on here.
    await fuse.asked();
    stop.abort();
    await importing;
    expect(lab.state()).toEqual(before);
  } finally {
    fuse.close();
  }
});

const readDevice = promisify(read);
/** Smaller reads are refused. */
const REQUEST_BYTES = 128 * 1024;

/** Mounts a filesystem that answers its first request, which the kernel itself makes, and no other. */
async function mountSilent(at: string) {
  const device = openSync('/dev/fuse', 'r+');
  const context = linuxSystem.fsOpen('fuse');
  const options = { fd: String(device), rootmode: '40755', user_id: '0', group_id: '0' };
  for (const [key, value] of Object.entries(options)) {
    linuxSystem.fsConfigString(context, key, value);
  }
  linuxSystem.fsConfigFlag(context, 'allow_other');
  linuxSystem.fsConfigCreate(context);
  const mount = linuxSystem.fsMount(context, 0);
  linuxSystem.close(context);
  linuxSystem.attachMount(mount, at);
  linuxSystem.close(mount);
  const request = Buffer.alloc(REQUEST_BYTES);
  const next = () => readDevice(device, request, 0, REQUEST_BYTES, null);
  await next();
  // struct fuse_out_header and fuse_init_out of protocol 7.31.
  const answer = Buffer.alloc(16 + 64);
  answer.writeUInt32LE(answer.length, 0);
  answer.writeBigUInt64LE(request.readBigUInt64LE(8), 8);
  answer.writeUInt32LE(7, 16);
  answer.writeUInt32LE(31, 20);
  answer.writeUInt32LE(4096, 36);
  writeSync(device, answer);
  return {
    asked: next,
    close() {
      linuxSystem.detachMount(at);
      closeSync(device);
    },
  };
}
