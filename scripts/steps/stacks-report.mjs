/** The table at the end of `npm run stacks:all`. */

/**
 * @typedef {object} StackReport
 * @property {string} name
 * @property {import('./build-stack.mjs').BuiltStack} [built]
 * @property {number} [testSeconds]
 * @property {readonly string[]} [differences] files that differ after a second build; absent: not built twice
 * @property {string} [failure] the first error
 */

const HEADER = ['stack', 'revision', 'own', 'shared', 'build', 'smoke', 'test', 'reproducible'];
const MOST_PATHS = 4;

const toMiB = (/** @type {number} */ bytes) => `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
const toSeconds = (/** @type {number} */ seconds) => `${seconds.toFixed(1)} s`;

/**
 * @param {readonly StackReport[]} reports
 * @param {number} seconds in all
 */
export function formatReport(reports, seconds) {
  const rows = [HEADER, ...reports.map(toRow)];
  const widths = HEADER.map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  const failed = reports.filter(({ failure }) => failure !== undefined);
  const why = failed.map(({ name, failure }) => `\n${name}: ${failure}`);
  const sizes = `layers ${toMiB(sumSizes(reports))}`;
  const counts = `${reports.length - failed.length} passed, ${failed.length} failed`;
  return ['', ...lines, ...why, '', `${counts}; ${sizes}; ${toSeconds(seconds)}`].join('\n');
}

/**
 * Bytes of all layers; those of a base count once.
 * @param {readonly StackReport[]} reports
 */
function sumSizes(reports) {
  const bases = new Map();
  let own = 0;
  for (const { built } of reports) {
    if (built === undefined) continue;
    const [base, ...above] = built.layers;
    const isBase = above.length === 0;
    bases.set(base, isBase ? built.ownBytes + built.sharedBytes : built.sharedBytes);
    own += isBase ? 0 : built.ownBytes;
  }
  return [...bases.values()].reduce((sum, bytes) => sum + bytes, own);
}

/** @param {StackReport} report */
function toRow({ name, built, testSeconds, differences, failure }) {
  if (built === undefined) return [name, '-', '-', '-', '-', '-', 'failed', '-'];
  const { smokeMs } = built;
  const tested = testSeconds === undefined ? '-' : toSeconds(testSeconds);
  return [
    name,
    String(built.revision),
    toMiB(built.ownBytes),
    toMiB(built.sharedBytes),
    built.unchanged ? 'unchanged' : toSeconds(built.seconds),
    smokeMs === undefined ? '-' : toSeconds(smokeMs / 1000),
    failure === undefined ? tested : 'failed',
    describeDifferences(differences),
  ];
}

/** @param {readonly string[] | undefined} differences */
function describeDifferences(differences) {
  if (differences === undefined) return '-';
  if (differences.length === 0) return 'yes';
  const more = differences.length - MOST_PATHS;
  return `no: ${differences.slice(0, MOST_PATHS).join(' ')}${more > 0 ? ` and ${more} more` : ''}`;
}
