/**
 * Ends tasks whose sockets hold more than the task's memory limit. Data in a socket that nobody sent to it is charged to
 * no cgroup, and a system call filter cannot block every way to produce it. One timer serves all tasks of the process.
 */
import { closeSync, readFileSync, readSync } from 'node:fs';
import type { CgroupUsage } from '../../cgroup/cgroup-driver.ts';
import { unlessFailed, unlessMissing } from '../../core/errors.ts';
import { driverOf } from '../../runtime/drivers/driver-of.ts';
import { canRefuseStamps, type HostFacts } from '../../sys/host-facts.ts';
import { openNetNamespace } from '../../sys/linux-processes.ts';
import type { Fd } from '../../sys/system.ts';
import type { Installation } from '../installation.ts';
import type { ContainerPlan } from '../plan-container.ts';

type SocketBounds = ReturnType<typeof toBounds>;

const LOOK_EVERY_MS = 100;
/** The pause after a detailed look is this many times as long as the look: a task's sockets use at most a fifth of a processor. */
const PAUSE_FACTOR = 4;
/** The most bytes that a program can fill per millisecond (1 GB/s or more): no earlier look is needed while usage is far from the limit. */
const FILLED_IN_A_MS = 1_000_000;
const LONGEST_PAUSE_MS = 250;
/** Large enough for the first line. */
const head = Buffer.alloc(64);

const watched = new Set<SocketWatch>();
let timer: NodeJS.Timeout | undefined;

export class SocketWatch {
  readonly #plan: ContainerPlan;
  readonly #installation: Installation;
  readonly #namespace: Fd;
  #memoryBytes: number;
  #passed: (() => void) | undefined;
  #stat: Fd | undefined;
  #diagnosis: Fd | undefined;
  /** Upper bounds for a single socket; undefined until the task has one. */
  #bounds: SocketBounds | undefined;
  #isLooking = false;
  #isClosed = false;
  #notBefore = 0;
  #peakBytes: number | null = null;

  /** @param namespace The task's network namespace, which the watch closes. */
  constructor(plan: ContainerPlan, installation: Installation, namespace: Fd) {
    this.#plan = plan;
    this.#installation = installation;
    this.#namespace = namespace;
    this.#memoryBytes = plan.spec.limits.memoryBytes;
  }

  setMemory(bytes: number): void {
    this.#memoryBytes = bytes;
  }

  /** Adds the largest amount found to the usage, if the cgroup was charged less for sockets. */
  addTo(usage: CgroupUsage): CgroupUsage {
    const found = this.#peakBytes;
    if (found === null || found <= (usage.socketPeakBytes ?? 0)) return usage;
    return { ...usage, socketPeakBytes: found };
  }

  /** Calls `passed` at most once, when the sockets hold more than the task's memory limit. */
  start(passed: () => void): void {
    this.#passed = passed;
    watched.add(this);
    timer ??= setInterval(() => {
      for (const watch of watched) watch.look();
    }, LOOK_EVERY_MS);
  }

  /** Ends the watch. A second call does nothing. */
  stop(): void {
    this.#passed = undefined;
    watched.delete(this);
    if (watched.size === 0) {
      clearInterval(timer);
      timer = undefined;
    }
    if (!this.#isLooking) this.#close();
  }

  /** Counts the sockets. Adds up their memory only if there are enough to exceed the limit. */
  look(): void {
    if (this.#isLooking || performance.now() < this.#notBefore) return;
    try {
      this.#stat ??= this.#open('sockstat');
      const line = head.subarray(0, readSync(this.#stat, head, 0, head.length, 0));
      const used = parseSocketsUsed(line);
      if (used === 0) return;
      this.#bounds ??= toBounds(this.#plan, this.#installation.host);
      if (used * this.#bounds.largestBytes > this.#memoryBytes) void this.#lookInside(this.#bounds);
    } catch {
      // Descriptors ran out: the next look retries.
    }
  }

  /** Never rejects. */
  async #lookInside({ unlistedBytes, unsentBytes }: SocketBounds): Promise<void> {
    this.#isLooking = true;
    const from = performance.now();
    let pauseMs = 0;
    try {
      const { lookAtSockets } = await import('./look-at-sockets.ts');
      const bytes = await lookAtSockets({
        open: (name) => this.#open(name),
        diagnosis: () => this.#openDiagnosis(),
        chargedBytes: () =>
          this.#installation.cgroups.readSocketBytes(this.#plan.places.cgroupsPath),
        resetBytes: socketSizes().receiveBytes,
        unlistedBytes,
        unsentBytes,
      });
      // Undefined: the task has ended.
      const passed = this.#passed;
      if (passed === undefined) return;
      this.#peakBytes = Math.max(this.#peakBytes ?? 0, bytes);
      pauseMs = Math.min(LONGEST_PAUSE_MS, (this.#memoryBytes - bytes) / FILLED_IN_A_MS);
      if (bytes <= this.#memoryBytes) return;
      this.#passed = undefined;
      passed();
    } catch {
      // The host ran out of a resource: the next look retries.
    } finally {
      this.#isLooking = false;
      const end = performance.now();
      this.#notBefore = end + Math.max(pauseMs, (end - from) * PAUSE_FACTOR);
      if (this.#passed === undefined) this.#close();
    }
  }

  #open(name: string): Fd {
    return this.#installation.system.openNetFile(this.#namespace, name);
  }

  #openDiagnosis(): Fd | undefined {
    const open = () => this.#installation.system.openSocketDiagnosis(this.#namespace);
    this.#diagnosis ??= unlessFailed(open, ['EPROTONOSUPPORT']);
    return this.#diagnosis;
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#stat !== undefined) closeSync(this.#stat);
    if (this.#diagnosis !== undefined) this.#installation.system.close(this.#diagnosis);
    closeSync(this.#namespace);
  }
}

/** An incomplete UDP message: under the bundle's seccomp filter, nothing else can wait in an unlisted socket of a program. */
const UNSENT_BYTES = 2 * 65_536;
/** The most memory of such a message: the kernel allows this many pieces, each on its own page, but may count only one byte of each. */
const UNSENT_PAGES_BYTES = 17 * 32_768;

/**
 * Opens the watch of a task's sockets. Undefined for a task on the host's network, whose
 * sockets are among the host's, and for a sandbox, whose sockets are its own memory.
 *
 * @param pid The container's init before it becomes the command: a command could keep other processes out of its namespace.
 */
export function openSocketWatch(
  plan: ContainerPlan,
  installation: Installation,
  pid: number,
): SocketWatch | undefined {
  const { spec, runtime } = plan;
  if (spec.network === 'host' || !driverOf(runtime).usesHostSockets) return undefined;
  // Undefined: the process has ended.
  const namespace = unlessMissing(() => openNetNamespace(pid));
  if (namespace === undefined) return undefined;
  return new SocketWatch(plan, installation, namespace);
}

function toBounds({ spec }: ContainerPlan, host: HostFacts) {
  const { receiveBytes, grownBytes, optionBytes } = socketSizes();
  // Whether programs can make the kernel queue errors and timestamps, even in sockets that they then remove from its lists.
  const fillsErrors =
    spec.seccomp !== undefined ||
    spec.capAdd.some((name) => name === 'CAP_NET_RAW' || name === 'ALL') ||
    !refusesStamps(host);
  const queueBytes = fillsErrors ? grownBytes : receiveBytes;
  return {
    /** No socket holds more. */
    largestBytes: queueBytes + UNSENT_PAGES_BYTES + optionBytes,
    /** The most bytes in an unlisted socket of the task's programs. */
    unlistedBytes: fillsErrors ? receiveBytes : UNSENT_BYTES,
    /** The most memory of a message that waits to be sent. */
    unsentBytes: UNSENT_PAGES_BYTES,
  };
}

/** Whether timestamps are refused: by the tasks themselves or, where they cannot, by the host. */
const refusesStamps = (host: HostFacts): boolean =>
  canRefuseStamps(host) ||
  readFileSync('/proc/sys/net/core/tstamp_allow_data', 'utf8').trim() === '0';

/** The longest IP message. */
const MESSAGE_BYTES = 65_536;

/** The kernel's settings, read once per process. */
let knownSizes: ReturnType<typeof readSizes> | undefined;

function socketSizes() {
  knownSizes ??= readSizes();
  return knownSizes;
}

function readSizes() {
  const largestOf = (name: string) =>
    Math.max(...readFileSync(`/proc/sys/net/${name}`, 'utf8').trim().split(/\s+/).map(Number));
  const receiveMax = Math.max(2 * largestOf('core/rmem_max'), largestOf('core/rmem_default'));
  // The most bytes in a receive queue: the kernel doubles the size that a program requests, and accepts one message beyond it.
  const receiveBytes = receiveMax + MESSAGE_BYTES;
  // The most bytes in a TCP receive queue, which the kernel enlarges while a program reads.
  const grownBytes = Math.max(receiveBytes, largestOf('ipv4/tcp_rmem') + MESSAGE_BYTES);
  // The most memory for a socket's options, in addition to its queues.
  const optionBytes = largestOf('core/optmem_max');
  return { receiveBytes, grownBytes, optionBytes };
}

/** Parses the number of all sockets from the first line of sockstat. */
export function parseSocketsUsed(text: Buffer): number {
  // The line is `sockets: used 12`.
  let used = 0;
  for (let at = 14; at < text.length; at += 1) {
    const digit = (text[at] ?? 0) - 48;
    if (digit < 0 || digit > 9) break;
    used = used * 10 + digit;
  }
  return used;
}
