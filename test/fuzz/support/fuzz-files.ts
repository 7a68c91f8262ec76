/** A folder for inputs that parsers read from disk; in memory if the host has a memory filesystem. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname } from 'node:path';
import { afterAll } from 'vitest';

export interface FuzzFiles {
  readonly folder: string;
  /** Writes a file below the folder and returns its path. */
  write(name: string, content: string | Uint8Array): string;
}

/** Registers the hook that removes it. */
export function useFuzzFiles(): FuzzFiles {
  const parent = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
  const folder = mkdtempSync(`${parent}/stackshim-fuzz-`);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const known = new Set<string>();
  return {
    folder,
    write(name, content) {
      const path = `${folder}/${name}`;
      const parentFolder = dirname(path);
      if (!known.has(parentFolder)) mkdirSync(parentFolder, { recursive: true });
      known.add(parentFolder);
      writeFileSync(path, content);
      return path;
    },
  };
}
