/** The test lanes of lanes.json, and those that a command line selects. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { StepFailure } from './failure.mjs';
import { projectRoot } from './paths.mjs';

/**
 * @typedef {object} Lane
 * @property {string} name also its folder under test/
 * @property {boolean} privileged needs root and the host's tools; one file at a time
 * @property {boolean} promised a plain `npm test` fails when it has no tests
 * @property {boolean} everyTime part of a plain `npm test`; the others run with --all or by name
 */

/** @returns {readonly Lane[]} */
export function readLanes() {
  return JSON.parse(readFileSync(`${projectRoot}/scripts/lanes.json`, 'utf8'));
}

/**
 * @param {readonly string[]} args names of lanes, or --all; none: the lanes of a plain `npm test`
 * @returns {readonly Lane[]} in the order of lanes.json; an empty lane is left out unless it is named or promised
 */
export function chooseLanes(args) {
  const lanes = readLanes();
  const names = args.filter((arg) => arg !== '--all');
  const unknown = names.filter((name) => !lanes.some((lane) => lane.name === name));
  if (unknown.length > 0) {
    const known = lanes.map((lane) => lane.name).join(', ');
    throw new StepFailure(`no such test lane: ${unknown.join(', ')}`, `lanes are: ${known}`);
  }
  if (names.length > 0) return lanes.filter((lane) => names.includes(lane.name));
  return lanes
    .filter((lane) => lane.everyTime || args.includes('--all'))
    .filter((lane) => lane.promised || hasTests(lane));
}

/** @param {Lane} lane */
function hasTests(lane) {
  const folder = `${projectRoot}/test/${lane.name}`;
  if (!existsSync(folder)) return false;
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return names.some((name) => name.endsWith('.test.ts'));
}
