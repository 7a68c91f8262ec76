/** Counts what differs, so that people see how much changed before they read the lists. Pure. */
import { compareDebianVersions } from './compare-versions.ts';
import type { SettingChange } from './diff-settings.ts';
import type { PackageChange } from './dpkg-status.ts';

/** Numbers of packages and settings that differ, by kind of change. */
export interface DiffSummary {
  readonly packages: {
    readonly added: number;
    readonly removed: number;
    /** Changed to a newer version. */
    readonly updated: number;
    /** Changed to an older version. */
    readonly downgraded: number;
    /** Total growth of all packages by the sizes that they state; may be negative. */
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
