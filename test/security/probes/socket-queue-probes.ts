/** Memory in sockets that no cgroup is charged for: seccomp blocks what it can see, and the rest is watched. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { scaled } from '../../support/timing/time-scale.ts';
import type { Probe, ProbeAttempt } from '../support/probe.ts';

const group = 'resources';
const MEBIBYTE = 1024 * 1024;
const MEMORY = '32m';
/** The memory that a program tries to hold, and what counts as much. */
const [FLOOD_MIB, MUCH] = [160, 48 * MEBIBYTE];
const WATCHED = 'seccomp as far as it can see; sockets are watched, and the task is ended';

/** A file of the container's network namespace, read through the last thread of its first process; empty after the container has ended. */
function netFile(pid: number | undefined, name: string): string {
  const threads = `/proc/${pid}/task`;
  if (!existsSync(threads)) return '';
  const path = `${threads}/${readdirSync(threads).at(-1)}/net/${name}`;
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}

const linesOf = (text: string) => text.trimEnd().split('\n').slice(1);
const columnsOf = (text: string) => linesOf(text).map((line) => line.trim().split(/\s+/));
const sum = (numbers: readonly number[]) => numbers.reduce((total, one) => total + one, 0);

/** Bytes that wait to be sent and received, from a table of the kernel. */
function queuedBytes(pid: number | undefined, table: 'tcp' | 'udp' | 'netlink'): number {
  const rows = columnsOf(netFile(pid, table));
  if (table === 'netlink') return sum(rows.map((columns) => Number(columns[4])));
  const queues = rows.flatMap((columns) => columns[4]?.split(':') ?? []);
  return sum(queues.map((bytes) => Number.parseInt(bytes, 16)));
}

/** Counts of one kind of sockets, or of all: `sockets: used 12`, `TCP: inuse 5`. */
function countSockets(pid: number | undefined, kind: 'sockets' | 'TCP'): number {
  const found = new RegExp(`^${kind}: \\w+ (\\d+)`, 'm').exec(netFile(pid, 'sockstat'));
  return Number(found?.[1] ?? 0);
}

/** How long a task that holds too much may continue. */
const ENDS_WITHIN_MS = 10_000;

/** In an open container immediately; elsewhere only if it lasts. */
const lasting =
  (holds: (pid: number | undefined) => boolean) =>
  async ({ place, pid }: ProbeAttempt): Promise<boolean> => {
    const until = performance.now() + scaled(ENDS_WITHIN_MS);
    while (holds(pid)) {
      if (place === 'open' || performance.now() > until) return true;
      await pause(50);
    }
    return false;
  };

type Held = (pid: number | undefined) => boolean;

const queueProbe = (
  name: string,
  about: Pick<Probe, 'tries' | 'program'> & { readonly holds: Held; readonly stoppedBy?: string },
): Probe => {
  const { holds, stoppedBy = WATCHED, ...rest } = about;
  const task = { memory: MEMORY };
  return { name: `queues: ${name}`, group, ...rest, stoppedBy, task, judge: lasting(holds) };
};

const inTable =
  (table: 'tcp' | 'udp' | 'netlink'): Held =>
  (pid) =>
    queuedBytes(pid, table) > MUCH;
const inSockets =
  (kind: 'sockets' | 'TCP', most: number): Held =>
  (pid) =>
    countSockets(pid, kind) > most;

const UPPER = 2 ** 32;
const stampOption = (option: number) => `probe queue-stamps ${FLOOD_MIB} 1 ${option}`;

export const socketQueueProbes: readonly Probe[] = [
  queueProbe('answers of the kernel', {
    tries: `has ${FLOOD_MIB} MiB of answers about its network wait unread, with ${MEMORY} of memory`,
    program: `probe queue-answers ${FLOOD_MIB}`,
    holds: inTable('netlink'),
  }),
  queueProbe('answers of the kernel, to a program whose first thread has left', {
    tries: 'the same after its first thread has ended: /proc tells no network of its process then',
    program: `probe queue-answers ${FLOOD_MIB} leave`,
    holds: inTable('netlink'),
  }),
  queueProbe('transmit timestamps, asked for with each message', {
    tries: 'has the kernel send every message back with its time, where no filter sees that asked',
    stoppedBy: 'a setting of its network namespace (Linux 6.18); sockets are watched',
    program: `probe queue-stamps ${FLOOD_MIB}`,
    holds: inTable('udp'),
  }),
  queueProbe('transmit timestamps, asked for by an option', {
    tries: 'the same for all messages of a socket',
    program: stampOption(37),
    holds: inTable('udp'),
  }),
  queueProbe('transmit timestamps, by the newer option and a longer number', {
    tries: 'the same with a number whose upper bits the kernel drops, and a check may not',
    program: stampOption(65 + UPPER),
    holds: inTable('udp'),
  }),
  queueProbe('transmit timestamps in sockets that the kernel does not list', {
    tries: 'takes sockets with full queues from the tables that such queues are found in',
    program: `probe queue-stamps ${FLOOD_MIB} hide`,
    // 2 MiB each, or the host's maximum.
    holds: inSockets('sockets', 60),
  }),
  queueProbe('transmit timestamps of streams', {
    tries: 'the same with TCP, whose queues no table tells',
    stoppedBy: 'a setting of its network namespace (Linux 6.18); sockets are watched',
    program: `probe queue-tcp-stamps ${FLOOD_MIB}`,
    holds: inSockets('TCP', 120),
  }),
  queueProbe('messages that are not complete', {
    tries: '3,000 datagrams of 60 KB each that are begun and never sent',
    program: 'probe queue-unsent 3000',
    holds: inTable('udp'),
  }),
  queueProbe('messages that are not complete, in sockets that the kernel does not list', {
    tries: 'the same in sockets that were disconnected then',
    program: 'probe queue-unsent 3000 hide',
    holds: inSockets('sockets', 1500),
  }),
  queueProbe('connections that nobody accepts', {
    tries: `sends ${FLOOD_MIB} MiB on connections that nobody accepts: until then nobody is charged`,
    program: `probe queue-unaccepted ${FLOOD_MIB}`,
    holds: inTable('tcp'),
  }),
  queueProbe('connections without anything in them', {
    tries: 'has 40,000 connections wait to be accepted, each of which it has closed',
    program: 'probe queue-connections 40000',
    holds: inSockets('TCP', 20_000),
  }),
  queueProbe('groups of IPv6', {
    tries: 'joins 5,000 groups, each of which the kernel remembers',
    stoppedBy: 'seccomp',
    program: 'probe join-groups 5000',
    holds: (pid) => netFile(pid, 'igmp6').split('\n').length > 1000,
  }),
  queueProbe('groups of IPv4', {
    tries: 'joins 20,000 groups, each with ten sources, 20 on each socket',
    stoppedBy: 'settings of its network namespace: 5 groups for each socket, one source for each',
    program: 'probe join-groups-4 20000',
    holds: (pid) => netFile(pid, 'mcfilter').split('\n').length > 40_000,
  }),
];
