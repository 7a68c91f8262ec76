/** Makes the root filesystem of a Debian base as a tar, by mmdebstrap; the same packages give the same bytes. */
import { readdir, rm } from 'node:fs/promises';
import { StackshimError } from '../core/errors.ts';
import { findProgram } from '../layers/find-program.ts';
import { readBoundedFile } from '../sys/files.ts';
import { askTool } from '../sys/start-tool.ts';
import type { DebianDefinition } from './base-definition.ts';
import { type Builder, runInBuilder } from './builder.ts';

/** Debian's are of some 200 kB. */
const MAX_RELEASE_BYTES = 8 * 1024 * 1024;
/** A hundred bytes for each list of packages that apt knows. */
const MAX_TARGETS_BYTES = 1024 * 1024;
const TARGETS_TIMEOUT_MS = 60_000;
/** What maintainer scripts and the set-up leave that differs from run to run, or that belongs to this host. */
const CLEAN_UP = [
  'cd "$1"',
  ': > etc/hostname',
  ': > etc/resolv.conf',
  'rm -rf var/lib/apt/lists/* var/cache/apt/* var/log/* var/cache/debconf/*-old var/lib/dpkg/*-old',
  'rm -rf var/cache/ldconfig/aux-cache etc/machine-id run/* tmp/*',
].join('; ');

/**
 * Writes the tar at `target`. Resolves to the time that no file of it is newer than, in seconds since 1970:
 * when the archive's newest release file was made.
 */
export async function buildRootfs(
  builder: Builder,
  debian: DebianDefinition,
  target: string,
): Promise<number> {
  const mirrors = toSources(debian.suite, await readHostMirrors());
  const probe = `${builder.home.work}/probe`;
  // Only the package lists: their dates must be known before the first package is unpacked.
  const probing = ['--simulate', '--skip=cleanup/apt/lists', '--mode=root', '--variant=essential'];
  const probed = ['--format=directory', debian.suite, probe, ...mirrors];
  await runInBuilder(builder, 'rootfs', ['mmdebstrap', ...probing, ...probed]);
  const epoch = await readNewestRelease(`${probe}/var/lib/apt/lists`);
  await rm(probe, { recursive: true, force: true });
  const options = [
    '--mode=root',
    '--variant=minbase',
    '--format=tar',
    `--include=${debian.include.join(',')}`,
    ...debian.dpkg.map((line) => `--dpkgopt=${line}`),
    // Its own cleaning would come after ours, and make folders of whichever owner apt had to take.
    '--skip=cleanup/apt',
    `--customize-hook=${CLEAN_UP}`,
  ];
  const made = ['mmdebstrap', ...options, debian.suite, target, ...mirrors] as const;
  await runInBuilder(builder, 'rootfs', made, { SOURCE_DATE_EPOCH: String(epoch) });
  return epoch;
}

/** The newest `Date:` of the release files in apt's lists, in seconds since 1970. */
async function readNewestRelease(lists: string): Promise<number> {
  const dates: number[] = [];
  for (const name of await readdir(lists)) {
    if (!/_(?:In)?Release$/.test(name)) continue;
    const date = parseReleaseDate(
      readBoundedFile(`${lists}/${name}`, { maxBytes: MAX_RELEASE_BYTES }),
    );
    if (date !== undefined) dates.push(date);
  }
  if (dates.length === 0) {
    throw new StackshimError(
      'ERR_STACKSHIM_BUILD_FAILED',
      `read ${lists}: no release file with a date`,
    );
  }
  return Math.max(...dates);
}

/** Seconds since 1970 of a release file's `Date:` field; undefined when it has none. */
export function parseReleaseDate(release: string): number | undefined {
  const milliseconds = Date.parse(/^Date: (.+)$/m.exec(release)?.[1] ?? '');
  return Number.isNaN(milliseconds) ? undefined : Math.floor(milliseconds / 1000);
}

export interface DebianMirrors {
  readonly main: string;
  readonly security: string | undefined;
}

/** The mirrors that this host's apt takes Debian from; undefined where it is not Debian or takes it from no web address. */
async function readHostMirrors(): Promise<DebianMirrors | undefined> {
  const format = '$(ORIGIN)|$(LABEL)|$(REPO_URI)';
  const { failure, stdout } = await askTool({
    command: [
      findProgram('apt-get', { package: 'apt' }),
      ...['indextargets', '--format', format, 'Created-By: Packages'],
    ],
    maxBytes: MAX_TARGETS_BYTES,
    timeoutMs: TARGETS_TIMEOUT_MS,
  });
  return failure === undefined ? parseMirrors(stdout.toString('utf8')) : undefined;
}

/** From lines of `origin|label|uri`. */
export function parseMirrors(targets: string): DebianMirrors | undefined {
  const rows = targets.split('\n').map((line) => line.split('|'));
  const find = (wanted: string) =>
    rows.find(([origin, label, uri]) => origin === 'Debian' && label === wanted && isWeb(uri))?.[2];
  const main = find('Debian');
  return main === undefined ? undefined : { main, security: find('Debian-Security') };
}

const isWeb = (uri: string | undefined) => uri !== undefined && /^https?:\/\/[^\s|]+$/.test(uri);

/** Lines for apt; none leaves the choice to mmdebstrap. */
export function toSources(suite: string, mirrors: DebianMirrors | undefined): string[] {
  if (mirrors === undefined) return [];
  const { main, security } = mirrors;
  return [
    `deb ${main} ${suite} main`,
    `deb ${main} ${suite}-updates main`,
    ...(security === undefined ? [] : [`deb ${security} ${suite}-security main`]),
  ];
}
