/** Paths that another user could have changed are not trusted: the policy file, folders of an installation, programs that root runs. */
import {
  chmodSync,
  chownSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { requireTrustedPath } from '../../src/sys/trusted-path.ts';
import { readPolicy } from '../../src/task/installation.ts';
import { STRANGER_ID } from '../support/programs/stranger.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stackshim-trust-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('a policy file is refused', () => {
  test.each<[string, (file: string) => void]>([
    ['that another user owns', (file) => chownSync(file, STRANGER_ID, STRANGER_ID)],
    ['in a folder of another user', () => chownSync(folder, STRANGER_ID, STRANGER_ID)],
    ['in a folder that other users may write to', () => chmodSync(folder, 0o777)],
  ])('%s', async (_, spoil) => {
    const file = join(folder, 'policy.json');
    writeFileSync(file, '{}');
    expect(await readPolicy({ policyFile: file })).toEqual(expect.anything());
    spoil(file);
    await expect(readPolicy({ policyFile: file })).rejects.toThrow(
      expect.objectContaining({ code: 'ERR_STACKSHIM_POLICY_INVALID', details: { file } }),
    );
  });
});

describe('a trusted path', () => {
  const untrusted = (path: string, fault: string) =>
    expect.objectContaining({ code: 'ERR_STACKSHIM_PATH_UNTRUSTED', details: { path, fault } });
  const check = (path: string) => requireTrustedPath(path, 'use root folder');

  test('is returned without links', () => {
    mkdirSync(join(folder, 'real'));
    writeFileSync(join(folder, 'real/file'), '');
    symlinkSync('real', join(folder, 'relative'));
    symlinkSync(join(folder, 'relative/../real/file'), join(folder, 'absolute'));
    expect(check(join(folder, 'relative/file'))).toBe(join(folder, 'real/file'));
    expect(check(join(folder, 'absolute'))).toBe(join(folder, 'real/file'));
    expect(check(`${folder}/./real/`)).toBe(join(folder, 'real'));
    expect(check(join(folder, 'missing/below'))).toBe(join(folder, 'missing/below'));
  });

  test.each<[string, number, string, string]>([
    ['a folder in the path', 0o777, 'a/b', 'a'],
    ['the end', 0o777, 'a', 'a'],
    ['the end, though sticky', 0o1777, 'a', 'a'],
    ['the end, for a group', 0o770, 'a/b', 'a'],
    ['a sticky folder in which the rest is missing', 0o1777, 'a/missing', 'a'],
  ])('has no part that other users may write: %s', (_, mode, path, fault) => {
    mkdirSync(join(folder, 'a/b'), { recursive: true });
    chmodSync(join(folder, 'a'), mode);
    expect(() => check(join(folder, path))).toThrow(
      untrusted(join(folder, path), join(folder, fault)),
    );
  });

  test('can lie in a sticky folder of root', () => {
    mkdirSync(join(folder, 'a/b'), { recursive: true });
    chmodSync(join(folder, 'a'), 0o1777);
    expect(check(join(folder, 'a/b'))).toBe(join(folder, 'a/b'));
  });

  test.each<[string, string]>([
    ['a folder in the path', 'a'],
    ['the end', 'a/b'],
    ['a link in the path', 'link'],
  ])('has no part that another user owns: %s', (_, theirs) => {
    mkdirSync(join(folder, 'a/b'), { recursive: true });
    symlinkSync('a', join(folder, 'link'));
    lchownSync(join(folder, theirs), STRANGER_ID, STRANGER_ID);
    const path = join(folder, 'link/b');
    expect(() => check(path)).toThrow(untrusted(path, join(folder, theirs)));
  });

  test('has no circle of links', () => {
    symlinkSync('two', join(folder, 'one'));
    symlinkSync('one', join(folder, 'two'));
    expect(() => check(join(folder, 'one'))).toThrow(
      expect.objectContaining({ code: 'ERR_STACKSHIM_PATH_UNTRUSTED' }),
    );
  });

  test('leads only through folders', () => {
    writeFileSync(join(folder, 'file'), '');
    expect(() => check(join(folder, 'file/below'))).toThrow(
      untrusted(join(folder, 'file/below'), join(folder, 'file')),
    );
  });
});
