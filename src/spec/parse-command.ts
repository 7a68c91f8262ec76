/**
 * Parses a task's texts: stack, code, command, user, environment, capabilities, stop signal, labels. Functions that parse or check throw
 * ERR_STACKSHIM_SPEC_INVALID that names `field`.
 */
import { constants } from 'node:os';
import { isImageDigest, isPackageName, isStackName } from '../core/ids.ts';
import { invalidField } from './field-errors.ts';
import { parsePath } from './parse-path.ts';
import { CAPABILITIES } from './policy.ts';
import { SPEC_BOUNDS } from './spec-bounds.ts';
import type { CodeSource, PackageReference, Reference, StackReference } from './task-spec.ts';

/** Matches every valid name of a stack. */
export const STACK_REFERENCE =
  /^[a-z0-9](?:[a-z0-9]|[._-](?=[a-z0-9])){0,62}(?:@(?:rev:[1-9]\d{0,14}|sha256:[0-9a-f]{64}))?$/;

/** Parses `name`, `name@rev:N` or `name@sha256:…`. Throws ERR_STACKSHIM_SPEC_INVALID. */
export function parseStackReference(text: string, field: string): StackReference {
  const { name, pin } = divideReference(text);
  if (isStackName(name)) return { name, ...parsePin(pin, /^rev:([1-9]\d{0,14})$/, text, field) };
  throw invalidField(field, 'not a name of lower-case letters, digits, ".", "_" and "-"', text);
}

function divideReference(text: string) {
  const at = text.indexOf('@');
  return at === -1 ? { name: text } : { name: text.slice(0, at), pin: text.slice(at + 1) };
}

function parsePin(
  pin: string | undefined,
  revisionForm: RegExp,
  text: string,
  field: string,
): Omit<Reference<string>, 'name'> {
  if (pin === undefined) return {};
  if (isImageDigest(pin)) return { image: pin };
  const [, revision] = revisionForm.exec(pin) ?? [];
  if (revision !== undefined) return { revision: Number(revision) };
  throw invalidField(field, '"@" is not followed by rev:N or sha256:<64 hex digits>', text);
}

/** Whether `code` is a path: has a slash, ends like an archive, or is `.`, `..` or `-`. Everything else is the name of a package. */
export const isCodePath = (code: string): boolean =>
  code.includes('/') || /\.(?:tar\.gz|tgz|zip)$/.test(code) || /^(?:\.\.?|-)$/.test(code);

/** Matches every valid name of a code package. */
export const PACKAGE_REFERENCE =
  /^(?![^@]*\.(?:tar\.gz|tgz|zip)(?:@|$))[a-z0-9](?:[a-z0-9]|[._-](?=[a-z0-9])){0,62}(?:@(?:rev:[1-9]\d{0,8}|sha256:[0-9a-f]{64}))?$/;

export function parsePackageReference(text: string, field: string): PackageReference {
  const { name, pin } = divideReference(text);
  if (isPackageName(name)) return { name, ...parsePin(pin, /^rev:([1-9]\d{0,8})$/, text, field) };
  const problem =
    'neither a path (./DIR, FILE.zip) nor the name of a code package: lower-case letters, digits, ".", "_" and "-"';
  throw invalidField(field, problem, text);
}

export const parseCodeSource = (text: string, field: string): CodeSource =>
  isCodePath(text)
    ? { kind: 'path', path: parsePath(text, field) }
    : { kind: 'package', reference: parsePackageReference(text, field) };

/** Throws ERR_STACKSHIM_SPEC_INVALID for arguments that the kernel would refuse. */
export function parseCommand(command: readonly string[], field: string): readonly string[] {
  let total = 0;
  for (const [i, argument] of command.entries()) {
    if (argument.includes('\0')) throw invalidField(`${field}[${i}]`, 'an argument with a NUL');
    const bytes = Buffer.byteLength(argument);
    if (bytes > SPEC_BOUNDS.argumentBytes) {
      throw invalidField(`${field}[${i}]`, `longer than ${SPEC_BOUNDS.argumentBytes} bytes`);
    }
    total += bytes + 1;
  }
  if (total > SPEC_BOUNDS.commandBytes) {
    throw invalidField(field, `more than ${SPEC_BOUNDS.commandBytes} bytes in all`);
  }
  if (command[0] === '') throw invalidField(`${field}[0]`, 'an empty name');
  return command;
}

/** Parses a line for the stack's shell, or a list of a program and its arguments. Throws ERR_STACKSHIM_SPEC_INVALID. */
export function parseBuildCommand(
  given: string | readonly string[],
  field: string,
): readonly string[] {
  if (given.length === 0) {
    throw invalidField(field, 'empty; leave the field out for a task without a build');
  }
  return parseCommand(typeof given === 'string' ? ['/bin/sh', '-c', given] : given, field);
}

/** An empty text means no entrypoint, as in docker. */
export function parseEntrypoint(
  entrypoint: string | readonly string[],
  field: string,
): readonly string[] {
  const words = typeof entrypoint === 'string' ? [entrypoint] : entrypoint;
  return words.length === 1 && words[0] === '' ? [] : parseCommand(words, field);
}

const USER_PART = '[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}\\$?';
/** Matches every valid name of a user. */
export const USER = new RegExp(`^${USER_PART}(?::${USER_PART})?$`);

/** Checks the form `name|uid[:group|gid]`. Names are looked up in the image later. Throws ERR_STACKSHIM_SPEC_INVALID. */
export function parseUser(text: string, field: string): string {
  if (USER.test(text)) return text;
  throw invalidField(field, 'not NAME|UID or NAME|UID:GROUP|GID', text);
}

/** signal(7): the C library reserves the kernel's first two real-time signals. */
const RTMIN = 34;
const RTMAX = 64;

const signalNumbers = new Map<string, number>(Object.entries(constants.signals));

/** Returns the number of a signal; undefined if no signal has that name or number. */
export function toSignalNumber(text: string): number | undefined {
  if (/^\d{1,2}$/.test(text)) return inRange(Number(text), 1);
  const name = text.toUpperCase().replace(/^(?:SIG)?/, 'SIG');
  const realTime = /^SIGRT(MIN|MAX)(?:([+-])(\d{1,2}))?$/.exec(name);
  if (realTime === null) return signalNumbers.get(name);
  const [, end, sign, steps = '0'] = realTime;
  const offset = sign === '-' ? -Number(steps) : Number(steps);
  return inRange((end === 'MIN' ? RTMIN : RTMAX) + offset, RTMIN);
}

const inRange = (signal: number, least: number) =>
  signal >= least && signal <= RTMAX ? signal : undefined;

export function parseSignal(text: string, field: string): number {
  const signal = toSignalNumber(text);
  if (signal !== undefined) return signal;
  throw invalidField(field, 'not a signal such as TERM, SIGQUIT, RTMIN+3 or 9', text);
}

// As in docker, allow names that a shell cannot use, except names that would be read as something else.
const ENV_NAME = /^[^=\s\p{Cc}]+$/u;

/** Throws ERR_STACKSHIM_SPEC_INVALID unless `name` can name a variable. */
export function checkEnvName(name: string, field: string): void {
  if (name.length > SPEC_BOUNDS.envNameChars || !ENV_NAME.test(name) || name === '__proto__') {
    throw invalidField(field, 'not the name of a variable', name);
  }
}

/** Throws ERR_STACKSHIM_SPEC_INVALID if the variables are too many or too long, or contain a NUL. */
export function checkEnv(env: Readonly<Record<string, string>>, field: string): void {
  const entries = Object.entries(env);
  if (entries.length > SPEC_BOUNDS.envEntries) {
    throw invalidField(field, `more than ${SPEC_BOUNDS.envEntries} variables`);
  }
  let total = 0;
  for (const [name, value] of entries) {
    checkEnvName(name, field);
    if (value.includes('\0')) throw invalidField(`${field}.${name}`, 'a value with a NUL');
    const bytes = Buffer.byteLength(name) + Buffer.byteLength(value) + 1;
    if (bytes > SPEC_BOUNDS.argumentBytes) {
      throw invalidField(`${field}.${name}`, `longer than ${SPEC_BOUNDS.argumentBytes} bytes`);
    }
    total += bytes;
  }
  if (total > SPEC_BOUNDS.envBytes) {
    throw invalidField(field, `more than ${SPEC_BOUNDS.envBytes} bytes in all`);
  }
}

export const LABEL_KEY = /^[A-Za-z0-9][A-Za-z0-9._/-]*$/;

/** Throws ERR_STACKSHIM_SPEC_INVALID if labels are too many, too long or have an unusable key. */
export function checkLabels(labels: Readonly<Record<string, string>>, field: string): void {
  const entries = Object.entries(labels);
  if (entries.length > SPEC_BOUNDS.labels) {
    throw invalidField(field, `more than ${SPEC_BOUNDS.labels} labels`);
  }
  for (const [key, value] of entries) {
    checkLabelKey(key, field);
    if (value.length > SPEC_BOUNDS.labelValueChars || value.includes('\0')) {
      const problem = `not ${SPEC_BOUNDS.labelValueChars} characters or less without NUL`;
      throw invalidField(`${field}.${key}`, problem);
    }
  }
}

export function checkLabelKey(key: string, field: string): void {
  if (LABEL_KEY.test(key) && key.length <= SPEC_BOUNDS.labelKeyChars) return;
  throw invalidField(field, 'not a key of letters, digits, ".", "_", "/" and "-"', key);
}

/** Converts `NET_RAW`, `cap_net_raw` and similar to `CAP_NET_RAW`; keeps `ALL`. Throws ERR_STACKSHIM_SPEC_INVALID. */
export function parseCapability(text: string, field: string): string {
  const upper = text.toUpperCase();
  if (upper === 'ALL') return upper;
  const name = upper.startsWith('CAP_') ? upper : `CAP_${upper}`;
  if (CAPABILITIES.includes(name)) return name;
  throw invalidField(field, 'no such capability', text);
}
