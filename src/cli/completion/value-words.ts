/** The possible words of a value, by the value's name in the help: `<stack>`, `<file>`. */
import { constants } from 'node:os';
import type { KnownName, KnownNames, TaskPath } from '../../door/known-names.ts';
import { templateNames } from '../../oci/load-template.ts';
import { OPTION_ROWS } from '../../spec/options/task-options.ts';
import { LOG_LEVELS } from '../../worker/ops/log-levels.ts';
import type { Named } from './find-place.ts';

/** What the shell completes by itself, in addition to the words. */
export type Paths = 'none' | 'files' | 'folders';

export interface Values {
  readonly words: readonly KnownName[];
  readonly paths: Paths;
  /** The word is a path in this task: the task's files are possible words, too. */
  readonly inTask?: TaskPath;
}

/** Returns words for a value that begins with `typed`, after the arguments in `named`. */
type ValueSource = (context: {
  readonly names: KnownNames;
  readonly typed: string;
  readonly named: readonly Named[];
}) => Values;

export const toWords = (words: readonly (string | KnownName)[], paths: Paths = 'none'): Values => ({
  words: words.map((word) => (typeof word === 'string' ? { name: word, about: '' } : word)),
  paths,
});

const files: ValueSource = () => toWords([], 'files');
const folders: ValueSource = () => toWords([], 'folders');
const tasks: ValueSource = ({ names }) => toWords(names.tasks());
const reportedTasks: ValueSource = ({ names }) => toWords([...names.tasks(), ...names.ended()]);
/** After a stack, also its revisions. */
const stackNames: ValueSource = ({ names, named }) => {
  const stack = named.find(({ argument }) => argument === 'stack');
  return toWords([...(stack === undefined ? [] : names.revisions(stack.value)), ...names.stacks()]);
};

/** After `name@`, the revisions of that stack. */
const stacks: ValueSource = ({ names, typed }) => {
  const at = typed.indexOf('@');
  if (at < 0) return toWords(names.stacks());
  const stack = typed.slice(0, at);
  return toWords(
    names.revisions(stack).map(({ name, about }) => ({ name: `${stack}@rev:${name}`, about })),
  );
};

const packages: ValueSource = ({ names }) => toWords(names.packages());
/** A path, or a code package. */
const codes: ValueSource = ({ names, typed }) =>
  toWords(typed.includes('/') ? [] : names.packages(), 'files');

const revisions: ValueSource = ({ names, named }) => {
  const stack = named.find(({ argument }) => STACK_ARGUMENTS.includes(argument));
  return toWords(stack === undefined ? [] : names.revisions(stack.value));
};

/** A path of the host, or a path in a task: `ID:PATH`. */
const pathsOfBoth: ValueSource = ({ names, typed }) => {
  if (/^[./]/.test(typed)) return toWords([], 'files');
  const [task = '', path] = typed.split(/:(.*)/s);
  if (path !== undefined) return { ...toWords([]), inTask: { task, path } };
  return toWords(
    names.tasks().map(({ name, about }) => ({ name: `${name}:`, about })),
    'files',
  );
};

/** An image of another tool, or files. */
const references: ValueSource = () =>
  toWords(['docker://', 'oci:', 'oci-archive:', 'docker-archive:'], 'files');

const STACK_ARGUMENTS = ['stack', 'name'];

/** Users invent all other names themselves: nothing is offered for them. */
const OF_ARGUMENTS: Readonly<Record<string, ValueSource>> = {
  stack: stacks,
  name: stackNames,
  package: packages,
  id: tasks,
  task: tasks,
  a: revisions,
  b: revisions,
  revision: revisions,
  file: files,
  path: files,
  src: pathsOfBoth,
  dst: pathsOfBoth,
  // The files of the host are often also the task's.
  command: files,
  dir: folders,
  reference: references,
  source: references,
};

const OF_OPTIONS: Readonly<Record<string, ValueSource>> = {
  file: files,
  path: files,
  'host:task[:ro]': files,
  'host[:task][:rwm]': files,
  'path:rate': files,
  dir: folders,
  code: codes,
  stack: stacks,
  task: tasks,
  revision: revisions,
  generation: ({ names }) => toWords(names.generations()),
  signal: () => toWords(Object.keys(constants.signals)),
  template: () => toWords(templateNames()),
  bool: () => toWords(['true', 'false']),
  level: () => toWords(LOG_LEVELS),
};

const NOTHING: ValueSource = () => toWords([]);

const ownOr = (sources: Readonly<Record<string, ValueSource>>, name: string): ValueSource =>
  (Object.hasOwn(sources, name) ? sources[name] : undefined) ?? NOTHING;

/** Commands that also take ids of ended tasks. */
const OF_REPORTS = ['logs', 'wait', 'inspect', 'rm'];

export const sourceOfArgument = (name: string, command: string): ValueSource =>
  name === 'id' && OF_REPORTS.includes(command) ? reportedTasks : ownOr(OF_ARGUMENTS, name);

/**
 * Returns the words of an option's value. A task's option has the words of its row in the table of options, in every command.
 *
 * @param flags As in the help: `--network <name>`.
 */
export function sourceOfOption(flags: string): ValueSource {
  const name = /[<[](.+)[>\]]$/.exec(flags)?.[1] ?? '';
  const source = ownOr(OF_OPTIONS, name);
  const words = wordsOfRow(flags);
  return words.length === 0 ? source : (context) => toWords(words, source(context).paths);
}

function wordsOfRow(flags: string): readonly string[] {
  const long = longOf(flags);
  const row = OPTION_ROWS.find(([, one]) => one.flags !== undefined && longOf(one.flags) === long);
  if (row === undefined) return [];
  const { words, value } = row[1];
  const listed = value.schema['enum'];
  if (words !== undefined) return words;
  return Array.isArray(listed) ? listed.filter((word) => typeof word === 'string') : [];
}

const longOf = (flags: string) => /--[a-z-]+/.exec(flags)?.[0];
