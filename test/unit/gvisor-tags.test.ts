/** The tags of tests that fail on gVisor: each is used, and docs/security.md lists it. */
import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { GVISOR_TAGS } from '../gvisor/support/gvisor-tags.ts';

const suites = new URL('../e2e/', import.meta.url);
const texts = readdirSync(suites)
  .filter((name) => name.endsWith('.test.ts'))
  .map((name) => readFileSync(new URL(name, suites), 'utf8'));
const security = readFileSync(new URL('../../docs/security.md', import.meta.url), 'utf8');

test.each(GVISOR_TAGS)('$name', ({ name, description }) => {
  expect(texts.some((text) => text.includes(`tags: ['${name}']`))).toBe(true);
  expect(security).toContain(`| \`${name}\` | ${description} |`);
});
