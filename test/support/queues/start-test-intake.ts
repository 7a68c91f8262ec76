/** An intake with a budget of its own and a handler of the test. */
import { mkdtempSync, rmSync } from 'node:fs';
import { DEFAULT_POLICY } from '../../../src/spec/policy.ts';
import { monotonicMs } from '../../../src/sys/clocks.ts';
import { randomName } from '../../../src/sys/files.ts';
import { linuxSystem } from '../../../src/sys/linux-system.ts';
import { Budget } from '../../../src/worker/intake/budget/budget.ts';
import type { IntakeOptions } from '../../../src/worker/intake/intake-options.ts';
import { type Intake, startIntake } from '../../../src/worker/intake/start-intake.ts';
import type { Needs, TakenJob } from '../../../src/worker/taken-job.ts';

export const GIB = 1024 ** 3;
export const SMALL: Needs = { memoryBytes: GIB, diskBytes: GIB, cpus: 1 };

export interface TestBudgetOptions {
  /** Default: a new folder, removed with the budget. */
  readonly folder?: string;
  /** Room for as many jobs of {@link SMALL}. Default: 1,000. */
  readonly jobs?: number;
  readonly hasTasks?: (pid: number) => Promise<boolean>;
  readonly onFailure?: (error: unknown) => void;
  /** Default: plenty. */
  readonly freeDiskBytes?: () => number;
}

export function openTestBudget(options: TestBudgetOptions = {}): Budget {
  const { jobs = 1_000, hasTasks = async () => false } = options;
  const diskBytes = 10 * jobs * SMALL.diskBytes;
  const folder = options.folder ?? mkdtempSync('/var/tmp/stackshim-budget-');
  const budget = new Budget({
    folder,
    system: linuxSystem,
    hasTasks,
    monotonicMs,
    onFailure: (error) => options.onFailure?.(error),
    policy: {
      worker: { memory: 1, cpus: 1, disk: 1 },
      reserves: { ...DEFAULT_POLICY.reserves, memoryBytes: 0 },
    },
    machine: {
      memoryBytes: jobs * SMALL.memoryBytes,
      cpus: jobs * SMALL.cpus,
      freeDiskBytes: options.freeDiskBytes ?? (() => diskBytes),
      diskBytes: () => diskBytes,
    },
  });
  if (options.folder !== undefined) return budget;
  const close = budget.close.bind(budget);
  return Object.assign(budget, {
    close() {
      close();
      rmSync(folder, { recursive: true, force: true });
    },
  });
}

/** Completes the job as a worker does. */
export async function complete({ backend, job, token }: TakenJob): Promise<void> {
  await backend.moveToCompleted(job, 'done', false, token, false);
}

export type TestIntakeOptions = Partial<IntakeOptions> & Pick<IntakeOptions, 'store' | 'handle'>;

/** Queues: `q`, unless named. */
export async function startTestIntake(options: TestIntakeOptions): Promise<Intake> {
  const budget = options.budget ?? openTestBudget();
  const intake = await startIntake({
    queues: [{ name: 'q', weight: 1 }],
    concurrency: 8,
    lockMs: 30_000,
    stalledLookMs: 30_000,
    budget,
    usualNeeds: SMALL,
    mostNeeds: {},
    policyOf: () => ({ weight: 100 }),
    worker: 'test/1',
    clock: { monotonicMs, epochMs: Date.now },
    newToken: randomName,
    ...options,
  });
  if (options.budget !== undefined) return intake;
  return {
    ...intake,
    async close() {
      await intake.close();
      budget.close();
    },
  };
}

/** Closes the intake after what it has taken. */
export async function endIntake(intake: Intake): Promise<void> {
  await intake.stopTaking();
  await intake.idle();
  await intake.close();
}
