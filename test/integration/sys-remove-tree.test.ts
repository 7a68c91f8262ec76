/** Removal of what hostile programs have created, and of nothing else. Requires: root. */
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { removeTree } from '../../src/sys/remove-tree.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(`${tmpdir()}/stackshim-tree-`);
  mkdirSync(`${folder}/tree`);
  writeFileSync(`${folder}/kept`, 'kept');
});
afterEach(() => void execFileSync('rm', ['-rf', folder]));

const tree = () => `${folder}/tree`;

describe('removeTree', () => {
  it('removes nested folders beyond the longest path that the kernel accepts', async () => {
    const script = 'for (1 .. 2000) { mkdir "deep" and chdir "deep" or die }';
    execFileSync('perl', ['-e', script], { cwd: tree() });
    await removeTree(tree());
    expect(existsSync(tree())).toBe(false);
  });

  it('removes a few folders whose names together are too long', async () => {
    const script = 'for (1 .. 30) { my $long = "n" x 255; mkdir $long and chdir $long or die }';
    execFileSync('perl', ['-e', script], { cwd: tree() });
    await removeTree(tree());
    expect(existsSync(tree())).toBe(false);
  });

  it.each([10, 200])('removes %i links, but not their targets', async (count) => {
    for (let index = 0; index < count; index += 1)
      symlinkSync(`${folder}/kept`, `${tree()}/${index}`);
    symlinkSync(folder, `${tree()}/-rf`);
    await removeTree(tree());
    expect(existsSync(tree())).toBe(false);
    expect(readFileSync(`${folder}/kept`, 'utf8')).toBe('kept');
  });

  it.each([
    ['few', 30],
    ['many', 200],
  ])('distinguishes names that are not valid UTF-8, with %s', async (_, count) => {
    mkdirSync(`${folder}/beside`);
    writeFileSync(`${folder}/beside/kept`, 'kept');
    // Decoded as text, every folder has the link's name.
    symlinkSync(`${folder}/beside`, `${tree()}/\ufffd`);
    for (let index = 0; index < count; index += 1) {
      const name = [0x80 + (index % 64), ...(index < 64 ? [] : [0x80 + (index >> 6)])];
      const path = Buffer.concat([Buffer.from(`${tree()}/`), Buffer.from(name)]);
      mkdirSync(path);
      writeFileSync(Buffer.concat([path, Buffer.from([0x2f, 0xe2, 0x82])]), '');
    }
    await removeTree(tree());
    expect(existsSync(tree())).toBe(false);
    expect(readFileSync(`${folder}/beside/kept`, 'utf8')).toBe('kept');
  });

  it('does not enter a mount', async () => {
    mkdirSync(`${tree()}/mount`);
    mkdirSync(`${folder}/beside`);
    writeFileSync(`${folder}/beside/kept`, 'kept');
    execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', `${tree()}/mount`]);
    try {
      writeFileSync(`${tree()}/mount/kept`, 'kept');
      await expect(removeTree(tree())).rejects.toThrow(`${tree()}/mount`);
      expect(readFileSync(`${tree()}/mount/kept`, 'utf8')).toBe('kept');
    } finally {
      execFileSync('umount', [`${tree()}/mount`]);
    }
    await removeTree(tree());
    expect(existsSync(tree())).toBe(false);
  });

  it('removes a link in place of the tree, but not its target', async () => {
    symlinkSync(tree(), `${folder}/link`);
    writeFileSync(`${tree()}/kept`, 'kept');
    await removeTree(`${folder}/link`);
    expect(existsSync(`${folder}/link`)).toBe(false);
    expect(readFileSync(`${tree()}/kept`, 'utf8')).toBe('kept');
  });

  it('does nothing if the tree does not exist', async () => {
    await removeTree(tree());
    await expect(removeTree(tree())).resolves.toBeUndefined();
  });

  it.each([10, 200])('reports which of %i entries cannot be removed', async (count) => {
    for (let index = 0; index < count; index += 1) writeFileSync(`${tree()}/${index}`, '');
    execFileSync('chattr', ['+i', `${tree()}/5`]);
    try {
      await expect(removeTree(tree())).rejects.toThrow(`${tree()}/5`);
    } finally {
      execFileSync('chattr', ['-i', `${tree()}/5`]);
    }
    await removeTree(tree());
    expect(existsSync(tree())).toBe(false);
  });
});
