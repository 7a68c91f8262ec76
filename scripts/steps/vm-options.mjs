/** The command line of `npm run test:vm`. */
import { StepFailure } from './failure.mjs';
import { guests } from './vm-guests.mjs';

/**
 * @typedef {object} VmOptions
 * @property {boolean} core only what CI runs: the core files, and one power cut
 * @property {readonly string[]} guests names; none: all
 * @property {readonly string[]} runtimes `runc`, `crun`; none: both
 * @property {readonly string[]} files parts of names of test files; none: all that the guest runs
 * @property {number} powerCuts how many
 */

/**
 * @param {readonly string[]} args
 * @returns {VmOptions}
 */
export function parseVmOptions(args) {
  /** @type {Record<'guest' | 'runtime' | 'power-cuts', string[]>} */
  const given = { guest: [], runtime: [], 'power-cuts': [] };
  const files = [];
  let core = false;
  for (const arg of args) {
    const [, name = '', value = ''] = /^--([a-z-]+)(?:=(.+))?$/.exec(arg) ?? [];
    if (name === 'core') core = true;
    else if (name === 'guest' || name === 'runtime' || name === 'power-cuts')
      given[name].push(value);
    else if (arg.startsWith('-')) throw new StepFailure(`no such option: ${arg}`, usage);
    else files.push(arg);
  }
  const known = [...guests.map((guest) => guest.name), 'runc', 'crun'];
  const unknown = [...given.guest, ...given.runtime].filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new StepFailure(`not known: ${unknown.join(', ')}`, usage);
  const powerCuts = Number(given['power-cuts'][0] ?? (files.length > 0 ? 0 : core ? 1 : 3));
  if (!Number.isSafeInteger(powerCuts) || powerCuts < 0) {
    throw new StepFailure(`not known: ${given['power-cuts'][0]} power cuts`, usage);
  }
  return { core, guests: given.guest, runtimes: given.runtime, files, powerCuts };
}

const usage = `npm run test:vm -- [--core] [--guest=${guests.map(({ name }) => name).join('|')}]… [--runtime=runc|crun]… [--power-cuts=N] [FILE…]`;
