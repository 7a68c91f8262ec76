/** Another local user of the host, without any right: the program `stranger` of test/fixtures/probes. */
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

/** What the program `stranger` of test/fixtures/probes can do. */
export type StrangerMode =
  /** Looks for a text in files. */
  | 'hunt'
  /** Keeps directories open, and looks for a text in `tmp/held` below them. */
  | 'read-kept'
  /** The same, and writes a text to `tmp/planted`. */
  | 'plant-kept'
  /** Runs `bin/probe-setuid`, which leaves a file. */
  | 'run-setuid'
  /** Writes to the loop device of a number. */
  | 'write-node'
  /** Hunts in copies of the mount table, in user and mount namespaces of its own. */
  | 'copy-mounts'
  /** Looks for a text in what /proc shows of processes. */
  | 'processes'
  /** Kills the processes that have a word among their arguments. */
  | 'kill'
  /** Sends a descriptor of a file to every socket. */
  | 'sockets'
  /** Joins user namespaces that are mounted, and leaves a file. */
  | 'namespaces';

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
