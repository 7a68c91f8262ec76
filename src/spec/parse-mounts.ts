/** All mounts of a task, from three options. */
import { invalidField } from './invalid-field.ts';
import {
  type MountInput,
  type MountRequest,
  parseMountOption,
  parseTmpfsOption,
  parseVolumeOption,
  toBindRequest,
  toTmpfsRequest,
} from './parse-mount.ts';
import { SPEC_BOUNDS } from './spec-bounds.ts';
import type { TaskInput } from './task-input.ts';
import type { BindRequest, TmpfsRequest } from './task-spec.ts';

export interface RequestedMounts {
  readonly mounts: readonly BindRequest[];
  readonly tmpfs: readonly TmpfsRequest[];
}

/** Parses `mounts`, `volumes` and `tmpfs`; no two may have the same target. Throws ERR_STACKSHIM_SPEC_INVALID. */
export function parseMounts(given: TaskInput): RequestedMounts {
  const mounts: BindRequest[] = [];
  const tmpfs: TmpfsRequest[] = [];
  for (const [i, entry] of (given.mounts ?? []).entries()) {
    const request = parseMount(entry, `mounts[${i}]`);
    if (request.type === 'bind') mounts.push(request.bind);
    else tmpfs.push(request.tmpfs);
  }
  for (const [i, entry] of (given.volumes ?? []).entries()) {
    mounts.push(parseVolumeOption(entry, `volumes[${i}]`));
  }
  for (const [i, entry] of (given.tmpfs ?? []).entries()) {
    tmpfs.push(parseTmpfsOption(entry, `tmpfs[${i}]`));
  }
  if (mounts.length > SPEC_BOUNDS.mounts) {
    throw invalidField('mounts', `more than ${SPEC_BOUNDS.mounts} together with volumes`);
  }
  checkTargets([...mounts, ...tmpfs], given.code !== undefined);
  return { mounts, tmpfs };
}

function parseMount(entry: string | MountInput, field: string): MountRequest {
  if (typeof entry === 'string') return parseMountOption(entry, field);
  if (entry.type === 'bind') return { type: 'bind', bind: toBindRequest(entry, field) };
  return { type: 'tmpfs', tmpfs: toTmpfsRequest(entry, field) };
}

function checkTargets(requests: readonly { readonly target: string }[], hasCode: boolean): void {
  const taken = new Set(hasCode ? ['/task'] : []);
  for (const { target } of requests) {
    if (taken.has(target)) throw invalidField('mounts', 'two mounts have this target', target);
    taken.add(target);
  }
}
