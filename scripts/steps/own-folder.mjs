/** Folders whose content root trusts: nobody else may write to them, or have created them. */
import { lstatSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { StepFailure } from './failure.mjs';

const OTHERS_WRITE = 0o022;
const STICKY = 0o1000;

/**
 * Creates the folder and the missing ones above it. Fails if it, or a folder above it, is a link, belongs to another user, or is writable by
 * others: they could put there what root is going to run. Others may pass through, as a container's root must, but not list it.
 * @param {string} folder absolute
 */
export function ensureOwnFolder(folder) {
  requireOwnFolders(dirname(folder));
  mkdirSync(folder, { recursive: true, mode: 0o711 });
  requireOwnFolders(folder);
  if ((lstatSync(folder).mode & OTHERS_WRITE) !== 0) throw refuse(folder, 'others may write to it');
}

/**
 * Checks that every existing part of a path is a folder of root's, or of this user's, that nobody else can replace.
 * @param {string} folder absolute
 * @returns {string | undefined} the first part that is not, and why
 */
export function findForeignFolder(folder) {
  const above = folder === '/' ? undefined : findForeignFolder(dirname(folder));
  if (above !== undefined) return above;
  const stats = lstatSync(folder, { throwIfNoEntry: false });
  if (stats === undefined) return undefined;
  if (!stats.isDirectory()) return `${folder} is not a folder`;
  if (stats.uid !== 0 && stats.uid !== process.getuid?.()) return `${folder} is another user's`;
  const isOpen = (stats.mode & OTHERS_WRITE) !== 0 && (stats.mode & STICKY) === 0;
  return isOpen ? `others may write to ${folder}` : undefined;
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
  new StepFailure(`use ${folder}: ${why}`, `check what it holds, remove it and run this again`);
