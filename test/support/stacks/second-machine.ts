/** The installation of a second machine that trusts a signing key: it loads what the first machine saves. */
import { generateKeyPairSync, type KeyPairKeyObjectResult } from 'node:crypto';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { type Layout, trustedKeysDir } from '../../../src/core/layout.ts';
import { runTask } from '../../../src/door/open-stackshim.ts';
import {
  type LoadedStacks,
  type LoadStacksOptions,
  loadStacks,
} from '../../../src/exchange/saves/load-stacks.ts';
import { type SaveStacksOptions, saveStacks } from '../../../src/exchange/saves/save-stacks.ts';
import { linuxSystem } from '../../../src/sys/linux-system.ts';
import { linkPatchedRunc } from '../installation/patched-runc.ts';
import { envOf, layoutBelow, optionsOf } from '../installation/test-layout.ts';

export interface SecondMachine {
  readonly layout: Layout;
  /** The private key, which only root can read. */
  readonly keyFile: string;
  readonly env: Readonly<Record<string, string>>;
  /** Saves stacks of the first machine. */
  save(stacks: readonly string[], more?: Partial<SaveStacksOptions>): Promise<Buffer>;
  load(file: Uint8Array, more?: Partial<LoadStacksOptions>): Promise<LoadedStacks>;
}

/** @param folder A folder of the test. The caller disposes the layout. */
export function makeSecondMachine(
  folder: string,
  first: Layout,
  keys: KeyPairKeyObjectResult = generateKeyPairSync('ed25519'),
): SecondMachine {
  const layout: Layout = { ...layoutBelow(folder), slots: first.slots };
  const { privateKey, publicKey } = keys;
  const keyFile = `${folder}/key.pem`;
  for (const path of [layout.run, trustedKeysDir(layout)]) mkdirSync(path, { recursive: true });
  chmodSync(folder, 0o711);
  linkPatchedRunc(layout);
  writeFileSync(layout.policyFile, '{}', { mode: 0o600 });
  writeFileSync(keyFile, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  writeFileSync(
    `${trustedKeysDir(layout)}/operator.pem`,
    publicKey.export({ type: 'spki', format: 'pem' }),
  );
  return {
    layout,
    keyFile,
    env: envOf(layout),
    async save(stacks, more = {}) {
      const parts: Buffer[] = [];
      await saveStacks(first, {
        system: linuxSystem,
        stacks,
        keyFile,
        write: async (chunks) => {
          for await (const chunk of chunks) parts.push(chunk);
        },
        ...more,
      });
      return Buffer.concat(parts);
    },
    load: (file, more = {}) =>
      loadStacks(layout, {
        system: linuxSystem,
        runSmoke: ({ stack, revision }, command, { timeoutMs }) =>
          runTask(
            { stack: `${stack}@rev:${revision}`, command, timeout: timeoutMs },
            optionsOf(layout),
          ),
        input: Readable.from([file]),
        name: 'saved.tar',
        ...more,
      }),
  };
}

/** A saved file with one layer that is repeated. */
export function repeatLayer(file: Buffer, times: number): Buffer {
  const end = file.length - 1024;
  const entry = file.subarray(file.lastIndexOf('layers/'), end);
  return Buffer.concat([
    file.subarray(0, end),
    ...Array.from({ length: times }, () => entry),
    file.subarray(end),
  ]);
}
