/** Parses and compares Debian's lists of installed packages (`var/lib/dpkg/status`). Pure. */

export interface InstalledPackage {
  readonly version: string;
  /** The size that the package itself states. */
  readonly bytes: number;
}

export interface PackageChange {
  /** `name`, or `name:architecture` for another architecture of the same package. */
  readonly name: string;
  readonly change: 'added' | 'removed' | 'changed';
  readonly before: InstalledPackage | null;
  readonly after: InstalledPackage | null;
}

const MAX_PACKAGES = 100_000;
const MAX_WORD_CHARS = 256;

/** Returns installed packages by name; another architecture of a package is `name:architecture`. Skips malformed entries. */
export function parseDpkgStatus(text: string): ReadonlyMap<string, InstalledPackage> {
  const packages = new Map<string, InstalledPackage>();
  for (const stanza of text.split(/\n[ \t]*\n/)) {
    if (packages.size >= MAX_PACKAGES) break;
    const fields = parseFields(stanza);
    const name = fields.get('package');
    const version = fields.get('version');
    if (name === undefined || version === undefined) continue;
    if (fields.get('status')?.split(' ')[2] !== 'installed') continue;
    const kib = Number(fields.get('installed-size') ?? 0);
    const bytes = Number.isSafeInteger(kib) && kib >= 0 ? kib * 1024 : 0;
    const key = packages.has(name) ? `${name}:${fields.get('architecture') ?? ''}` : name;
    packages.set(key, { version, bytes });
  }
  return packages;
}

/** Returns the fields, with names in lower case. Skips continuation lines: no needed field has them. */
function parseFields(stanza: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  for (const line of stanza.split('\n')) {
    const colon = line.indexOf(':');
    if (colon <= 0 || line.startsWith(' ') || line.startsWith('\t')) continue;
    const value = line.slice(colon + 1).trim();
    if (value.length <= MAX_WORD_CHARS) fields.set(line.slice(0, colon).toLowerCase(), value);
  }
  return fields;
}

/** Returns packages that only one list has or whose versions differ, sorted by name. */
export function diffPackages(
  before: ReadonlyMap<string, InstalledPackage>,
  after: ReadonlyMap<string, InstalledPackage>,
): PackageChange[] {
  const names = [...new Set([...before.keys(), ...after.keys()])].sort();
  return names.flatMap((name): PackageChange[] => {
    const sides = { before: before.get(name) ?? null, after: after.get(name) ?? null };
    if (sides.before === null) return [{ name, change: 'added', ...sides }];
    if (sides.after === null) return [{ name, change: 'removed', ...sides }];
    if (sides.before.version === sides.after.version) return [];
    return [{ name, change: 'changed', ...sides }];
  });
}
