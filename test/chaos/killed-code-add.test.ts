/** `code add` is killed before each call that changes something: what is stored is sound, the next add works, and nothing is left after it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import type { AddedPackage } from '../../src/exchange/code-packages/add-package.ts';
import { openStackshim } from '../../src/index.ts';
import { verifyStore } from '../../src/upkeep/verify-store.ts';
import { runCli } from '../support/cli/run-cli.ts';
import { snapshotHost } from '../support/host/host-snapshot.ts';
import { expectNoLeaksSince } from '../support/host/leak-check.ts';
import { STORED, useInstallation } from '../support/installation/installation.ts';
import { isFullRun } from '../support/timing/full-run.ts';
import { scaled } from '../support/timing/time-scale.ts';
import { seedRandom } from './support/seeded-random.ts';

const { layout, options, env } = useInstallation([STORED, /^file \S+\/packages\//]);
const roots = [layout.root, layout.run];
const program = fileURLToPath(new URL('../fixtures/add-code-until-call.mjs', import.meta.url));
const { code } = openStackshim(options);
/** The number of calls that the everyday run tries. */
const SHARE = 10;

const folder = mkdtempSync('/var/tmp/stackshim-add-');
chmodSync(folder, 0o755);
afterAll(() => rmSync(folder, { recursive: true }));

let made = 0;
/** Code that no package has yet. */
function writeCode(): string {
  made += 1;
  const path = `${folder}/${made}`;
  mkdirSync(path);
  writeFileSync(`${path}/main`, `content ${made}\n`);
  return path;
}

/** Undefined if it was killed; else how many calls there were. */
async function add(
  name: string,
  path: string,
  settings: object,
  call: number,
): Promise<number | undefined> {
  const args = [JSON.stringify(options), name, path, JSON.stringify(settings), String(call)];
  const child = spawn(process.execPath, [program, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const printed: string[] = [];
  child.stdout.on('data', (chunk: Buffer) => printed.push(chunk.toString()));
  const [status, signal] = await once(child, 'close');
  if (signal === 'SIGKILL') return undefined;
  expect(status).toBe(0);
  return Number(printed.join(''));
}

const cli = (...args: readonly string[]) => runCli(args, { env });

/** What is stored, without the locks and the mark of a removed package. */
const stored = () =>
  ['layers', 'images', 'tmp', 'leases', 'scratch'].flatMap((part) => {
    const names = readdirSafe(`${layout.root}/${part}`);
    return names.filter((name) => !name.startsWith('.')).map((name) => `${part}/${name}`);
  });

function readdirSafe(path: string): readonly string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

const collect = async (when: string) => {
  for (const command of ['reap', 'gc']) {
    const { status, stdout, stderr } = await cli(command);
    expect(status, `${command} ${when}: ${stdout}${stderr}`).toBe(0);
  }
};

describe('SIGKILL before each change of an add', () => {
  it.each([
    ['plain', {}],
    ['with a build step', { stack: 'busybox', build: 'echo built > out' }],
  ])('%s', { timeout: scaled(1_800_000) }, async (_name, settings) => {
    const name = `app-${made}`;
    const random = seedRandom('killed-code-add');
    // The first add after boot makes a few more calls.
    await add(name, writeCode(), settings, -1);
    const calls = (await add(name, writeCode(), settings, -1)) ?? 0;
    expect(calls).toBeGreaterThan(10);
    await code.remove([name]);
    await collect('before');
    const before = stored();
    const all = Array.from({ length: calls }, (_, call) => call);
    const chosen = isFullRun ? all : all.filter(() => random.next() < SHARE / calls);
    let died = 0;
    for (const call of chosen) {
      const host = snapshotHost(roots);
      const path = writeCode();
      if ((await add(name, path, settings, call)) === undefined) died += 1;
      expect((await verifyStore(layout)).damage).toEqual([]);

      const again = await cli('code', 'add', '--json', name, path, ...toArguments(settings));
      expect(again.stderr).toBe('');
      const added: AddedPackage = JSON.parse(again.stdout);
      expect(await code.show(name)).toMatchObject({ revision: added.revision, image: added.image });
      const ran = await cli('run', '--code', name, 'busybox', 'cat', 'main');
      expect(ran).toMatchObject({ status: 0, stdout: `content ${made}\n` });

      expect((await verifyStore(layout)).damage).toEqual([]);
      await code.remove([name]);
      await collect(`after a kill before call ${call}`);
      expect(stored(), `killed before call ${call}`).toEqual(before);
      await expectNoLeaksSince(host, { roots, allow: [STORED, /^file \S+\/packages\//] });
    }
    console.log(`${calls} calls, tried ${chosen.length}, killed at ${died}`);
    expect(died).toBeGreaterThan(chosen.length / 2);
  });
});

const toArguments = ({ stack, build }: { stack?: string; build?: string }) => [
  ...(stack === undefined ? [] : ['--stack', stack]),
  ...(build === undefined ? [] : ['--build', build]),
];
