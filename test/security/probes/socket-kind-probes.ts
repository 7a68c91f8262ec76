/** Socket types and terminal requests that reach rarely used kernel code, or make the host load it. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import type { Probe, ProbeAttempt } from '../support/probe.ts';
import type { ProbeScene } from '../support/probe-scene.ts';

const group = 'system calls';
const [INET, NETLINK, STREAM, DATAGRAM, RAW] = [2, 16, 1, 2, 3];

function linesOf({ pid }: ProbeAttempt, kind: string): readonly (readonly string[])[] {
  if (pid === undefined || !existsSync(`/proc/${pid}`)) return [];
  const lines = readFileSync(`/proc/${pid}/net/${kind}`, 'utf8').trimEnd().split('\n').slice(1);
  return lines.map((line) => line.trim().split(/\s+/));
}

/** The kernel has sockets of its own in every network namespace, without ports. */
function netlinkProbe(name: string, protocol: number, tries: string): Probe {
  return {
    name: `netlink: ${name}`,
    group,
    tries,
    stoppedBy: 'seccomp',
    program: `probe open-socket ${NETLINK} ${RAW} ${protocol}`,
    judge: (attempt) =>
      linesOf(attempt, 'netlink').some(
        ([, kind, port]) => kind === String(protocol) && port !== '0',
      ),
  };
}

/** As /proc/net/protocols counts them in its network namespace. */
function protocolProbe(name: string, type: number, protocol: number): Probe {
  return {
    name: `sockets: ${name}`,
    group,
    tries: `opens a socket of the protocol ${name}`,
    stoppedBy: 'seccomp',
    program: `probe open-socket ${INET} ${type} ${protocol}`,
    judge: (attempt) =>
      linesOf(attempt, 'protocols').some(([kind, , held]) => kind === name && Number(held) > 0),
  };
}

/** What the host's program reports about each of its terminals. */
function terminalsOf({ pid }: ProbeAttempt, scene: ProbeScene): readonly string[] {
  if (pid === undefined || !existsSync(`/proc/${pid}/root/dev/pts`)) return [];
  const folder = `/proc/${pid}/root/dev/pts`;
  const names = readdirSync(folder).filter((name) => /^\d+$/.test(name));
  return names.map((name) => scene.call('terminal-state', `${folder}/${name}`));
}

export const socketKindProbes: readonly Probe[] = [
  netlinkProbe('audit', 9, 'opens a socket to the host’s audit log'),
  netlinkProbe('generic', 16, 'opens a socket by which names of families are loaded as modules'),
  netlinkProbe('uevents', 15, 'listens to what the kernel tells of the host’s devices'),
  netlinkProbe('sockets', 4, 'opens a socket that asks about the sockets of others'),
  protocolProbe('MPTCP', STREAM, 262),
  protocolProbe('UDP-Lite', DATAGRAM, 136),
  {
    name: 'terminals: line disciplines',
    group,
    tries: 'sets another line discipline of its terminal, which the host loads as a module',
    stoppedBy: 'seccomp',
    program: 'probe set-discipline',
    judge: (attempt, scene) =>
      terminalsOf(attempt, scene).some((state) => !state.includes('discipline 0 ')),
  },
  {
    name: 'terminals: TIOCSTI',
    group,
    tries: 'types into its own terminal, as if a person had done so',
    stoppedBy: 'seccomp',
    program: 'probe type-into-terminal',
    judge: (attempt, scene) =>
      terminalsOf(attempt, scene).some((state) => !state.endsWith('waiting 0')),
  },
];
