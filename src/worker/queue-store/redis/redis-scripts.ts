/** The store's atomic steps on Redis, in Lua, by the server's clock. A negative score marks a lane to prune; an announcement overwrites it. */
import type { Redis } from 'ioredis';
import { KEPT_EVENTS, PREFIX } from '../lane-settings.ts';

export const ACTIVE_KEY = `${PREFIX}:active`;
export const CATALOGUE_KEY = `${PREFIX}:catalogue`;
export const BELL_CHANNEL = `${PREFIX}:bell`;
export const CANCEL_CHANNEL = `${PREFIX}:cancel`;
export const lanesKey = (queue: string): string => `${PREFIX}:lanes:${queue}`;
const laneKey = (name: string, part: string): string => `${PREFIX}:${name}:${part}`;

const MAX_NAME_CHARS = 200;
/** Occupies the server for about a millisecond. */
const LISTED_AT_ONCE = 2000;
/** A worker notes its active lanes at least every 20 s. */
const ACTIVE_FOR_MS = 60_000;

const NOW_MS = `local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
`;

/** The parts of a lane that hold unfinished jobs, and the command that counts each. */
const UNFINISHED = [
  ['wait', 'LLEN'],
  ['paused', 'LLEN'],
  ['active', 'LLEN'],
  ['delayed', 'ZCARD'],
  ['prioritized', 'ZCARD'],
  ['waiting-children', 'ZCARD'],
  ['repeat', 'ZCARD'],
] as const;

const PEEKED = ['wait', 'paused', 'prioritized', 'delayed'] as const;

/** Expects the keys of {@link UNFINISHED} from KEYS[2] on. */
const COUNT_JOBS = `local jobs = 0
${UNFINISHED.map(([, count], at) => `jobs = jobs + redis.call('${count}', KEYS[${at + 2}])`).join('\n')}
`;

const ENTER = `${NOW_MS}redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('HSETNX', KEYS[2], 'opts.maxLenEvents', ${KEPT_EVENTS})
return 1`;

const RING = `${NOW_MS}redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('PUBLISH', ARGV[2], ARGV[1])
return 1`;

/** The mark is unique, so that another pruner's mark does not count as this one's. */
const MARK = `${COUNT_JOBS}if jobs > 0 then return false end
local time = redis.call('TIME')
local mark = string.format('-%d%06d', time[1], time[2])
redis.call('ZADD', KEYS[1], 'XX', mark, ARGV[1])
return mark`;

const SWEEP = `${NOW_MS}${COUNT_JOBS}local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not score or tonumber(score) ~= tonumber(ARGV[2]) then return 0 end
if jobs > 0 then
  redis.call('ZADD', KEYS[1], now, ARGV[1])
  return 0
end
return redis.call('ZREM', KEYS[1], ARGV[1])`;

/** A paused lane has its jobs in another list. A delayed job's score is its time followed by a 12-bit counter. */
const PEEK = `local count = tonumber(ARGV[2])
local names = {}
local function see(ids)
  for at = 1, #ids do
    if #names == count then return end
    local name = redis.pcall('HGET', ARGV[1] .. ids[at], 'name')
    names[#names + 1] = type(name) == 'string' and string.sub(name, 1, ${MAX_NAME_CHARS}) or ''
  end
end
for list = 1, 2 do
  local ids = redis.call('LRANGE', KEYS[list], -count, -1)
  local turned = {}
  for at = #ids, 1, -1 do turned[#turned + 1] = ids[at] end
  see(turned)
end
see(redis.call('ZRANGE', KEYS[3], 0, count - 1))
local first = redis.call('ZRANGE', KEYS[4], 0, 0, 'WITHSCORES')
local due = first[2] and string.format('%d', math.floor(tonumber(first[2]) / 0x1000)) or false
return {names, due}`;

/** Returns only names that may be a lane's, because a producer may have entered anything. */
const LIST = `local scanned = redis.call('ZSCAN', KEYS[1], ARGV[1], 'MATCH', ARGV[2] .. '~*', 'COUNT', ${LISTED_AT_ONCE})
local names = {}
for at = 1, #scanned[2], 2 do
  local name, score = scanned[2][at], scanned[2][at + 1]
  local is_late = ARGV[3] == '' or (tonumber(score) or 0) >= tonumber(ARGV[3])
  if is_late and #name <= ${MAX_NAME_CHARS} then names[#names + 1] = name end
end
return {scanned[1], names}`;

const NOTE = `${NOW_MS}return redis.call('ZADD', KEYS[1], now, ARGV[1])`;

const FORGET = `${NOW_MS}local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not score or tonumber(score) > now - ${ACTIVE_FOR_MS} then return 0 end
if redis.call('LLEN', KEYS[2]) > 0 then return 0 end
return redis.call('ZREM', KEYS[1], ARGV[1])`;

/** Renews locks like BullMQ, but without commands that a server with full memory refuses. Returns the ids of lost locks. */
const RENEW = `local lost = {}
for at = 3, #ARGV, 2 do
  local lock = ARGV[1] .. ARGV[at] .. ':lock'
  if redis.call('GET', lock) == ARGV[at + 1] and redis.call('PEXPIRE', lock, ARGV[2]) == 1 then
    redis.call('SREM', KEYS[1], ARGV[at])
  else
    lost[#lost + 1] = ARGV[at]
  end
end
return lost`;

export function defineScripts(client: Redis) {
  const unfinished = (lane: string) => UNFINISHED.map(([part]) => laneKey(lane, part));
  const enter = define(client, 'Enter', 2, ENTER);
  const ring = define(client, 'Ring', 1, RING);
  const mark = define(client, 'Mark', 1 + UNFINISHED.length, MARK);
  const sweep = define(client, 'Sweep', 1 + UNFINISHED.length, SWEEP);
  const peek = define(client, 'Peek', PEEKED.length, PEEK);
  const list = define(client, 'List', 1, LIST);
  const note = define(client, 'Note', 1, NOTE);
  const forget = define(client, 'Forget', 2, FORGET);
  const renew = define(client, 'Renew', 1, RENEW);
  return {
    enter: (queue: string, lane: string) => enter(lanesKey(queue), laneKey(lane, 'meta'), lane),
    ring: (queue: string, lane: string) => ring(lanesKey(queue), lane, BELL_CHANNEL),
    /** Resolves to the mark, or to null if the lane has jobs. */
    mark: (queue: string, lane: string) => mark(lanesKey(queue), ...unfinished(lane), lane),
    /** Resolves to 1 if the lane was removed. */
    sweep: (queue: string, lane: string, given: string) =>
      sweep(lanesKey(queue), ...unfinished(lane), lane, given),
    /** Resolves to the names, and to when the first delayed job is due or null. */
    peek: (lane: string, count: number) =>
      peek(...PEEKED.map((part) => laneKey(lane, part)), laneKey(lane, ''), String(count)),
    /** Resolves to the next cursor (`0` at the end) and lane names, some twice. An empty `leastScore` includes any score, even a mark's. */
    list: (queue: string, cursor: string, leastScore: string) =>
      list(lanesKey(queue), cursor, queue, leastScore),
    note: (lane: string) => note(ACTIVE_KEY, lane),
    forget: (lane: string) => forget(ACTIVE_KEY, laneKey(lane, 'active'), lane),
    /** Resolves to the ids of jobs whose locks are lost. `pairs` has ids of jobs, each followed by its token. */
    renew: (lane: string, pairs: readonly string[], lockMs: number) =>
      renew(laneKey(lane, 'stalled'), laneKey(lane, ''), String(lockMs), ...pairs),
  };
}

/** Defines a script, which is sent once for each connection, then called by its hash. */
function define(client: Redis, name: string, numberOfKeys: number, lua: string) {
  const command = `stackshim${name}`;
  client.defineCommand(command, { numberOfKeys, lua });
  const call: (...args: readonly string[]) => Promise<unknown> = Reflect.get(client, command);
  return call.bind(client);
}
