/** Tasks that together make every system call that a task can make, with their normal outcome. */
import type {
  RunTaskOptions,
  TaskEvent,
  TaskInput,
  Verdict,
  WindowSize,
} from '../../../src/index.ts';

export interface TaskVariant {
  readonly name: string;
  readonly script: string;
  readonly input?: Partial<TaskInput>;
  /** Prepares the run. */
  readonly options?: () => Partial<RunTaskOptions>;
  readonly policy?: object;
  /** Runs as the first task of its stack after boot: its layer is not mounted yet. */
  readonly isFirst?: boolean;
  readonly verdict: Verdict;
  readonly exitCode: number | null;
}

/** The file in which a variant's script reports that it has started. */
export const MARKS = '/marks';
const BEGIN = `: > ${MARKS}/ran`;
const ends = (code: number) => ({
  script: `${BEGIN}; echo out; exit ${code}`,
  verdict: 'failed' as const,
  exitCode: code,
});
/** More than is written before the page cache is dropped. */
const WRITE_MUCH = 'dd if=/dev/zero of=/much bs=1M count=70 2>/dev/null; echo out';
/** Ignores TERM: the task must be killed. */
const STAYS = `trap : TERM; ${BEGIN}; echo out; while :; do sleep 0.02; done`;
const killed = (verdict: Verdict, script = STAYS) => ({ script, verdict, exitCode: null });

/** Ends the task after its first output. */
function abortAtOutput(name: 'signal' | 'killSignal') {
  const controller = new AbortController();
  const onEvent = (event: TaskEvent) => {
    if (event.type === 'output') controller.abort();
  };
  return { [name]: controller.signal, onEvent };
}

/** A terminal of the caller that changes its size after the task's first output. */
function resizeAtOutput() {
  const size = { rows: 50, columns: 132 };
  let resize: (to: WindowSize) => void = () => undefined;
  const terminal = {
    size,
    onResize(listener: typeof resize) {
      resize = listener;
      return () => undefined;
    },
  };
  const onEvent = (event: TaskEvent) => {
    if (event.type === 'output') resize({ ...size, rows: 51 });
  };
  return { terminal, onEvent };
}

export const variantsIn = (folder: string): readonly TaskVariant[] => [
  { name: 'a plain task', ...ends(7) },
  { name: 'the first task since boot', ...ends(7), isFirst: true },
  {
    name: 'one with code, payload and a user of the image',
    ...ends(8),
    script: `${BEGIN}; echo out; echo half > $TASK_PROGRESS_FILE; exit 8`,
    input: { code: `${folder}/code`, payload: 'text', user: 'user', disk: '64m' },
  },
  {
    name: 'one that writes much',
    ...ends(14),
    script: `${BEGIN}; ${WRITE_MUCH}; exit 14`,
    // An unusual limit: no other task can reuse the volume.
    input: { disk: '128m' },
  },
  { name: 'one whose removal comes after its result', ...ends(9), input: { remove: 'async' } },
  { name: 'one that is kept', ...ends(10), input: { keep: true } },
  {
    name: "one in the host's namespaces",
    ...ends(11),
    input: { userns: 'host', pid: 'host' },
    policy: { allow: { pid: ['private', 'host'], userns: ['auto', 'host'] } },
  },
  {
    name: 'one of a tenant',
    ...ends(12),
    input: { tenant: 'acme' },
    policy: { tenants: { acme: { weight: 50, maxTasks: 2 } } },
  },
  {
    name: 'one with a terminal',
    ...ends(13),
    input: { tty: true },
    options: resizeAtOutput,
  },
  {
    name: 'one whose time is over',
    ...killed('timed_out'),
    input: { timeout: '300ms', stopTimeout: '20ms' },
  },
  {
    name: 'one that uses too much of a processor',
    ...killed('cpu_time_exceeded', `${BEGIN}; while :; do :; done`),
    input: { cpuTime: '50ms' },
  },
  {
    name: 'one that writes too much',
    ...killed('output_limited', `${BEGIN}; yes`),
    input: { outputLimit: '64k' },
  },
  {
    name: 'one that takes too much disk, which is only looked at',
    ...killed('disk_full', `${BEGIN}; dd if=/dev/zero of=/big bs=64k count=64; exec sleep 3600`),
    input: { disk: '1m' },
    policy: { disk: { mechanism: 'sampling' } },
  },
  {
    name: 'one that is cancelled',
    ...killed('cancelled'),
    input: { stopTimeout: '20ms' },
    options: () => abortAtOutput('signal'),
  },
  {
    name: 'one that is cancelled at once',
    ...killed('cancelled'),
    options: () => abortAtOutput('killSignal'),
  },
  {
    name: "one that is killed in the host's pid namespace",
    ...killed('cancelled'),
    input: { userns: 'host', pid: 'host' },
    policy: { allow: { pid: ['private', 'host'], userns: ['auto', 'host'] } },
    options: () => abortAtOutput('killSignal'),
  },
];
