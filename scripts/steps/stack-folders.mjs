/** The stacks in overlay/, bases first, and the base of each. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { StepFailure } from './failure.mjs';
import { projectRoot } from './paths.mjs';

/**
 * @typedef {object} StackFolder
 * @property {string} name
 * @property {string} path
 * @property {string | undefined} base the name of its base; undefined for a base itself
 */

/** @returns {readonly StackFolder[]} every base, then every stack, by name */
export function listStackFolders() {
  return ['base', 'stacks'].flatMap((kind) => {
    const folder = `${projectRoot}/overlay/${kind}`;
    return readdirSync(folder)
      .map((name) => ({ name, path: `${folder}/${name}` }))
      .filter(({ path }) => existsSync(`${path}/Dockerfile`))
      .map((one) => ({ ...one, base: readBase(one.path) }))
      .sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
  });
}

/** @param {string} path */
function readBase(path) {
  return /^FROM localhost\/(\S+)/m.exec(readFileSync(`${path}/Dockerfile`, 'utf8'))?.[1];
}

/**
 * @param {readonly StackFolder[]} all
 * @param {readonly string[]} names none: all of them
 * @returns {readonly StackFolder[]} those, with the bases they stand on
 */
export function chooseStackFolders(all, names) {
  if (names.length === 0) return all;
  const unknown = names.filter((name) => !all.some((one) => one.name === name));
  if (unknown.length > 0) {
    const known = all.map(({ name }) => name).join(', ');
    throw new StepFailure(`no such stack in overlay/: ${unknown.join(', ')}`, `there are ${known}`);
  }
  const wanted = new Set(names);
  for (const { name, base } of all) {
    if (base !== undefined && wanted.has(name)) wanted.add(base);
  }
  return all.filter(({ name }) => wanted.has(name));
}
