/** Other tasks on the same machine: their files, messages and remains. */
import { chownSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import type { Probe } from '../support/probe.ts';
import { leaked } from '../support/probe.ts';
import { KILL, UNTIL_LISTENING } from './host-probes.ts';

const group = 'other tasks';

/** Paths at which a task may look for files of another one. */
const SEARCH = (names: string) =>
  `for root in '' /proc/[0-9]*/root; do for name in ${names}; do cat $root$name; done; done`;

export const neighbourProbes: readonly Probe[] = [
  {
    name: 'files of another task',
    group,
    tries: 'looks for a file of a running task in its own folders and below `/proc/*/root`',
    stoppedBy: 'a writable layer, mount and pid namespace for each',
    async prepare(scene) {
      await scene.neighbour('echo $HELD | tee /tmp/held /dev/shm/held > /var/tmp/held', {
        env: { HELD: scene.secret },
      });
    },
    program: SEARCH('/tmp/held /dev/shm/held /var/tmp/held'),
    judge: leaked,
    open: { share: ['pid'] },
  },
  {
    name: 'environment of another task',
    group,
    tries: 'reads `/proc/*/environ`',
    stoppedBy: 'pid namespace',
    async prepare(scene) {
      await scene.neighbour('', { env: { HELD: scene.secret } });
    },
    program: 'cat /proc/*/environ',
    judge: leaked,
    open: { share: ['pid'] },
  },
  {
    name: 'processes of another task',
    group,
    tries: 'reads `/proc/*/cmdline`',
    stoppedBy: 'pid namespace',
    async prepare(scene) {
      await scene.neighbour(`probe wait ${scene.secret} &`);
    },
    program: 'cat /proc/*/cmdline',
    judge: leaked,
    open: { share: ['pid'] },
  },
  {
    name: 'payload of another task',
    group,
    tries: 'looks for its payload, as a file and in its environment',
    stoppedBy: 'mount and pid namespace; it is its owner’s alone',
    async prepare(scene) {
      await scene.neighbour('', { payload: scene.secret });
    },
    program: `cat /run/stackshim/* /proc/*/environ; ${SEARCH('/run/stackshim/payload')}`,
    judge: leaked,
    open: { share: ['pid'] },
  },
  {
    name: 'end another task',
    group,
    tries: 'kills every process that has its host’s ids',
    stoppedBy: 'pid and user namespace',
    async prepare(scene) {
      const neighbour = await scene.neighbour('');
      const pid = await neighbour.findPid();
      scene.env['PID'] = String(pid);
    },
    program: KILL,
    judge: (_, scene) => !isAlive(scene.env['PID']),
    open: { share: ['pid'] },
  },
  {
    name: 'abstract sockets of another task',
    group,
    tries: 'connects to one',
    stoppedBy: 'network namespace',
    async prepare(scene) {
      scene.env['NAME'] = scene.secret.slice(-8);
      const neighbour = await scene.neighbour(
        `probe answer-abstract ${scene.env['NAME']} ${scene.secret}`,
      );
      scene.write('pid', String(await neighbour.findPid()));
    },
    program: 'probe ask-abstract $NAME',
    judge: leaked,
    open: { share: ['network'] },
  },
  {
    name: 'servers of another task',
    group,
    tries: 'connects to one on localhost',
    stoppedBy: 'network namespace',
    async prepare(scene) {
      scene.env['PORT'] = String(20_000 + (Number.parseInt(scene.secret.slice(-4), 16) % 10_000));
      const serve = 'nc -l -p $PORT -e echo $HELD &';
      const env = { PORT: scene.env['PORT'], HELD: scene.secret };
      await scene.neighbour(`${serve} ${UNTIL_LISTENING}`, { env });
    },
    program: 'nc -w 2 127.0.0.1 $PORT < /dev/null',
    judge: leaked,
    open: { share: ['network'] },
  },
  {
    name: 'keys of another task',
    group,
    tries: 'reads from the keyring that all processes of a user share',
    stoppedBy: 'seccomp; ids of its own',
    async prepare(scene) {
      scene.env['NAME'] = scene.secret.slice(-8);
      await scene.neighbour(`probe key-put ${scene.env['NAME']} ${scene.secret}`);
      scene.defer(() => scene.forgetKey(scene.env['NAME'] ?? ''));
    },
    program: 'probe key-get $NAME',
    judge: leaked,
  },
  {
    name: 'a folder of another owner below its own',
    group,
    tries:
      'reads what another task keeps to itself (mode 0600) in a folder of a user of its own, below one that it was given',
    stoppedBy: 'binds are id-mapped: only what belongs to the owner of its own source is its own',
    async prepare(scene) {
      const own = `${scene.bind('shared', '/shared')}/own`;
      mkdirSync(own);
      chownSync(own, 4321, 4321);
      await scene.neighbour('umask 077; echo $HELD > /own/held', {
        env: { HELD: scene.secret },
        binds: [{ source: own, target: '/own' }],
      });
    },
    program: 'cat /shared/own/held',
    judge: leaked,
  },
  {
    name: 'ids of another task',
    group,
    tries: 'reads in a folder of both who the other is on the host',
    stoppedBy: 'binds are id-mapped: it sees ids of its own alone',
    async prepare(scene) {
      scene.bind('shared', '/shared');
      await scene.neighbour('echo > /shared/held');
    },
    program: 'echo "id $(stat -c %u /shared/held)."',
    judge: ({ stdout }, scene) => stdout.includes(`id ${statSync(scene.path('shared/held')).uid}.`),
  },
  {
    name: 'what an earlier task left',
    group,
    tries: 'looks in every writable place for what a task before it wrote',
    stoppedBy: 'a writable layer and ipc namespace for each, removed with it',
    async prepare(scene) {
      const env = { HELD: scene.secret };
      await scene.visit(
        'echo $HELD | tee /tmp/held /dev/shm/held /held > /var/tmp/held; probe shm-put 77 $HELD',
        { env },
      );
    },
    program: 'cat /tmp/held /dev/shm/held /held /var/tmp/held; probe shm-get 77',
    judge: leaked,
    open: { sharedRoot: true },
  },
];

function isAlive(pid = ''): boolean {
  try {
    return !/^State:\t[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
