/** Folders whose content root trusts: no other user can write to them or could have made them. */
import { lstatSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { StepFailure } from './failure.mjs';

const OTHERS_WRITE = 0o022;
const STICKY = 0o1000;

/**
 * Makes the folder and the missing folders above it. Fails if it, or a folder above it, is a link, belongs to another user, or is writable
 * by others, who could replace what root is going to run. Others may pass through it, as the root of a container must, but not list it.
 * @param {string} folder absolute
 */
export function ensureOwnFolder(folder) {
  requireOwnFolders(dirname(folder));
  mkdirSync(folder, { recursive: true, mode: 0o711 });
  requireOwnFolders(folder);
  if ((lstatSync(folder).mode & OTHERS_WRITE) !== 0)
    throw refuse(folder, 'other users may write to it');
}

/**
 * Whether every existing folder of a path belongs to root or to this user, and no other user can replace it.
 * @param {string} folder absolute
 * @returns {string | undefined} the first part that is not, and why
 */
export function findForeignFolder(folder) {
  const above = folder === '/' ? undefined : findForeignFolder(dirname(folder));
  if (above !== undefined) return above;
  const stats = lstatSync(folder, { throwIfNoEntry: false });
  if (stats === undefined) return undefined;
  if (!stats.isDirectory()) return `${folder} is not a folder`;
  if (stats.uid !== 0 && stats.uid !== process.getuid?.())
    return `${folder} belongs to another user`;
  const isOpen = (stats.mode & OTHERS_WRITE) !== 0 && (stats.mode & STICKY) === 0;
  return isOpen ? `other users may write to ${folder}` : undefined;
}

/** @param {string} folder */
function requireOwnFolders(folder) {
  const fault = findForeignFolder(folder);
  if (fault !== undefined) throw refuse(folder, fault);
}

/**
 * @param {string} folder
 * @param {string} why
 */
const refuse = (folder, why) =>
  new StepFailure(`use ${folder}: ${why}`, `check its content, remove it, and run this again`);
