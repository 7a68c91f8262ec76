/** The content of an archive so far, as a tree: the paths, the kinds of their entries, and the cost of looking them up. */
import { parentOf } from './entry-path.ts';
import type { ByteString, EntryKind } from './tar-entry.ts';

/** `dropped`: the entry was left out. */
export type NodeKind = EntryKind | 'dropped';

interface Node {
  kind: NodeKind;
  readonly parent: Node | undefined;
  children: number;
  /** The child folder that was looked up last: `mkfs.erofs` finds it at once. */
  latest: Node | undefined;
}

export interface EntryTree {
  /** Entries that `mkfs.erofs` has passed in all look-ups so far. */
  lookupSteps(): number;
  kindAt(path: ByteString): NodeKind | undefined;
  /** The nearest ancestor of `path` that is not a folder. */
  blockerOf(path: ByteString): ByteString | undefined;
  /** Missing ancestors of `path`, outermost first. */
  missingParents(path: ByteString): readonly ByteString[];
  /** Enters `path`, whose ancestors all exist. An existing path changes its kind. */
  add(path: ByteString, kind: NodeKind): void;
  /** Remembers that the folder `path` was given extended attributes. */
  markAttributed(path: ByteString): void;
  isAttributed(path: ByteString): boolean;
  /** Counts a look-up of `path`, whose ancestors all exist. */
  lookUp(path: ByteString): void;
}

export function createEntryTree(): EntryTree {
  const root: Node = { kind: 'directory', parent: undefined, children: 0, latest: undefined };
  const nodes = new Map<ByteString, Node>([['', root]]);
  const attributed = new Set<ByteString>();
  let steps = 0;
  const countSteps = (folder: Node): void => {
    steps += folder.children;
    for (let at = folder; at.parent !== undefined; at = at.parent) {
      if (at.parent.latest === at) continue;
      steps += at.parent.children;
      at.parent.latest = at;
    }
  };
  return {
    lookupSteps: () => steps,
    kindAt: (path) => nodes.get(path)?.kind,
    blockerOf: (path) => {
      for (let at = path; at !== ''; ) {
        at = parentOf(at);
        const kind = nodes.get(at)?.kind;
        if (kind === 'directory') return undefined;
        if (kind !== undefined) return at;
      }
      return undefined;
    },
    missingParents: (path) => {
      const missing: ByteString[] = [];
      for (let at = parentOf(path); !nodes.has(at); at = parentOf(at)) missing.unshift(at);
      return missing;
    },
    add: (path, kind) => {
      const node = nodes.get(path);
      if (node !== undefined) {
        node.kind = kind;
        return;
      }
      const parent = folderOf(nodes, path);
      countSteps(parent);
      parent.children += 1;
      nodes.set(path, { kind, parent, children: 0, latest: undefined });
    },
    markAttributed: (path) => attributed.add(path),
    isAttributed: (path) => attributed.has(path),
    lookUp: (path) => countSteps(folderOf(nodes, path)),
  };
}

function folderOf(nodes: ReadonlyMap<ByteString, Node>, path: ByteString): Node {
  const folder = nodes.get(parentOf(path));
  if (folder === undefined) throw new Error('a path was entered before its folder');
  return folder;
}
