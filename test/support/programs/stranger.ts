/** Another local user of the host, without any privilege: the program `stranger` of test/fixtures/probes. */
import { waitUntil } from '../timing/wait-until.ts';
import { type WatchedProgram, watchProgram } from './watched-program.ts';

/** An id that no user and no group has. */
export const STRANGER_ID = 12_345;
/** The beginning of a command line that runs as that user. */
export const AS_STRANGER: readonly string[] = [
  'setpriv',
  ...[`--reuid=${STRANGER_ID}`, `--regid=${STRANGER_ID}`, '--clear-groups', '--'],
];
/** The program ends by then, whatever happens to its caller. */
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
  /** The folders that it searches. */
  readonly folders: readonly string[];
}

/** Starts `program`, the probe program, as that user. */
export function startStranger(
  program: string,
  { mode, what, folders }: StrangerSetting,
): WatchedProgram {
  const look = ['stranger', mode, what, String(LONGEST_SECONDS), ...folders];
  return watchProgram([...AS_STRANGER, program, ...look]);
}

const looks = (stranger: WatchedProgram) => stranger.stdout().split('round\n').length;

/** Resolves after the program has started and completed a look that began after this call. */
export async function hasLookedTwice(stranger: WatchedProgram): Promise<void> {
  const before = looks(stranger);
  await waitUntil(() => looks(stranger) >= before + 2);
}
