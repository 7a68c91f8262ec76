/** A running test VM: started, given commands, powered off or cut off. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { StepFailure } from './failure.mjs';
import { say } from './report-step.mjs';
import { runProgram } from './run-program.mjs';
import { readTail } from './vm-disks.mjs';
import { guestPaths } from './vm-guest-files.mjs';

/**
 * @typedef {object} RunOptions
 * @property {Record<string, string>} [env]
 * @property {string} [cwd] default: the checkout
 * @property {boolean} [show] whether its output lines go to stderr as they come
 * @property {(line: string) => boolean} [onLine] gets each line of its standard output as it comes; true keeps it from being shown
 * @property {number} [timeoutMs] it is killed after that; default: 10 minutes
 */

/**
 * @typedef {object} Machine
 * @property {{kernel: string, node: string}} ready
 * @property {(program: string, args: readonly string[], options?: RunOptions) => Promise<{status: number, stdout: string, stderr: string}>} run
 *   rejects when the machine ends first; a program that a signal ended has the status 128 + 9
 * @property {() => Promise<void>} cutPower kills QEMU
 * @property {() => Promise<void>} powerOff in order; kills QEMU when that takes longer than two minutes
 */

const POWER_OFF_MS = 120_000;
const RUN_MS = 600_000;

/**
 * @param {object} options
 * @param {import('./vm-disks.mjs').SystemDisk} options.system its changes are thrown away
 * @param {readonly {file: string, readOnly: boolean}[]} options.disks as /dev/vdb, /dev/vdc, …
 * @param {string} options.folder for its socket and its console's log
 * @param {readonly string[]} options.acceleration arguments that choose it
 * @param {number} options.processors how many it has
 * @param {number} options.bootMs how long it may take to start
 * @returns {Promise<Machine>}
 */
export async function startMachine({ system, disks, folder, acceleration, processors, bootMs }) {
  const socket = `${folder}/port`;
  const consoleLog = `${folder}/console.log`;
  const server = createServer();
  server.listen(socket);
  await once(server, 'listening');
  /** @type {import('node:child_process').ChildProcess | undefined} */
  let qemu;
  const ended = runProgram(
    'setpriv',
    qemuCommand({ system, disks, acceleration, processors, socket, consoleLog }),
    {
      output: 'capture',
      anyStatus: true,
      onStart: (child) => {
        qemu = child;
      },
    },
  ).catch((error) => error);
  const isOver = ended.then(async (how) => {
    server.close();
    const said = how instanceof Error ? how.message : how.stderr;
    return new StepFailure(`the test VM ended: ${said}`, await readTail(consoleLog));
  });
  const orOver = (/** @type {Promise<any>} */ wanted) =>
    Promise.race([wanted, isOver.then((failure) => Promise.reject(failure))]);
  const kill = async () => {
    qemu?.kill('SIGKILL');
    await isOver;
  };
  try {
    const [connection] = await orOver(once(server, 'connection'));
    const talk = speak(connection);
    const ready = await orOver(withDeadline(talk.ready, bootMs));
    return {
      ready,
      run: (program, args, given = {}) => orOver(talk.run(program, args, given)),
      cutPower: kill,
      async powerOff() {
        void talk.run('systemctl', ['poweroff'], {}).catch(() => undefined);
        await withDeadline(isOver, POWER_OFF_MS).catch(kill);
      },
    };
  } catch (error) {
    await kill();
    if (!(error instanceof StepFailure)) throw error;
    throw new StepFailure(error.message, `its console:\n${await readTail(consoleLog)}`);
  }
}

/**
 * @param {{system: import('./vm-disks.mjs').SystemDisk, disks: readonly {file: string, readOnly: boolean}[],
 *   acceleration: readonly string[], processors: number, socket: string, consoleLog: string}} machine
 */
function qemuCommand({ system, disks, acceleration, processors, socket, consoleLog }) {
  // Do not clear pages twice, and shorten the kernel's RCU grace periods.
  const fast = 'mitigations=off init_on_alloc=0 rcupdate.rcu_expedited=1';
  const kernelArgs = `root=LABEL=system rw console=ttyS0 net.ifnames=0 quiet ${fast}`;
  const drives = [
    // Changes go to a temporary file without a name.
    `file=${system.image},format=raw,if=virtio,snapshot=on`,
    ...disks.map(
      ({ file, readOnly }) =>
        `file=${file},format=raw,if=virtio,cache=${readOnly ? 'writeback,readonly=on' : 'writeback'}`,
    ),
  ];
  return [
    // The machine must not survive this process.
    ...['--pdeathsig', 'KILL', 'qemu-system-x86_64', ...acceleration],
    ...[
      '-smp',
      String(processors),
      '-m',
      '3072',
      '-nodefaults',
      '-no-user-config',
      '-display',
      'none',
    ],
    ...['-no-reboot', '-serial', `file:${consoleLog}`, '-device', 'virtio-rng-pci'],
    ...['-kernel', system.kernel, '-initrd', system.initrd, '-append', kernelArgs],
    ...drives.flatMap((drive) => ['-drive', drive]),
    // A network interface, as every machine has one, without a network.
    ...['-netdev', 'hubport,id=alone,hubid=0', '-device', 'virtio-net-pci,netdev=alone'],
    ...['-device', 'virtio-serial-pci', '-chardev', `socket,id=port,path=${socket}`],
    ...['-device', `virtserialport,chardev=port,name=${guestPaths.port.split('/').pop()}`],
  ];
}

/**
 * @template T
 * @param {Promise<T>} wanted
 * @param {number} ms
 * @returns {Promise<T>}
 */
async function withDeadline(wanted, ms) {
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  const late = new Promise((_, reject) => {
    const failure = new StepFailure(`the test VM did not answer within ${ms / 1000} s`, '');
    timer = setTimeout(() => reject(failure), ms);
    // A machine that has ended never answers: that must not keep this process from ending.
    timer.unref();
  });
  try {
    return /** @type {T} */ (await Promise.race([wanted, late]));
  } finally {
    clearTimeout(timer);
  }
}

/** @param {(line: string) => unknown} take gets each line that is whole */
function splitLines(take) {
  let rest = '';
  return (/** @type {string} */ text) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) take(line);
  };
}

/** @param {import('node:net').Socket} connection to the agent in the guest */
function speak(connection) {
  let lastId = 0;
  /** @type {Map<number, (message: {stream?: 'stdout' | 'stderr', text: string, status: number | null, error?: string}) => void>} */
  const waiting = new Map();
  const ready = new Promise((resolve) => {
    createInterface({ input: connection }).on('line', (line) => {
      const message = JSON.parse(line);
      if (message.ready === undefined) waiting.get(message.id)?.(message);
      else resolve(message.ready);
    });
  });
  connection.on('error', () => undefined);
  /**
   * @param {string} program
   * @param {readonly string[]} args
   * @param {RunOptions} options
   */
  async function run(
    program,
    args,
    { env = {}, cwd = guestPaths.project, show = false, onLine, timeoutMs = RUN_MS },
  ) {
    lastId += 1;
    const id = lastId;
    const texts = { stdout: '', stderr: '' };
    // The caller's context differs from that of the connection's events.
    const sayLine = AsyncLocalStorage.bind((/** @type {string} */ line) => {
      if (show) say(line);
    });
    const takeStdout = splitLines((line) => onLine?.(line) || sayLine(line));
    const take = { stdout: takeStdout, stderr: splitLines(sayLine) };
    const over = new Promise((resolve) => {
      waiting.set(id, (message) => {
        if (message.stream === undefined) return resolve(message);
        texts[message.stream] += message.text;
        take[message.stream](message.text);
      });
    });
    connection.write(`${JSON.stringify({ id, program, args, cwd, env, timeoutMs })}\n`);
    const { status, error } = await withDeadline(over, timeoutMs + 60_000).finally(() =>
      waiting.delete(id),
    );
    return { ...texts, status: status ?? 137, stderr: error === undefined ? texts.stderr : error };
  }
  return { ready, run };
}
