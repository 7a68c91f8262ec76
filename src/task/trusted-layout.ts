/** The folders of an installation belong to root alone: root trusts what it finds there, and runs some of it. */
import type { Layout } from '../core/layout.ts';
import { requireTrustedPath } from '../sys/trusted-path.ts';

/**
 * The layout with the links in its folders' own paths resolved once: below them, none is followed. Throws
 * ERR_STACKSHIM_PATH_UNTRUSTED when another user controls a folder or a directory above one.
 */
export function toTrustedLayout(layout: Layout): Layout {
  return {
    ...layout,
    root: requireTrustedPath(layout.root, 'use root folder'),
    run: requireTrustedPath(layout.run, 'use run folder'),
  };
}
