/** The modules that a file loads by static imports: read from the sources, so nothing runs. */
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = new URL('../../', import.meta.url);
const source = new URL('src/', root);
const STATIC_IMPORT = /^(?:(?:import|export) (?!type )[^;]*?from|import) '([^']+)'/gm;

const { imports } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as {
  readonly imports: Readonly<Record<string, Readonly<Record<string, string>>>>;
};

/** `bun` for the executable, `source` for the library on Node: which adapters are behind `#ffi` and its like. */
export type Engine = 'bun' | 'source';

/** Names below `src`, `cli/main.ts`, and those of packages. The file itself is among them. */
export function loadedBy(name: string, engine: Engine, seen = new Set<string>()): Set<string> {
  return walk(new URL(name, source), engine, seen);
}

function walk(file: URL, engine: Engine, seen: Set<string>): Set<string> {
  const name = relative(fileURLToPath(source), fileURLToPath(file));
  if (seen.has(name)) return seen;
  seen.add(name);
  for (const [, specifier = ''] of readFileSync(file, 'utf8').matchAll(STATIC_IMPORT)) {
    const adapter = imports[specifier]?.[engine];
    if (adapter !== undefined) walk(new URL(adapter, root), engine, seen);
    else if (specifier.startsWith('.')) walk(new URL(specifier, file), engine, seen);
    else seen.add(specifier);
  }
  return seen;
}

export const isModule = (name: string): boolean => name.endsWith('.ts');
