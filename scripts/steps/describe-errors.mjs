/** What vitest's errors say, for readers of a list of failures: the message of a timeout is in no stack, and the differences are in no message. */
import { relative } from 'node:path';
import { cut } from './cut.mjs';
import { projectRoot } from './paths.mjs';

/** Of each error; the second error of a test often explains the first one. */
const MOST_LINES = 60;
const MOST_CHARS = 6_000;
/** How many causes of causes are told. */
const DEEPEST = 3;

/**
 * @typedef {object} TestError
 * @property {string} message
 * @property {string} [name]
 * @property {string} [diff]
 * @property {{file: string, line: number}[]} [stacks]
 * @property {TestError} [cause]
 */

/**
 * @param {readonly TestError[] | undefined} errors
 * @returns {string}
 */
export const describeErrors = (errors) =>
  (errors ?? [])
    .map((error) => cut(describe(error, DEEPEST), { lines: MOST_LINES, chars: MOST_CHARS }))
    .join('\n');

/**
 * @param {TestError} error
 * @param {number} depth
 * @returns {string}
 */
function describe({ name, message, diff, stacks, cause }, depth) {
  // Vitest's own reporter puts these words before the name of a cause.
  const kind = name?.replace('Caused by: ', '');
  const place = stacks?.find(({ file }) => !file.includes('/node_modules/'));
  const lines = [
    kind === undefined || message.startsWith(kind) ? message : `${kind}: ${message}`,
    ...(place === undefined ? [] : [`at ${relative(projectRoot, place.file)}:${place.line}`]),
    ...(diff === undefined ? [] : [diff]),
  ];
  // Anything can be thrown, and be a cause.
  const isTold = depth > 0 && typeof cause?.message === 'string';
  return [...lines, ...(isTold ? [`caused by ${describe(cause, depth - 1)}`] : [])].join('\n');
}
