/**
 * Any tree: tar -> cleaner -> mkfs.erofs -> kernel gives back the same tree, and fsck.erofs finds no fault. For any tar, what the
 * cleaner accepts gives a valid image.
 */
import { rmSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, expect, it } from 'vitest';
import { layerFile } from '../../src/core/layout.ts';
import { openLayerLab } from '../support/images/layer-lab.ts';
import type { TreeNode } from '../support/images/read-tree.ts';
import { buildExtension, buildTar, type RawEntry } from '../support/images/tar-builder.ts';
import { isFullRun } from '../support/timing/full-run.ts';
import { createRandom, type Random } from './support/fuzz-random.ts';
import { configureProperties } from './support/fuzz-settings.ts';
import { repairTar } from './support/repair-tar.ts';

configureProperties();
const lab = openLayerLab();
afterAll(() => lab.dispose());

interface Operation {
  readonly kind: 'file' | 'directory' | 'symlink' | 'hardlink' | 'fifo' | 'whiteout' | 'opaque';
  /** Bytes as Latin-1. */
  readonly path: string;
  readonly other: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: string;
  readonly content: Buffer;
  readonly xattrs: readonly (readonly [string, Buffer])[];
  /** How names are written that do not fit into a header. */
  readonly style: 'pax' | 'gnu';
}

const name = fc.constantFrom(
  'a',
  'b',
  'c d',
  '\xc3\xbc',
  '\xff\xfe',
  'line\nbreak',
  '-rf',
  'n'.repeat(101),
  'm'.repeat(255),
);
const shallow = fc.array(name, { minLength: 1, maxLength: 4 });
/** Few names, so that paths collide; some are deep, with names short enough for PATH_MAX. */
const deep = fc
  .tuple(fc.constantFrom('a', 'b'), fc.integer({ min: 5, max: 60 }))
  .map(([part, depth]) => Array<string>(depth).fill(part));
const path = fc
  .oneof({ weight: 9, arbitrary: shallow }, { weight: 1, arbitrary: deep })
  .map((parts) => parts.join('/'));
const bytes = (maxLength: number) =>
  fc.uint8Array({ maxLength }).map((value) => Buffer.from(value));
const content = fc.oneof(
  bytes(64),
  fc
    .tuple(bytes(8), fc.integer({ min: 1, max: 20_000 }))
    .map(([piece, times]) =>
      Buffer.alloc(piece.length * times, piece.length === 0 ? undefined : piece),
    ),
);
const xattrs = fc.uniqueArray(
  fc.tuple(fc.constantFrom('user.a', 'user.a.b', 'trusted.t', 'user.\xc3\xbc'), bytes(300)),
  { maxLength: 3, selector: ([key]) => key },
);
const capability = fc.constantFrom(
  [],
  [
    [
      'security.capability',
      Buffer.from('0100000200040000000000000000000000000000', 'hex'),
    ] as const,
  ],
);
const operation: fc.Arbitrary<Operation> = fc.record({
  kind: fc.constantFrom(
    ...(['file', 'file', 'directory', 'directory', 'symlink', 'hardlink', 'fifo'] as const),
    ...(['whiteout', 'opaque'] as const),
  ),
  path,
  other: path,
  mode: fc.integer({ min: 0, max: 0o7777 }),
  uid: fc.constantFrom(0, 1000, 40_000, 65_534, 65_535),
  gid: fc.constantFrom(0, 5, 65_535),
  mtime: fc.constantFrom(
    '0',
    '1',
    '1700000000',
    '1700000000.000000001',
    '1700000000.5',
    '9000000000',
  ),
  content,
  xattrs: fc.tuple(xattrs, capability).map(([some, more]) => [...some, ...more]),
  style: fc.constantFrom('pax', 'gnu'),
});

type Model = Map<string, { -readonly [Key in keyof Node]: Node[Key] }>;

interface Node {
  readonly kind: TreeNode['kind'];
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: string;
  readonly content: string;
  readonly linkTarget: string;
  readonly xattrs: Readonly<Record<string, string>>;
  readonly opaque: boolean;
  /** All names of the same file. */
  readonly names: readonly string[];
}

const parentsOf = (of: string) => {
  const parts = of.split('/');
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join('/'));
};

const implied: Node = {
  ...{ kind: 'directory', mode: 0o755, uid: 0, gid: 0, mtime: '0.0' },
  ...{ content: '', linkTarget: '', xattrs: {}, opaque: false, names: [] },
};

/** The valid operations as a tar, and the tree that they must give. */
function toTarAndModel(operations: readonly Operation[]): { tar: Buffer; model: Model } {
  const model: Model = new Map([['.', { ...implied }]]);
  const entries: (RawEntry | Buffer)[] = [];
  const deletions = new Map<string, 'whiteout' | 'opaque'>();
  const hasPlace = (at: string) =>
    parentsOf(at).every((parent) => (model.get(parent)?.kind ?? 'directory') === 'directory');
  const addParents = (at: string) => {
    for (const parent of parentsOf(at)) if (!model.has(parent)) model.set(parent, { ...implied });
  };
  for (const op of operations) {
    if (op.kind === 'whiteout' || op.kind === 'opaque') {
      if (deletions.get(op.path) !== 'opaque') deletions.set(op.path, op.kind);
      continue;
    }
    const taken = model.get(op.path);
    if (!hasPlace(op.path)) continue;
    if (taken !== undefined && !(taken.kind === 'directory' && op.kind === 'directory')) continue;
    // Refused: attributes of a folder that already has some.
    const hasXattrs = (xattrs: object) => Object.keys(xattrs).length > 0;
    if (hasXattrs(taken?.xattrs ?? {}) && op.xattrs.length > 0) continue;
    if (op.kind === 'hardlink') {
      const target = model.get(op.other);
      // GNU tar, which reads the result, does not show which pipes are the same.
      if (target?.kind !== 'file' && target?.kind !== 'symlink') continue;
      addParents(op.path);
      target.names = [...target.names, op.path];
      model.set(op.path, target);
    } else {
      addParents(op.path);
      const node = toNode(op);
      // A folder that occurs again keeps its attributes, as when a tar is unpacked.
      model.set(op.path, { ...node, xattrs: { ...taken?.xattrs, ...node.xattrs } });
    }
    entries.push(...toRawEntries(op));
  }
  // Deletions below one another or below a non-folder have no meaning: they are refused, and not generated.
  const made = [...deletions].filter(
    ([at]) => hasPlace(at) && !parentsOf(at).some((parent) => deletions.has(parent)),
  );
  for (const [at, deletion] of made) {
    const there = model.get(at);
    if (there !== undefined && there.kind !== 'directory' && deletion === 'opaque') continue;
    entries.unshift(toDeletion(at, deletion));
    if (there !== undefined && there.kind !== 'directory') continue;
    addParents(at);
    if (there !== undefined) there.opaque = true;
    else if (deletion === 'opaque') model.set(at, { ...implied, opaque: true });
    else model.set(at, { ...implied, kind: 'device', mode: 0, names: [at] });
  }
  return { tar: buildTar(...entries), model };
}

function toNode(op: Operation): Node {
  const [seconds, fraction = ''] = op.mtime.split('.');
  const hasXattrs = op.kind === 'file' || op.kind === 'directory';
  return {
    kind: op.kind as Node['kind'],
    mode: op.mode,
    uid: op.uid,
    gid: op.gid,
    mtime: `${seconds}.${Number(fraction.padEnd(9, '0'))}`,
    content: op.kind === 'file' ? op.content.toString('latin1') : '',
    linkTarget: op.kind === 'symlink' ? op.other : '',
    xattrs: Object.fromEntries(hasXattrs ? op.xattrs.map(([k, v]) => [k, v.toString('hex')]) : []),
    opaque: false,
    names: op.kind === 'directory' ? [] : [op.path],
  };
}

const TYPES = { file: '0', hardlink: '1', symlink: '2', directory: '5', fifo: '6' } as const;

const latin1 = (text: string) => Buffer.from(text, 'latin1');

/** GNU's format has no attributes, only whole seconds, and ids of seven octal digits. */
function toRawEntries(op: Operation): readonly (RawEntry | Buffer)[] {
  const { kind, mode, uid, gid, mtime } = op;
  if (kind === 'whiteout' || kind === 'opaque') throw new Error('a deletion is no entry');
  const isLink = kind === 'symlink' || kind === 'hardlink';
  const isPlain = op.xattrs.length === 0 && !mtime.includes('.') && Math.max(uid, gid) < 2_000_000;
  if (op.style === 'pax' || !isPlain) return [toPaxEntry(op)];
  const longName = (type: 'L' | 'K', text: string) =>
    buildExtension(type, Buffer.concat([latin1(text), Buffer.alloc(1)]));
  return [
    longName('L', op.path),
    ...(isLink ? [longName('K', op.other)] : []),
    {
      path: latin1(op.path.slice(0, 100)),
      type: TYPES[kind],
      mode,
      uid,
      gid,
      mtime: Number(mtime),
      magic: 'ustar  \0',
      content: kind === 'file' ? op.content : '',
      link: isLink ? latin1(op.other.slice(0, 100)) : '',
    },
  ];
}

function toPaxEntry(op: Operation): RawEntry {
  const { kind, mode } = op;
  if (kind === 'whiteout' || kind === 'opaque') throw new Error('a deletion is no entry');
  const isLink = kind === 'symlink' || kind === 'hardlink';
  return {
    path: 'see PAX',
    type: TYPES[kind],
    mode,
    content: kind === 'file' ? op.content : '',
    pax: [
      ['path', latin1(op.path)],
      ['uid', String(op.uid)],
      ['gid', String(op.gid)],
      ['mtime', op.mtime],
      ...(isLink ? ([['linkpath', latin1(op.other)]] as const) : []),
      ...(kind === 'file' || kind === 'directory'
        ? op.xattrs.map(([k, v]) => [`SCHILY.xattr.${latin1(k).toString()}`, v] as const)
        : []),
    ],
  };
}

function toDeletion(at: string, kind: 'whiteout' | 'opaque'): RawEntry {
  const slash = at.lastIndexOf('/') + 1;
  const marker =
    kind === 'opaque' ? `${at}/.wh..wh..opq` : `${at.slice(0, slash)}.wh.${at.slice(slash)}`;
  return { path: 'see PAX', pax: [['path', Buffer.from(marker, 'latin1')]] };
}

function toComparable(model: Model): Record<string, Node> {
  const sorted = [...model].sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(
    sorted.map(([at, node]) => [at, { ...node, names: [...node.names].sort() }]),
  );
}

function toModel(tree: ReadonlyMap<string, TreeNode>): Model {
  const model: Model = new Map();
  for (const [at, node] of tree) {
    if (node.kind === 'hardlink') {
      const first = model.get(node.linkTarget.replace(/^\.\//, ''));
      if (first === undefined) throw new Error(`${at} links to nothing`);
      first.names = [...first.names, at];
      model.set(at, first);
      continue;
    }
    const xattrs = [...node.xattrs].filter(([key]) => !key.startsWith('trusted.overlay.'));
    model.set(at, {
      kind: node.kind,
      mode: node.mode,
      uid: node.uid,
      gid: node.gid,
      mtime: `${node.mtime.seconds}.${node.mtime.nanoseconds}`,
      content: node.content,
      linkTarget: node.linkTarget,
      xattrs: Object.fromEntries(xattrs.map(([k, v]) => [k, v.toString('hex')])),
      opaque: node.xattrs.get('trusted.overlay.opaque')?.toString() === 'y',
      names: node.kind === 'directory' ? [] : [at],
    });
  }
  return model;
}

const HOUR = 3_600_000;

it(
  'an image contains the tree of its tar',
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { maxLength: 25 }), async (operations) => {
        const { tar, model } = toTarAndModel(operations);
        const layer = await lab.import(tar);
        expect(toComparable(toModel(lab.read(layer)))).toEqual(toComparable(model));
        rmSync(layerFile(lab.layout, layer.record.id));
      }),
      { numRuns: isFullRun ? 3000 : 200 },
    );
    expect(lab.leftovers()).toEqual([]);
  },
  HOUR,
);

it(
  'an image made from any accepted tar is valid',
  async () => {
    let taken = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(operation, { minLength: 2, maxLength: 12 }),
        fc.nat(),
        async (operations, seed) => {
          const tar = toAnyTar(operations, createRandom(seed));
          const layer = await lab.import(tar).catch((error: unknown) => {
            expect(error).toMatchObject({ code: 'ERR_STACKSHIM_LAYER_INVALID' });
          });
          if (layer === undefined) return;
          taken += 1;
          lab.read(layer);
        },
      ),
      { numRuns: isFullRun ? 3000 : 200 },
    );
    expect(taken).toBeGreaterThan(0);
    expect(lab.leftovers()).toEqual([]);
  },
  HOUR,
);

/** All operations, including invalid ones, and a few changed bytes, usually with correct checksums. */
function toAnyTar(operations: readonly Operation[], random: Random): Buffer {
  const entries = operations.flatMap((op) => {
    if (op.kind === 'whiteout' || op.kind === 'opaque') return [toDeletion(op.path, op.kind)];
    return toRawEntries(op);
  });
  const tar = buildTar(...entries);
  if (random.chance(0.5)) return tar;
  const changed = Buffer.from(tar);
  for (let count = 1 + random.below(3); count > 0; count--) {
    changed[random.below(changed.length)] = random.below(256);
  }
  return repairTar(changed, random);
}
