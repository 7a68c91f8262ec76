/** Makes the root filesystem of a Debian base as a tar, with mmdebstrap. The same packages give the same bytes. */
import { readdir, rm } from 'node:fs/promises';
import { StackshimError } from '../core/errors.ts';
import { readBoundedFile } from '../sys/files.ts';
import { findProgram } from '../sys/find-program.ts';
import { askTool } from '../sys/start-tool.ts';
import { type Builder, runInBuilder } from './builder.ts';
import type { DebianDefinition } from './stack-source.ts';

/** Debian's release files have some 200 kB. */
const MAX_RELEASE_BYTES = 8 * 1024 * 1024;
/** Apt needs about a hundred bytes for each package list. */
const MAX_TARGETS_BYTES = 1024 * 1024;
const TARGETS_TIMEOUT_MS = 60_000;
/** Removes files of maintainer scripts and of the set-up that differ from run to run or belong to this host. */
const CLEAN_UP = [
  'cd "$1"',
  ': > etc/hostname',
  ': > etc/resolv.conf',
  'rm -rf var/lib/apt/lists/* var/cache/apt/* var/log/* var/cache/debconf/*-old var/lib/dpkg/*-old',
  'rm -rf var/cache/ldconfig/aux-cache etc/machine-id run/* tmp/*',
].join('; ');

/** Writes the tar to `target`. Resolves to the date of the newest release file, in seconds since 1970: no file in the tar is newer. */
export async function buildRootfs(
  builder: Builder,
  debian: DebianDefinition,
  target: string,
): Promise<number> {
  const mirrors = toSources(debian.suite, await readHostMirrors());
  const probe = `${builder.home.work}/probe`;
  // Fetch only the package lists first: the date must be known before the first package is unpacked.
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
    // mmdebstrap would clean up after CLEAN_UP, and create folders owned by the user that apt had to use.
    '--skip=cleanup/apt',
    `--customize-hook=${CLEAN_UP}`,
  ];
  const made = ['mmdebstrap', ...options, debian.suite, target, ...mirrors] as const;
  await runInBuilder(builder, 'rootfs', made, { SOURCE_DATE_EPOCH: String(epoch) });
  return epoch;
}

/** Returns the newest `Date:` of the release files in apt's lists, in seconds since 1970. */
async function readNewestRelease(lists: string): Promise<number> {
  const dates: number[] = [];
  for (const name of await readdir(lists)) {
    if (!/_(?:In)?Release$/.test(name)) continue;
    const release = readBoundedFile(`${lists}/${name}`, { maxBytes: MAX_RELEASE_BYTES });
    const date = parseReleaseDate(release);
    if (date !== undefined) dates.push(date);
  }
  if (dates.length > 0) return Math.max(...dates);
  const text = `read ${lists}: no release file with a date`;
  throw new StackshimError('ERR_STACKSHIM_BUILD_FAILED', text);
}

/** Returns the `Date:` of a release file in seconds since 1970; undefined if it has none. */
export function parseReleaseDate(release: string): number | undefined {
  const milliseconds = Date.parse(/^Date: (.+)$/m.exec(release)?.[1] ?? '');
  return Number.isNaN(milliseconds) ? undefined : Math.floor(milliseconds / 1000);
}

export interface DebianMirrors {
  readonly main: string;
  readonly security: string | undefined;
}

/** Finds the Debian mirrors of this host's apt; undefined if the host is not Debian or uses no web mirror. */
async function readHostMirrors(): Promise<DebianMirrors | undefined> {
  const format = '$(ORIGIN)|$(LABEL)|$(REPO_URI)';
  const apt = findProgram('apt-get', { package: 'apt' });
  const { failure, stdout } = await askTool({
    command: [apt, 'indextargets', '--format', format, 'Created-By: Packages'],
    maxBytes: MAX_TARGETS_BYTES,
    timeoutMs: TARGETS_TIMEOUT_MS,
  });
  return failure === undefined ? parseMirrors(stdout.toString('utf8')) : undefined;
}

/** Parses lines of the form `origin|label|uri`. */
export function parseMirrors(targets: string): DebianMirrors | undefined {
  const rows = targets.split('\n').map((line) => line.split('|'));
  const find = (wanted: string) =>
    rows.find(([origin, label, uri]) => origin === 'Debian' && label === wanted && isWeb(uri))?.[2];
  const main = find('Debian');
  return main === undefined ? undefined : { main, security: find('Debian-Security') };
}

const isWeb = (uri: string | undefined) => uri !== undefined && /^https?:\/\/[^\s|]+$/.test(uri);

/** Returns lines for apt. An empty list leaves the choice to mmdebstrap. */
export function toSources(suite: string, mirrors: DebianMirrors | undefined): string[] {
  if (mirrors === undefined) return [];
  const { main, security } = mirrors;
  return [
    `deb ${main} ${suite} main`,
    `deb ${main} ${suite}-updates main`,
    ...(security === undefined ? [] : [`deb ${security} ${suite}-security main`]),
  ];
}
