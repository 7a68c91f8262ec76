/** Other parts of the host: its processes with their memory and objects, its network, its name. */
import { once } from 'node:events';
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer } from 'node:net';
import { hostname } from 'node:os';
import type { Probe, ProbeAttempt } from '../support/probe.ts';
import { leaked } from '../support/probe.ts';
import type { ProbeScene } from '../support/probe-scene.ts';

const group = 'the host';

/** A process of the host with a secret in its memory and in an open file. */
async function placeVictim(scene: ProbeScene): Promise<void> {
  const victim = await scene.host([scene.image.program, 'victim', scene.path('secret')], {
    VICTIM: scene.secret,
  });
  const [pid = '', address = ''] = victim.stdout().trim().split(/\s+/);
  Object.assign(scene.env, { PID: pid, ADDRESS: address });
}

/** The content of the victim's memory. */
function treasureOf({ env }: ProbeScene): string {
  const memory = openSync(`/proc/${env['PID']}/mem`, 'r');
  const bytes = Buffer.alloc(16);
  readSync(memory, bytes, 0, bytes.length, Number(env['ADDRESS']));
  closeSync(memory);
  return bytes.toString('latin1');
}

/** The pid of a server that has just been started in the background. */
export const UNTIL_LISTENING =
  'until grep -qi ":$(printf %04x $PORT) " /proc/net/tcp /proc/net/tcp6; do sleep 0.02; done';

/** Waits for an end that will come. */
export const KILL =
  'kill -KILL $PID && for i in $(seq 200); do kill -0 $PID || break; sleep 0.02; done';

const isVictimGone = ({ env }: ProbeScene) => !/^State:\t[RSDT]/m.test(statusOrNothing(env['PID']));
function statusOrNothing(pid = ''): string {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8');
  } catch {
    return '';
  }
}

/** A server of the host that counts connections. Prints its port. */
async function serve(scene: ProbeScene): Promise<number> {
  scene.write('connections', '');
  const server = createServer((socket) => {
    scene.write('connections', 'one');
    socket.on('error', () => undefined);
    socket.end(`${scene.secret}\n`);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  scene.defer(() => new Promise<void>((resolve) => server.close(() => resolve())));
  const address = server.address();
  return address !== null && typeof address === 'object' ? address.port : 0;
}
const wasConnected = (_: ProbeAttempt, scene: ProbeScene) => scene.read('connections') === 'one';

export const hostProbes: readonly Probe[] = [
  {
    name: 'signals',
    group,
    tries: 'kills a process of the host by its id',
    stoppedBy: 'pid and user namespace',
    prepare: placeVictim,
    program: KILL,
    judge: (_, scene) => isVictimGone(scene),
    open: { share: ['pid'] },
  },
  {
    name: 'signals by descriptor',
    group,
    tries: 'the same with `pidfd_send_signal`',
    stoppedBy: 'pid and user namespace',
    prepare: placeVictim,
    program: 'probe signal-by-pidfd $PID',
    judge: (_, scene) => isVictimGone(scene),
    open: { share: ['pid'] },
  },
  {
    name: 'memory: process_vm_writev',
    group,
    tries: 'writes to the memory of a process of the host',
    stoppedBy: 'seccomp; pid and user namespace',
    prepare: placeVictim,
    program: 'probe write-memory $PID $ADDRESS',
    judge: (_, scene) => !treasureOf(scene).startsWith('untouched'),
    open: { share: ['pid'] },
  },
  {
    name: 'memory: /proc/PID/mem',
    group,
    tries: 'the same by the file',
    stoppedBy: 'pid and user namespace',
    prepare: placeVictim,
    program: 'probe write-mem-file $PID $ADDRESS',
    judge: (_, scene) => !treasureOf(scene).startsWith('untouched'),
    open: { share: ['pid'] },
  },
  {
    name: 'descriptors: pidfd_getfd',
    group,
    tries: 'takes an open file from a process of the host',
    stoppedBy: 'seccomp; pid and user namespace',
    prepare: placeVictim,
    program: 'probe take-descriptor $PID 3',
    judge: leaked,
    open: { share: ['pid'] },
  },
  {
    name: 'environment of processes',
    group,
    tries: 'reads `/proc/*/environ`',
    stoppedBy: 'pid and user namespace',
    prepare: placeVictim,
    program: 'cat /proc/*/environ',
    judge: leaked,
    open: { share: ['pid'] },
  },
  {
    name: 'command lines of processes',
    group,
    tries: 'reads `/proc/*/cmdline`',
    stoppedBy: 'pid namespace',
    async prepare(scene) {
      await scene.host([scene.image.program, 'wait', scene.secret]);
    },
    program: 'cat /proc/*/cmdline',
    judge: leaked,
    open: { share: ['pid'] },
  },
  {
    name: 'root folders of processes',
    group,
    tries: 'reads a file of the host below `/proc/*/root` and `/proc/*/cwd`',
    stoppedBy: 'pid and user namespace',
    program:
      'for process in /proc/1 /proc/2 /proc/[0-9]*; do cat $process/root$SECRET && break; done',
    judge: leaked,
    open: { share: ['pid'] },
  },
  {
    name: 'shared memory',
    group,
    tries: 'attaches a System V segment of the host, which is open to everybody',
    stoppedBy: 'ipc namespace',
    prepare(scene) {
      const key = `0x${scene.secret.slice(-7)}`;
      scene.env['KEY'] = key;
      scene.call('shm-put', key, scene.secret);
      scene.defer(() => void scene.call('shm-remove', key));
    },
    program: 'probe shm-get $KEY',
    judge: leaked,
    open: { share: ['ipc'] },
  },
  {
    name: 'message queues',
    group,
    tries: 'takes a message from a POSIX queue of the host, which is open to everybody',
    stoppedBy: 'ipc namespace',
    prepare(scene) {
      const name = `/queue${scene.secret.slice(-8)}`;
      scene.env['QUEUE'] = name;
      scene.call('mq-put', name, scene.secret);
      scene.defer(() => void scene.call('mq-remove', name));
    },
    program: 'probe mq-get $QUEUE',
    judge: leaked,
    open: { share: ['ipc'] },
  },
  {
    name: 'abstract sockets',
    group,
    tries:
      'connects to a server of the host that listens on an abstract Unix socket (CVE-2020-15257)',
    stoppedBy: 'network namespace',
    async prepare(scene) {
      const name = scene.secret.slice(-8);
      scene.env['NAME'] = name;
      await scene.host([scene.image.program, 'answer-abstract', name, scene.secret]);
    },
    program: 'probe ask-abstract $NAME',
    judge: leaked,
    open: { share: ['network'] },
  },
  {
    name: 'services on localhost',
    group,
    tries: 'connects to a server of the host on 127.0.0.1',
    stoppedBy: 'network namespace',
    async prepare(scene) {
      scene.env['PORT'] = String(await serve(scene));
    },
    program: 'nc -w 1 127.0.0.1 $PORT < /dev/null; nc -w 1 172.17.0.1 $PORT < /dev/null',
    judge: wasConnected,
    open: { share: ['network'] },
  },
  {
    name: 'a port of the host',
    group,
    tries: 'listens where clients of the host connect',
    stoppedBy: 'network namespace',
    prepare(scene) {
      scene.env['PORT'] = String(20_000 + (Number.parseInt(scene.secret.slice(-4), 16) % 10_000));
    },
    program: `nc -l -p $PORT -e true & ${UNTIL_LISTENING}`,
    judge: (_, scene) => isListening(Number(scene.env['PORT'])),
    open: { share: ['network'] },
  },
  {
    name: 'connections of the host',
    group,
    tries: 'reads the ports of the host’s servers in `/proc/net/tcp`',
    stoppedBy: 'network namespace',
    async prepare(scene) {
      const port = await serve(scene);
      scene.write('port', `:${port.toString(16).toUpperCase().padStart(4, '0')} `);
    },
    program: 'cat /proc/net/tcp',
    judge: ({ stdout }, scene) => stdout.includes(scene.read('port')),
    open: { share: ['network'] },
  },
  {
    name: 'name of the host',
    group,
    tries: 'sets it',
    stoppedBy: 'uts namespace; no CAP_SYS_ADMIN',
    prepare(scene) {
      scene.write('before', hostname());
      scene.defer(() => {
        if (hostname() !== scene.read('before'))
          writeFileSync('/proc/sys/kernel/hostname', scene.read('before'));
      });
    },
    program: 'hostname probe-was-here; echo probe-was-here > /proc/sys/kernel/hostname',
    judge: () => hostname() === 'probe-was-here',
    open: { share: ['uts'] },
    proveIn: 'vm',
  },
  {
    name: 'processes that outlive it',
    group,
    tries:
      'leaves a process behind that has left its session, has no parent and ignores every signal',
    stoppedBy: 'pid namespace: it ends with its first process',
    program: `mkdir /c
      for kind in pids freezer devices memory cpu cpuacct cpuset blkio none,name=systemd; do
        mount -t cgroup -o $kind cgroup /c && echo $$ > /c/cgroup.procs && umount /c; done
      mount -t cgroup2 cgroup /c && echo $$ > /c/cgroup.procs
      probe outlive $FOLDER`,
    judgeAfter: (_, scene) => findProcess(scene.folder) !== undefined,
    prepare(scene) {
      scene.defer(() => {
        const pid = findProcess(scene.folder);
        if (pid !== undefined) process.kill(pid, 'SIGKILL');
      });
    },
    open: { share: ['pid', 'cgroup'] },
  },
  {
    name: 'a folder that turns into a link: binds',
    group,
    tries:
      'swaps a folder with a link to a folder of the host while another task is given the first',
    stoppedBy: 'binds are resolved, admitted and opened without following links',
    prepare: raceBinds,
    program: '',
    judge: (_, scene) => scene.read('seen').includes(scene.secret),
  },
  {
    name: 'a folder that turns into a link: code',
    group,
    tries:
      'swaps a folder of a program with a link to a folder of the host while other tasks are started with that program',
    stoppedBy: 'code is packed without following links, and stays a link inside',
    prepare: raceCode,
    program: '',
    judge: (_, scene) => scene.read('seen').includes(scene.secret),
    open: { sceneFolder: true },
  },
];

const ROUNDS = 15;

/** One tenant has a shared folder writable, and swaps two names in it repeatedly. */
async function swapFolders(scene: ProbeScene): Promise<string> {
  const shared = scene.bind('shared', '/shared');
  mkdirSync(scene.path('private'));
  scene.write('private/file', scene.secret);
  mkdirSync(`${shared}/folder`, { mode: 0o777 });
  symlinkSync(scene.path('private'), `${shared}/link`);
  await scene.neighbour('probe exchange /shared/folder /shared/link');
  return shared;
}

/** Another tenant has one of the two names mounted. */
async function raceBinds(scene: ProbeScene): Promise<void> {
  const shared = await swapFolders(scene);
  scene.setPolicy({ allow: { bindSources: [shared] } });
  let seen = '';
  for (let round = 0; round < ROUNDS; round += 1) {
    const binds = [{ source: `${shared}/folder`, target: '/given' }];
    seen += await scene.visit('cat /given/file', { binds });
  }
  scene.write('seen', seen);
}

/** Another tenant has one of them as its program. */
async function raceCode(scene: ProbeScene): Promise<void> {
  const code = await swapFolders(scene);
  let seen = '';
  for (let round = 0; round < ROUNDS; round += 1) {
    seen += await scene.visit('cat /task/folder/file /task/link/file', { binds: [], code });
  }
  scene.write('seen', seen);
}

/** A process that was started under that name. */
function findProcess(name: string): number | undefined {
  const isIt = (pid: string) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith(`${name}\0wait`);
    } catch {
      return false;
    }
  };
  const found = readdirSync('/proc').find((pid) => /^\d+$/.test(pid) && isIt(pid));
  return found === undefined ? undefined : Number(found);
}

async function isListening(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
