/** A worker in a process of its own, which can be killed and stopped. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { WorkerEvent, WorkerOptions } from '../../../src/worker/index.ts';
import { waitUntil } from '../../support/timing/wait-until.ts';

const program = fileURLToPath(new URL('../../fixtures/run-worker.mjs', import.meta.url));

type Seen = WorkerEvent | { readonly type: 'closed' };

export class WorkerProcess {
  readonly child: ChildProcess;
  readonly events: Seen[] = [];

  constructor(options: WorkerOptions) {
    this.child = spawn(process.execPath, [program, JSON.stringify(options)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const { stdout } = this.child;
    if (stdout === null) throw new Error('no output');
    createInterface({ input: stdout }).on('line', (line) => this.events.push(JSON.parse(line)));
  }

  static async start(options: WorkerOptions): Promise<WorkerProcess> {
    const worker = new WorkerProcess(options);
    await worker.saw('started');
    return worker;
  }

  get hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  /** Resolves once the worker has told of such an event. */
  async saw(type: Seen['type'], times = 1): Promise<void> {
    await waitUntil(() => this.events.filter((event) => event.type === type).length >= times);
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    if (this.hasEnded) return;
    const exited = once(this.child, 'exit');
    this.child.kill(signal);
    if (signal === 'SIGKILL') this.child.kill('SIGCONT');
    await exited;
  }

  /** Processes that this one has started and that live. */
  async guardPid(): Promise<number> {
    const { readFileSync } = await import('node:fs');
    const { pid } = this.child;
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
    const isGuard = (child: string) =>
      readFileSync(`/proc/${child}/cmdline`, 'utf8').includes('guard-process');
    return Number(children.find((child) => child !== '' && isGuard(child)) ?? 0);
  }
}
