/** The TCP sockets of a network namespace and their memory, as the kernel's inet_diag reports them: linux/inet_diag.h, linux/sock_diag.h. */
import { readSync, writeSync } from 'node:fs';
import type { Fd } from './system.ts';

export type InternetFamily = 'inet' | 'inet6';

export interface TcpSocket {
  readonly isListening: boolean;
  /** No program has accepted this connection yet. False once the peer has reset it: the kernel no longer lists it. */
  readonly isUnaccepted: boolean;
  readonly port: number;
  /** For a listening socket: connections waiting to be accepted, including reset ones. */
  readonly waiting: number;
  /** All memory of the socket's queues, including kernel overhead. */
  readonly bytes: number;
}

const FAMILIES: Readonly<Record<InternetFamily, number>> = { inet: 2, inet6: 10 };
const IPPROTO_TCP = 6;
const SOCK_DIAG_BY_FAMILY = 20;
const NLM_F_REQUEST_DUMP = 0x301;
const [NLMSG_ERROR, NLMSG_DONE] = [2, 3];
const SKMEMINFO = 7;
const [ESTABLISHED, TIME_WAIT, CLOSE_WAIT, LISTEN, NEW_SYN_RECV] = [1, 6, 8, 10, 12];
/** The states in which a socket has queues. */
const STATES = 0xffff & ~(1 << TIME_WAIT) & ~(1 << NEW_SYN_RECV);
/** Sizes of struct nlmsghdr, struct inet_diag_req_v2 and struct inet_diag_msg. */
const [HEADER, REQUEST, MESSAGE] = [16, 56, 72];
/** The kernel returns up to 32 KiB per read. */
const ANSWER_BYTES = 65_536;
const ENOENT = 2;

/**
 * Calls `each` for every socket of one family, without blocking the event loop. Resolves to false if the kernel lacks the diagnosis. `fd` comes
 * from `System.openSocketDiagnosis` and serves one call at a time.
 */
export async function readTcpSockets(
  fd: Fd,
  family: InternetFamily,
  each: (socket: TcpSocket) => void,
): Promise<boolean> {
  writeSync(fd, toRequest(family));
  const answer = Buffer.alloc(ANSWER_BYTES);
  for (;;) {
    const end = readAnswer(answer.subarray(0, readSync(fd, answer)), each);
    if (end !== undefined) return end;
    // A read takes up to 1 ms: let the event loop run in between.
    await new Promise(setImmediate);
  }
}

function toRequest(family: InternetFamily): Buffer {
  const request = Buffer.alloc(HEADER + REQUEST);
  request.writeUInt32LE(request.length, 0);
  request.writeUInt16LE(SOCK_DIAG_BY_FAMILY, 4);
  request.writeUInt16LE(NLM_F_REQUEST_DUMP, 6);
  request.writeUInt8(FAMILIES[family], HEADER);
  request.writeUInt8(IPPROTO_TCP, HEADER + 1);
  request.writeUInt8(1 << (SKMEMINFO - 1), HEADER + 2);
  request.writeUInt32LE(STATES, HEADER + 4);
  return request;
}

/** True if the answer is complete; false if the kernel refused the request; undefined if more is to come. */
function readAnswer(answer: Buffer, each: (socket: TcpSocket) => void): boolean | undefined {
  for (let at = 0; at + HEADER <= answer.length; ) {
    const length = answer.readUInt32LE(at);
    const type = answer.readUInt16LE(at + 4);
    if (type === NLMSG_DONE) return true;
    if (type === NLMSG_ERROR) {
      const errno = -answer.readInt32LE(at + HEADER);
      if (errno === ENOENT) return false;
      throw new Error(`inet_diag: errno ${errno}`);
    }
    if (length < HEADER + MESSAGE) throw new Error(`inet_diag: a message of ${length} bytes`);
    each(toSocket(answer.subarray(at + HEADER, at + length)));
    at += align(length);
  }
  return undefined;
}

function toSocket(message: Buffer): TcpSocket {
  const state = message.readUInt8(1);
  const hasNoInode = message.readUInt32LE(68) === 0;
  return {
    isListening: state === LISTEN,
    isUnaccepted: hasNoInode && (state === ESTABLISHED || state === CLOSE_WAIT),
    port: message.readUInt16BE(4),
    waiting: state === LISTEN ? message.readUInt32LE(56) : 0,
    bytes: readMemory(message),
  };
}

/** Indices in SK_MEMINFO_*: receive queue with error queue, forward allocation, send queue, options, backlog. */
const MEMORY = [0, 4, 5, 6, 7];

function readMemory(message: Buffer): number {
  for (let at = MESSAGE; at + 4 <= message.length; ) {
    const length = message.readUInt16LE(at);
    if (message.readUInt16LE(at + 2) === SKMEMINFO) {
      return MEMORY.reduce((sum, index) => sum + message.readUInt32LE(at + 4 + index * 4), 0);
    }
    if (length < 4) break;
    at += align(length);
  }
  return 0;
}

const align = (length: number) => (length + 3) & ~3;
