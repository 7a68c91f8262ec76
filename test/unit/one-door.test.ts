/** The command line and the library reach an installation through one door, which resolves its folders. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const src = join(import.meta.dirname, '../../src');
const files = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => ({ name, text: readFileSync(join(src, name), 'utf8') }));
const textOf = (name: string) => files.find((file) => file.name === name)?.text ?? '';

const IMPORT =
  /(?:^import \{([^}]*)\} from|const \{([^}]*)\} = await import\()\s*'\.\.\/([^']+)'/gm;

/** Functions and values, not types, that a command line file imports from other folders. */
function importsOf(text: string): readonly { readonly name: string; readonly from: string }[] {
  return [...text.matchAll(IMPORT)].flatMap(([, plain = '', late = '', from = '']) =>
    `${plain}${late}`
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== '' && !name.startsWith('type '))
      .map((name) => ({ name, from })),
  );
}

/** Whether an exported function takes an installation. */
function takesInstallation({ name, from }: { readonly name: string; readonly from: string }) {
  const definition = new RegExp(
    `export (?:async )?(?:function ${name}|const ${name} =)(?:(?! =>|\\n})[\\s\\S])*`,
  ).exec(textOf(from))?.[0];
  return /\b(?:Layout|Installation|LayoutOptions)\b/.test(definition?.split(/\): |=>/)[0] ?? '');
}

it('the command line calls only the door with an installation', () => {
  const commands = files.filter(({ name }) => name.startsWith('cli/'));
  const beside = commands.flatMap(({ name, text }) =>
    importsOf(text)
      .filter(({ from }) => !from.startsWith('door/'))
      .filter(takesInstallation)
      .map((taken) => `${name}: ${taken.name}`),
  );
  expect(beside).toEqual([]);
  const users = commands.filter(({ text }) => text.includes('openDoor('));
  expect(users.length).toBeGreaterThan(10);
});

it('the check finds such calls: each function of the door takes one', () => {
  const imports = importsOf(textOf('door/open-stacks.ts')).filter(takesInstallation);
  expect(imports.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['listStacks', 'buildStack', 'importStack', 'applyRelease']),
  );
});

it('the folders of an installation are named and resolved in one place', () => {
  const callers = (call: string) =>
    files.filter(({ text }) => text.includes(call)).map(({ name }) => name);
  expect(callers('layoutFrom(').filter((name) => name !== 'core/layout.ts')).toEqual([
    'door/exec-command.ts',
    'door/open-stackshim.ts',
  ]);
  // The guard and the copying process are programs that get the folders from the process that starts them.
  expect(callers('openInstallation(').filter((name) => name !== 'task/installation.ts')).toEqual([
    'door/exec-command.ts',
    'door/open-stackshim.ts',
    'task/abandoned/serve-guard.ts',
    'task/copying/serve-copy.ts',
  ]);
});
