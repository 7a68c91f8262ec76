/** Every export of the library is documented, at its definition and in docs/library.md. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const index = new URL('../../src/index.ts', import.meta.url);
const library = readFileSync(new URL('../../docs/library.md', import.meta.url), 'utf8');

interface PublicExport {
  readonly name: string;
  readonly source: URL;
}

/** `src/index.ts` contains only `export { … } from '…'`. */
function readExports(): readonly PublicExport[] {
  const text = readFileSync(index, 'utf8');
  const statements = [...text.matchAll(/^export (?:type )?\{([^}]*)\} from '([^']+)';$/gm)];
  return statements.flatMap(([, names = '', path = '']) =>
    names
      .split(',')
      .map((name) => name.trim().replace(/^type /, ''))
      .filter((name) => name !== '')
      .map((name) => ({ name, source: new URL(path, index) })),
  );
}

/** The doc comment above the definition, without its stars. */
function readDocComment({ name, source }: PublicExport): string | undefined {
  const text = readFileSync(source, 'utf8');
  const definition = new RegExp(
    `\\/\\*\\*((?:(?!\\*\\/)[\\s\\S])*)\\*\\/\\nexport (?:async )?(?:interface|type|class|function|const) ${name}\\b`,
  );
  return definition
    .exec(text)?.[1]
    ?.replace(/^\s*\*?/gm, '')
    .trim();
}

const exported = readExports();

test('src/index.ts contains only named exports of other files', async () => {
  const text = readFileSync(index, 'utf8');
  expect(text.match(/^export /gm)).toHaveLength(
    new Set(exported.map(({ source }) => source.href)).size,
  );
  const values = exported.filter(({ name }) => /^[a-z]|Error$/.test(name)).map(({ name }) => name);
  expect(Object.keys(await import('../../src/index.ts')).sort()).toEqual(values.sort());
});

test.each(exported)('$name has a doc comment', (one) => {
  expect(readDocComment(one)).toMatch(/\S{3}/);
});

test('every exported function and type has a row in docs/library.md, and no other row exists', () => {
  const tables = library.slice(library.indexOf('## Every export'));
  const rows = [...tables.matchAll(/^\| (`[^|]*) \|/gm)];
  const named = rows.flatMap(([, cell = '']) =>
    [...cell.matchAll(/`(\w+)/g)].map(([, name]) => name),
  );
  expect(named.sort()).toEqual(exported.map(({ name }) => name).sort());
});
