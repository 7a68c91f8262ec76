/** A root folder for each test, removed afterwards. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterEach, beforeEach } from 'vitest';
import type { Layout } from '../../../src/core/layout.ts';
import { layoutAt } from '../../support/stacks/stack-store.ts';

/** Registers the hooks; `layout` changes with each test. */
export function useStackStore(): { readonly layout: Layout } {
  const store = { layout: layoutAt('') };
  beforeEach(() => {
    store.layout = layoutAt(mkdtempSync(`${tmpdir()}/stackshim-stacks-`));
  });
  afterEach(() => {
    rmSync(store.layout.root, { recursive: true, force: true });
  });
  return store;
}
