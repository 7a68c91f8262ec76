/** The TypeScript examples of the documents, as files for the compiler. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const projectRoot = join(import.meta.dirname, '../../..');
const tsc = join(projectRoot, 'node_modules/typescript/bin/tsc');

/** Documents with examples. */
export const EXAMPLE_DOCUMENTS = ['README.md', 'docs/library.md', 'docs/worker.md'] as const;

export interface DocExample {
  /** `docs/library.md:12`, the place of the example. */
  readonly place: string;
  readonly code: string;
  /** The `text` block directly after it: what it prints. */
  readonly prints: string | undefined;
}

function readDocument(path: string): string {
  return readFileSync(join(projectRoot, path), 'utf8');
}

/** Returns every `ts` block of a document. */
export function readExamples(document: string): readonly DocExample[] {
  const markdown = readDocument(document);
  const blocks = markdown.matchAll(/```ts\n([\s\S]*?)```\n(?:```text\n([\s\S]*?)```\n)?/g);
  return [...blocks].map(({ index, 1: code = '', 2: prints }) => {
    const line = markdown.slice(0, index).split('\n').length;
    return { place: `${document}:${line}`, code, prints };
  });
}

export interface WrittenExamples {
  readonly folder: string;
  /** Runs the compiler with the project's settings and these. Returns its messages; empty if there are none. */
  compile(compilerOptions: Readonly<Record<string, unknown>>): string;
  dispose(): void;
}

/** Writes each example as `<index>.ts` within the package, so that `stackshim` resolves to this package, in a folder that other tools ignore. */
export function writeExamples(examples: readonly DocExample[]): WrittenExamples {
  const dist = join(projectRoot, 'dist');
  mkdirSync(dist, { recursive: true });
  const folder = mkdtempSync(join(dist, '.examples-'));
  for (const [index, { code }] of examples.entries()) {
    writeFileSync(join(folder, `${index}.ts`), code);
  }
  return {
    folder,
    compile(compilerOptions) {
      const config = { extends: '../../tsconfig.json', compilerOptions, include: ['*.ts'] };
      writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config));
      const { stdout, stderr } = spawnSync(process.execPath, [tsc, '-p', folder], {
        encoding: 'utf8',
      });
      return `${stdout}${stderr}`;
    },
    dispose: () => rmSync(folder, { recursive: true }),
  };
}
