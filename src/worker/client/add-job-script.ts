/**
 * Builds the Lua script with which producers in any language add a job to Redis or Valkey in one EVAL. The script joins BullMQ's own scripts with
 * the lane, its pause marks and the bell. docs/producers.md describes its arguments.
 */
import { RedisConnection } from 'bullmq';
import { JOB_VERSION } from '../job/job-data.ts';
import { KEPT_EVENTS, PREFIX } from '../queue-store/lane-settings.ts';
import { BELL_CHANNEL } from '../queue-store/redis/redis-scripts.ts';
import { OWN_MARK, PAUSED, QUEUE_MARK, TENANT_MARK } from './pause-queue.ts';
import { DELAYS, MAX_PRIORITY } from './to-job-data.ts';

/** Raise the version when a producer must change for a new script. */
const SCRIPT_VERSION = 1;

const ADDS = ['addStandardJob', 'addDelayedJob', 'addPrioritizedJob'] as const;

/** Builds the text of the script. Throws if this version of BullMQ lacks one of its scripts. */
export function toAddJobScript(): string {
  const scripts = readScripts();
  const adds = ADDS.map((name) => {
    const lua = scripts.get(name);
    if (lua === undefined) throw new Error(`this version of BullMQ has no script ${name}`);
    // The parameters shadow the script's own KEYS and ARGV.
    return `local function ${name}(KEYS, ARGV)\n${withoutComments(lua)}\nend\n`;
  });
  return `${HEADER}${CHECKS}\n${adds.join('\n')}\n${ADD}`;
}

/** Reads BullMQ's Lua scripts by name. BullMQ only registers them on a client, so this passes a fake one. */
function readScripts(): ReadonlyMap<string, string> {
  const scripts = new Map<string, string>();
  const client = {
    defineCommand: (command: string, { lua }: { readonly lua: string }) =>
      scripts.set(command.replace(/:.*$/, ''), lua),
  };
  const load: unknown = Reflect.get(RedisConnection.prototype, 'loadCommands');
  if (typeof load === 'function') load.call({ _client: client }, '');
  return scripts;
}

const withoutComments = (lua: string) =>
  lua
    .replace(/--\[\[[\s\S]*?\]\]/g, '')
    .replace(/^\s*--.*$/gm, '')
    .replace(/\n\s*(?=\n)/g, '')
    .trim();

const HEADER = `-- Adds one job to a queue of stackshim, in Redis 6.2 or later or in Valkey. Version ${SCRIPT_VERSION}.
-- EVAL this-script 0 QUEUE TENANT ID JOB [DELAY [PRIORITY [CODE]]]   returns the job's name
-- The functions add…Job are those of BullMQ, (c) Taskforce.sh Inc. and contributors, MIT licence.
`;

const CHECKS = `local queue, tenant, id, job = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local delay, priority, code = tonumber(ARGV[5] or '0'), tonumber(ARGV[6] or '0'), ARGV[7] or ''
local function check(is, message)
  if not is then error({ err = 'ERR stackshim: ' .. message }) end
end
local function is_name(text, longest)
  return #text <= longest and string.match(text, '^%w[%w_.-]*$') ~= nil
end
local function is_count(number, most)
  return number ~= nil and number >= 0 and number <= most and number == math.floor(number)
end
check(job ~= nil, 'give QUEUE TENANT ID JOB')
check(is_name(queue, 64), 'QUEUE is not a name')
check(tenant == '' or is_name(tenant, 64), 'TENANT is not a name')
check(code == '' or is_name(code, 64), 'CODE is not a name')
check(is_name(id, 100) and string.match(id, '%D') ~= nil, 'ID is not a name')
check(is_count(delay, ${DELAYS.max}), 'DELAY is not a number of milliseconds')
check(is_count(priority, ${MAX_PRIORITY}), 'PRIORITY is not a number')
local is_json, read = pcall(cjson.decode, job)
check(is_json and type(read) == 'table', 'JOB is not a JSON object')
check(read.version == ${JOB_VERSION}, 'JOB has no version ${JOB_VERSION}')
`;

const ADD = `local function lane_of(tenant_of_lane, code_of_lane)
  return queue .. '~' .. tenant_of_lane .. '~' .. code_of_lane
end
local function key_of(lane, part)
  return '${PREFIX}:' .. lane .. ':' .. part
end
local function has_mark(lane, field)
  return redis.call('HEXISTS', key_of(lane, 'meta'), field) == 1
end

local lane = lane_of(tenant, code)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function keys(...)
  local made = {}
  for at, part in ipairs({ ... }) do made[at] = key_of(lane, part) end
  return made
end

redis.call('HSETNX', key_of(lane, 'meta'), 'opts.maxLenEvents', ${KEPT_EVENTS})
local should_pause = has_mark(lane_of('', ''), '${QUEUE_MARK}') or has_mark(lane_of(tenant, ''), '${TENANT_MARK}')
if should_pause and not has_mark(lane, '${PAUSED}') then
  redis.call('HSET', key_of(lane, 'meta'), '${PAUSED}', 1, '${OWN_MARK}', 1)
  redis.call('DEL', key_of(lane, 'marker'))
elseif not should_pause and has_mark(lane, '${OWN_MARK}') then
  redis.call('HDEL', key_of(lane, 'meta'), '${PAUSED}', '${OWN_MARK}')
end

local options = { attempts = 0, jobId = id, timestamp = now }
if delay > 0 then options.delay = delay end
if priority > 0 then options.priority = priority end
local args = {
  cmsgpack.pack({ key_of(lane, ''), id, 'v${JOB_VERSION}', now }),
  job,
  cmsgpack.pack(options),
}
local added
if delay > 0 then
  added = addDelayedJob(keys('marker', 'meta', 'id', 'delayed', 'completed', 'events'), args)
elseif priority > 0 then
  added = addPrioritizedJob(
    keys('marker', 'meta', 'id', 'prioritized', 'delayed', 'completed', 'active', 'events', 'pc'), args)
else
  added = addStandardJob(
    keys('wait', 'paused', 'meta', 'id', 'completed', 'delayed', 'active', 'events', 'marker'), args)
end
if type(added) == 'number' then return redis.error_reply('ERR stackshim: BullMQ refuses the job: ' .. added) end
redis.call('ZADD', '${PREFIX}:lanes:' .. queue, now, lane)
redis.call('PUBLISH', '${BELL_CHANNEL}', lane)
return lane .. '~' .. id
`;
