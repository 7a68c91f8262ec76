/** Counts what differs, for people who want to know how much changed before they read the lists. Pure. */
import { compareDebianVersions } from './compare-versions.ts';
import type { SettingChange } from './diff-settings.ts';
import type { PackageChange } from './dpkg-status.ts';

/** How many packages and settings differ, and in which way. */
export interface DiffSummary {
  readonly packages: {
    readonly added: number;
    readonly removed: number;
    /** To a newer version. */
    readonly updated: number;
    /** To an older version. */
    readonly downgraded: number;
    /** By how much all packages together grew, by their own estimates. May be negative. */
    readonly bytes: number;
  };
  readonly settings: { readonly added: number; readonly removed: number; readonly changed: number };
}

export function summariseDiff(
  packages: readonly PackageChange[],
  settings: readonly SettingChange[],
): DiffSummary {
  const count = (test: (change: PackageChange) => boolean) => packages.filter(test).length;
  const of = (change: SettingChange['change']) =>
    settings.filter((setting) => setting.change === change).length;
  return {
    packages: {
      added: count(({ change }) => change === 'added'),
      removed: count(({ change }) => change === 'removed'),
      updated: count((change) => change.change === 'changed' && !isOlder(change)),
      downgraded: count((change) => change.change === 'changed' && isOlder(change)),
      bytes: packages.reduce(
        (sum, { before, after }) => sum + (after?.bytes ?? 0) - (before?.bytes ?? 0),
        0,
      ),
    },
    settings: { added: of('added'), removed: of('removed'), changed: of('changed') },
  };
}

const isOlder = ({ before, after }: PackageChange) =>
  before !== null && after !== null && compareDebianVersions(after.version, before.version) < 0;
