/**
 * Bounds what a hostile producer can make BullMQ's scripts do. The scripts stay unchanged; a prefix gives them another `redis`, whose `call`
 * - returns an oversized entry as its small fields, with {@link OVERSIZE} as its data;
 * - reads a job key that is not a hash as an empty hash. Without that, a script would fail half-way each time. A take of such a job removes the job
 *   from its lane, and returns {@link NO_ENTRY} as its data.
 */
import type { Redis } from 'ioredis';
import { ENTRY_BYTES, NO_ENTRY, OVERSIZE, SMALL_BYTES } from '../oversize.ts';

/** BullMQ's jobs have about twenty fields. */
const MOST_FIELDS = 64;

const READ_ENTRY = `local plain = redis
local function sizeOf(key, names)
  local bytes = 0
  for at = 1, #names do bytes = bytes + plain.call('HSTRLEN', key, names[at]) end
  return bytes
end
local function readEntry(key)
  local fields = plain.call('HLEN', key)
  local names = fields > ${MOST_FIELDS} and {'name', 'opts', 'timestamp', 'data', 'ats', 'atm', 'stc', 'priority'} or plain.call('HKEYS', key)
  local bytes = sizeOf(key, names)
  if bytes <= ${ENTRY_BYTES} and fields <= ${MOST_FIELDS} then return plain.call('HGETALL', key) end
  local entry = {'data', string.format('{"${OVERSIZE}":%d}', bytes)}
  for at = 1, #names do
    local value = names[at] ~= 'data' and plain.call('HSTRLEN', key, names[at]) <= ${SMALL_BYTES} and plain.call('HGET', key, names[at])
    if value then
      entry[#entry + 1] = names[at]
      entry[#entry + 1] = value
    end
  end
  return entry
end
`;

/** Uses the names of the taking script's parameters, in `TAKE`. */
const TOLERATE = `local empty = {HGET = false, HSET = 0, HMSET = 0, HEXISTS = 0, HINCRBY = 0}
local redis = setmetatable({}, {__index = plain})
function redis.call(command, ...)
  if command == 'HGETALL' then return readTaken(...) end
  if empty[command] == nil then return plain.call(command, ...) end
  local reply = plain.pcall(command, ...)
  local failed = type(reply) == 'table' and reply.err
  if not failed then return reply end
  if string.find(failed, 'WRONGTYPE', 1, true) then return empty[command] end
  return plain.call(command, ...)
end
`;

/** In the script that takes a job, KEYS[2] is the list of active jobs, and ARGV[1] the prefix of job keys. */
const TAKE = `local function readTaken(key)
  local kind = plain.call('TYPE', key).ok
  if kind == 'hash' then return readEntry(key) end
  plain.call('LREM', KEYS[2], 1, string.sub(key, #ARGV[1] + 1))
  plain.call('DEL', key .. ':lock')
  return {'data', string.format('{"${NO_ENTRY}":"%s"}', kind)}
end
`;

const READ_AS_IT_IS = "local function readTaken(key) return plain.call('HGETALL', key) end\n";

const PREFIXES: ReadonlyMap<string, string> = new Map([
  ['moveToActive', READ_ENTRY + TAKE + TOLERATE],
  ['moveStalledJobsToWait', `local plain = redis\n${READ_AS_IT_IS}${TOLERATE}`],
]);

const READ_BOUNDED = `${READ_ENTRY}return readEntry(KEYS[1])`;

/** Call this before BullMQ gets the connection: BullMQ then defines its scripts, with its version in their names. */
export function guardScripts(client: Redis): void {
  const define = client.defineCommand.bind(client);
  client.defineCommand = (name, definition) => {
    const prefix = PREFIXES.get(name.split(':', 1)[0] ?? '') ?? '';
    define(name, { ...definition, lua: prefix + definition.lua });
  };
  define('stackshimReadEntry', { numberOfKeys: 1, lua: READ_BOUNDED });
  const read: (key: string) => Promise<readonly string[]> = Reflect.get(
    client,
    'stackshimReadEntry',
  );
  // BullMQ reads an entry by this method.
  const hgetall = async (key: string): Promise<Record<string, string>> => {
    const flat = await read.call(client, key);
    const entry: Record<string, string> = {};
    for (let at = 0; at + 1 < flat.length; at += 2) entry[flat[at] ?? ''] = flat[at + 1] ?? '';
    return entry;
  };
  Reflect.set(client, 'hgetall', hgetall);
}
