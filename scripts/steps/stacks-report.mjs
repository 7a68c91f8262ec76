/** The table at the end of `npm run stacks:all`. */

/**
 * @typedef {object} StackReport
 * @property {string} name
 * @property {import('./build-stack.mjs').BuiltStack} [built]
 * @property {number} [testSeconds]
 * @property {readonly string[]} [differences] files that a second build made otherwise; absent: not built twice
 * @property {string} [failure] the first thing that went wrong
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
  const own = reports.reduce((sum, { built }) => sum + (built?.ownBytes ?? 0), 0);
  const shared = new Map(reports.map(({ built }) => [built?.layers[0], built?.sharedBytes ?? 0]));
  const bases = [...shared.values()].reduce((sum, bytes) => sum + bytes, 0);
  const sizes = `own layers ${toMiB(own)}, shared layers ${toMiB(bases)}`;
  const counts = `${reports.length - failed.length} passed, ${failed.length} failed`;
  return ['', ...lines, ...why, '', `${counts}; ${sizes}; ${toSeconds(seconds)}`].join('\n');
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
