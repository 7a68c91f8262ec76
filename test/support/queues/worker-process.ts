/** A worker in a process of its own, which can be killed and stopped. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { FieldsOfWorker, WorkerEvent, WorkerOptions } from '../../../src/worker/index.ts';
import { waitUntil } from '../timing/wait-until.ts';

const program = fileURLToPath(new URL('../../fixtures/run-worker.mjs', import.meta.url));

/** Fields of all tasks are given as a value: they go to another process. */
export interface ProcessOptions extends Omit<WorkerOptions, 'fields' | 'onEvent'> {
  readonly fields?: FieldsOfWorker;
}

export interface ProcessStart {
  /** Modules that the process loads first. */
  readonly imports?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

const LAST_WORDS = 12;

type Seen = WorkerEvent | { readonly type: 'closed' };

/** Digests in names of jobs would fill the message of a test. */
const shortOf = (event: Seen): string =>
  Object.entries(event)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => (name === 'type' ? value : `${name}=${JSON.stringify(value)}`))
    .join(' ')
    .replaceAll(/[0-9a-f]{56}(?=\b)/g, '');

export class WorkerProcess {
  readonly child: ChildProcess;
  readonly events: Seen[] = [];
  /** When each event came, in milliseconds since 1970. */
  readonly #times: number[] = [];

  constructor(options: ProcessOptions, { imports = [], env = {} }: ProcessStart = {}) {
    const loads = imports.flatMap((path) => ['--import', path]);
    this.child = spawn(process.execPath, [...loads, program, JSON.stringify(options)], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ...env },
    });
    const { stdout } = this.child;
    if (stdout === null) throw new Error('no output');
    createInterface({ input: stdout }).on('line', (line) => {
      this.events.push(JSON.parse(line));
      this.#times.push(Date.now());
    });
  }

  static async start(options: ProcessOptions, start: ProcessStart = {}): Promise<WorkerProcess> {
    const worker = new WorkerProcess(options, start);
    await worker.saw('started');
    return worker;
  }

  get hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  /** How many such events the worker has told of. */
  count(type: Seen['type']): number {
    return this.events.filter((event) => event.type === type).length;
  }

  /** Resolves once the worker has told of such an event. */
  async saw(type: Seen['type'], times = 1): Promise<void> {
    await waitUntil(() => this.count(type) >= times);
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    if (this.hasEnded) return;
    const exited = once(this.child, 'exit');
    this.child.kill(signal);
    if (signal === 'SIGKILL') this.child.kill('SIGCONT');
    await exited;
  }

  /** What the worker said last, for the message of a test that waited in vain. */
  lastWords(): string {
    const { pid, exitCode, signalCode } = this.child;
    const how = this.hasEnded ? `ended by ${signalCode ?? exitCode}` : 'lives';
    const lines = this.events.slice(-LAST_WORDS).map((event, at) => {
      const time = this.#times.at(at - Math.min(LAST_WORDS, this.events.length)) ?? 0;
      return `${new Date(time).toISOString().slice(11)} ${shortOf(event)}`;
    });
    return [`worker ${pid} ${how}:`, ...lines].join('\n');
  }

  /** Processes that this one has started and that live. */
  guardPid(): number {
    const { pid } = this.child;
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
    const isGuard = (child: string) =>
      readFileSync(`/proc/${child}/cmdline`, 'utf8').includes('guard-process');
    return Number(children.find((child) => child !== '' && isGuard(child)) ?? 0);
  }
}
