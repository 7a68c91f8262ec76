/** Checks paths on the host, and mount targets in a task. */
import { posix } from 'node:path';
import { invalidField } from './field-errors.ts';
import { SPEC_BOUNDS } from './spec-bounds.ts';

/** Mounts of a task that no other mount may cover or reach into: the kernel's own trees and the payload's folder. */
export const RESERVED_TREES = ['/proc', '/sys', '/dev', '/run/stackshim'] as const;

/** Checks a path: not empty, no NUL or line break, at most 4095 bytes. The caller must resolve a relative path. */
export function parsePath(path: string, field: string): string {
  if (path === '') throw invalidField(field, 'an empty path', path);
  if (Buffer.byteLength(path) > SPEC_BOUNDS.pathBytes) {
    throw invalidField(field, `a path longer than ${SPEC_BOUNDS.pathBytes} bytes`);
  }
  if (/[\0\r\n]/.test(path)) throw invalidField(field, 'a path with a NUL or a line break', path);
  return path;
}

/** Returns an absolute path, normalised: without `.`, `..`, doubled or trailing slashes. */
export function parseAbsolutePath(path: string, field: string): string {
  parsePath(path, field);
  if (!path.startsWith('/')) throw invalidField(field, 'not an absolute path', path);
  const normal = posix.normalize(path);
  return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal;
}

/** Returns a mount target in a task: absolute, normalised, not the root, and not in one of the task's reserved trees. */
export function parseMountTarget(path: string, field: string): string {
  const target = parseAbsolutePath(path, field);
  if (target === '/') throw invalidField(field, 'a mount cannot cover the root of a task', path);
  for (const reserved of RESERVED_TREES) {
    if (isAtOrBelow(target, reserved)) {
      throw invalidField(field, `a mount cannot cover ${reserved} or anything below it`, path);
    }
  }
  return target;
}

/** Whether a normalised absolute path is `folder` or below it. */
export function isAtOrBelow(path: string, folder: string): boolean {
  return folder === '/' || path === folder || path.startsWith(`${folder}/`);
}
