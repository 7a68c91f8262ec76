/** Another local user of the host, without any right: the program `stranger` of test/fixtures/probes. */
import type { StrangerMode } from '../../security/support/probe.ts';
import { waitUntil } from '../timing/wait-until.ts';
import { type WatchedProgram, watchProgram } from './watched-program.ts';

/** Nobody's, and in no group of anybody's. */
export const STRANGER_ID = 12_345;
/** What runs a command as that user begins with. */
export const AS_STRANGER: readonly string[] = [
  'setpriv',
  ...[`--reuid=${STRANGER_ID}`, `--regid=${STRANGER_ID}`, '--clear-groups', '--'],
];
/** It ends by then, whatever becomes of whoever started it. */
const LONGEST_SECONDS = 600;

export interface StrangerSetting {
  readonly mode: StrangerMode;
  readonly what: string;
  /** Where it looks. */
  readonly folders: readonly string[];
}

/** Has `program`, the probe program, at work as that user. */
export function startStranger(
  program: string,
  { mode, what, folders }: StrangerSetting,
): WatchedProgram {
  const look = ['stranger', mode, what, String(LONGEST_SECONDS), ...folders];
  return watchProgram([...AS_STRANGER, program, ...look]);
}

const looks = (stranger: WatchedProgram) => stranger.stdout().split('round\n').length;

/** Resolves once it has begun and ended a look after this call. */
export async function hasLookedTwice(stranger: WatchedProgram): Promise<void> {
  const before = looks(stranger);
  await waitUntil(() => looks(stranger) >= before + 2);
}
