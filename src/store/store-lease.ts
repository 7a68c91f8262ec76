/**
 * Leases on the store: collection keeps the layers and images that an import or a build is about to use, although nothing refers to them yet.
 *
 * Code that stores layers or images, or that uses stored ones that may have lost their last reference, holds a lease from before its first look
 * until its revision is written. Imports and builds use `holdStoreFor` of the exchange, which also removes what failed work has stored:
 *
 *     await holdStoreFor(layout, system, async () => {
 *       const image = await importOciLayout(layout, …);   // pins what it finds and what it stores
 *       const revision = await addRevision(layout, system, …);
 *       … smoke, flip …
 *     });
 *
 * Pin first, then check that the name exists. Collection and pins exclude each other for milliseconds (`locks/store`), so a name found after its
 * pin stays while the lease is held. A lease is a locked file below `locks/leases/`; the lease of a dead process is void at once. Tasks take no
 * leases.
 */
import { appendFileSync, constants, openSync, readFileSync, unlinkSync } from 'node:fs';
import { StackshimError, unlessMissing } from '../core/errors.ts';
import type { ImageDigest, LayerId } from '../core/ids.ts';
import { type Layout, locksDir } from '../core/layout.ts';
import { namesIn, randomName } from '../sys/files.ts';
import { guardDisk } from '../sys/guard-disk.ts';
import { type FileLock, takeFileLock } from '../sys/lock.ts';
import { withFd } from '../sys/paths.ts';
import type { System } from '../sys/system.ts';
import { ensureDirectory } from '../sys/write-file.ts';
import { narrowStore } from './narrow-store.ts';
import { clearStaleTmp } from './stale-files.ts';
import { withLock } from './with-lock.ts';

/** What a lease can protect: a layer or an image's file. An image's layers are pinned one by one. */
export type Pinned = LayerId | ImageDigest;

export interface StoreLease {
  /** The names that the lease protects. */
  readonly pinned: ReadonlySet<Pinned>;
  /** Protects `name`, stored or not, until the lease is released; after the release does nothing. */
  pin(name: Pinned): Promise<void>;
  /** Releases the lease; a second call does nothing. */
  release(): void;
}

const WAIT_MS = 60_000;

/** Leases of this process, by root folder, for `pinInStore`. */
const heldHere = new Map<string, Set<StoreLease>>();

/**
 * Takes a lease. First removes files that dead processes left half written (`clearStaleTmp`) and restricts the store to root (`narrowStore`).
 * Throws ERR_STACKSHIM_DISK_FULL, ERR_STACKSHIM_SYSTEM, and ERR_STACKSHIM_STACK_BUSY if a collection takes more than a minute.
 */
export async function holdStore(layout: Layout, system: System): Promise<StoreLease> {
  const path = `${leasesDir(layout)}/${randomName()}`;
  await clearStaleTmp(layout);
  narrowStore(layout);
  await guardDisk(`make ${leasesDir(layout)}`, () => ensureDirectory(leasesDir(layout), 0o700));
  const file = await whileNotCollecting(layout, system, () => openLease(system, path));
  const held = heldHere.get(layout.root) ?? new Set();
  heldHere.set(layout.root, held);
  const pinned = new Set<Pinned>();
  const lease: StoreLease = {
    pinned,
    async pin(name) {
      pinned.add(name);
      await whileNotCollecting(layout, system, () => {
        // If the lease was released while this call waited, the descriptor may belong to another file by now.
        if (held.has(lease)) appendFileSync(file.fd, `${name}\n`);
      });
    },
    release() {
      if (!held.delete(lease)) return;
      try {
        unlinkSync(path);
      } catch {
        // An unlocked lease is void, and the next reader removes the file. Only the outcome of the work matters.
      }
      file.release();
    },
  };
  held.add(lease);
  return lease;
}

/** Runs `work` under a lease. Throws the errors of {@link holdStore} and of `work`. */
export async function withHeldStore<T>(
  layout: Layout,
  system: System,
  work: (lease: StoreLease) => Promise<T>,
): Promise<T> {
  const lease = await holdStore(layout, system);
  try {
    return await work(lease);
  } finally {
    lease.release();
  }
}

/** Pins `name` in every lease that this process holds on the root folder, on behalf of the holders. Does nothing without a lease. */
export async function pinInStore(layout: Layout, name: Pinned): Promise<void> {
  for (const lease of heldHere.get(layout.root) ?? []) await lease.pin(name);
}

/** Runs `collect` with all pinned names while nobody can pin anything. Removes leases of dead processes. Throws ERR_STACKSHIM_STACK_BUSY. */
export async function whileNothingIsPinned<T>(
  layout: Layout,
  system: System,
  collect: (pinned: ReadonlySet<string>) => Promise<T>,
): Promise<T> {
  const work = () => collect(readPins(layout, system));
  return await withLock(layout, 'store', { system, waitMs: WAIT_MS }, work);
}

const leasesDir = (layout: Layout) => `${locksDir(layout)}/leases`;

/** Locks the new file before a collecting process can see it. */
function openLease(system: System, path: string): FileLock {
  const lock = takeFileLock(system, path, { wait: false });
  if (lock !== undefined) return lock;
  const message = `lock ${path}: another process holds a new file`;
  throw new StackshimError('ERR_STACKSHIM_INTERNAL', message);
}

const whileNotCollecting = <T>(layout: Layout, system: System, act: () => T): Promise<T> =>
  withLock(layout, 'store', { system, shared: true, waitMs: WAIT_MS }, () =>
    guardDisk(`write a lease below ${leasesDir(layout)}`, async () => act()),
  );

const readPins = (layout: Layout, system: System): ReadonlySet<string> =>
  new Set(
    namesIn(leasesDir(layout)).flatMap((name) => readLease(system, `${leasesDir(layout)}/${name}`)),
  );

/** The pins of a lease that is held; removes any other lease. */
function readLease(system: System, path: string): readonly string[] {
  const fd = unlessMissing(() => openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW));
  // The lease was released a moment ago.
  if (fd === undefined) return [];
  return withFd(fd, () => {
    if (!system.lockFile(fd, { wait: false })) return readFileSync(fd, 'utf8').split('\n');
    unlessMissing(() => unlinkSync(path));
    return [];
  });
}
