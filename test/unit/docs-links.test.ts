/** Everything that the documents refer to exists: files, headings, paths, npm scripts and error codes. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { errorCodes } from '../../src/core/error-codes.ts';

const root = join(import.meta.dirname, '../..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');

/** Every Markdown file of the project, without packages. */
const documents = ['.', 'docs', 'docs/decisions', 'bundles'].flatMap((folder) =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(folder, name)),
);

const NAMED_PATH = /`((?:src|test|docs|bundles|scripts|overlay|bench)\/[\w./-]*)`/g;
/** Paths that only exist after a program has run. */
const MADE = ['bench/results/latest.json'];

const withoutCode = (markdown: string) => markdown.replace(/```[\s\S]*?```/g, '');

/** The anchors of a document's headings, as code hosts generate them. */
function anchorsOf(markdown: string): readonly string[] {
  return [...withoutCode(markdown).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );
}

function findBrokenLinks(document: string): readonly string[] {
  const links = [...withoutCode(read(document)).matchAll(/\]\(([^)\s]+)\)/g)];
  return links
    .map(([, target = '']) => target)
    .filter((target) => !/^https?:/.test(target))
    .filter((target) => {
      const [path = '', anchor] = target.split('#');
      const file = path === '' ? document : join(dirname(document), path);
      if (!existsSync(join(root, file))) return true;
      return anchor !== undefined && !anchorsOf(read(file)).includes(anchor);
    });
}

describe.each(documents)('%s', (document) => {
  test('has no broken links', () => {
    expect(findBrokenLinks(document)).toEqual([]);
  });

  test('names only paths that exist', () => {
    const named = [...read(document).matchAll(NAMED_PATH)].map(([, path = '']) => path);
    const missing = named.filter((path) => !existsSync(join(root, path)) && !MADE.includes(path));
    expect(missing).toEqual([]);
  });

  test('names only npm scripts and error codes that exist', () => {
    const { scripts } = JSON.parse(read('package.json'));
    const called = [...read(document).matchAll(/npm run (?:--silent )?([\w:]+)/g)];
    expect(called.map(([, name = '']) => name).filter((name) => !(name in scripts))).toEqual([]);
    const codes = [...read(document).matchAll(/\bERR_STACKSHIM_[A-Z_]*[A-Z]\b/g)].map(String);
    expect(codes.filter((code) => !(code in errorCodes))).toEqual([]);
  });
});

/** The changelog and decisions have headings of a fixed form. */
const guides = documents.filter((document) => !/CHANGELOG|decisions/.test(document));

test.each(guides)('each section of %s begins with a sentence', (document) => {
  const text = read(document).replace(/```[\s\S]*?```/g, '```');
  const sections = text.split(/^(?=#{1,4} )/m);
  const bare = sections.filter((section) => /^#.*\n\s*(?:[|#<]|```|- |\d+\. )/.test(section));
  expect(bare.map((section) => section.split('\n')[0])).toEqual([]);
});

test('a broken link is found', () => {
  expect(anchorsOf('# A & B: `c`\n```\n# no heading\n```\n')).toEqual(['a--b-c']);
  expect(existsSync(join(root, 'docs/no-such-file.md'))).toBe(false);
});
