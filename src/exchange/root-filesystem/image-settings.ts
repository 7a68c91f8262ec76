/** The settings that a caller gives to the image of a root filesystem, which brings none of its own. Pure. */
import { StackshimError } from '../../core/errors.ts';
import { checkEnv, checkLabels, parseUser } from '../../spec/parse-command.ts';
import { parseAbsolutePath } from '../../spec/parse-path.ts';
import type { ImageConfig } from '../../store/images/image.ts';

/** As in a Dockerfile: `ENV`, `WORKDIR`, `ENTRYPOINT`, `CMD`, `USER`, `LABEL`. */
export interface ImageSettings {
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** An absolute path. */
  readonly workdir?: string | undefined;
  /** A program, or a list of a program and its first arguments. As text: a JSON array of strings, or the program. */
  readonly entrypoint?: string | readonly string[] | undefined;
  /** The default command. As text: a JSON array of strings, or a line for `/bin/sh -c`. */
  readonly cmd?: string | readonly string[] | undefined;
  /** `name|uid[:group|gid]`. */
  readonly user?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

const MAX_WORDS = 1000;
/** What a stored image may have in one text, and in all. */
const MAX_CHARS = 64 * 1024;
const MAX_ALL_CHARS = 1024 * 1024;

/** Throws ERR_STACKSHIM_SPEC_INVALID that names the setting. */
export function parseImageSettings(settings: ImageSettings): ImageConfig {
  const { env = {}, workdir = '', entrypoint = [], cmd = [], user = '', labels = {} } = settings;
  checkEnv(env, 'env');
  checkLabels(labels, 'label');
  if (user !== '') parseUser(user, 'user');
  const config: ImageConfig = {
    env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
    entrypoint: toWords('entrypoint', entrypoint, (program) => [program]),
    cmd: toWords('cmd', cmd, (line) => ['/bin/sh', '-c', line]),
    workingDir: workdir === '' ? '' : parseAbsolutePath(workdir, 'workdir'),
    user,
    labels,
  };
  requireShort(config);
  return config;
}

function toWords(
  field: string,
  given: string | readonly string[],
  fromText: (text: string) => readonly string[],
): readonly string[] {
  const words = typeof given === 'string' ? parseWords(field, given, fromText) : given;
  if (words.length > MAX_WORDS) throw toBadSetting(field, `more than ${MAX_WORDS} words`);
  if (words.some((word) => word.includes('\0'))) throw toBadSetting(field, 'a word with a NUL');
  if (words[0] === '') throw toBadSetting(field, 'its program is empty');
  return words;
}

function parseWords(
  field: string,
  text: string,
  fromText: (text: string) => readonly string[],
): readonly string[] {
  const line = text.trim();
  if (line === '') throw toBadSetting(field, 'empty');
  if (!line.startsWith('[')) return fromText(line);
  try {
    const value: unknown = JSON.parse(line);
    if (Array.isArray(value) && value.every((word) => typeof word === 'string')) return value;
  } catch (cause) {
    throw toBadSetting(field, 'not JSON', cause);
  }
  throw toBadSetting(field, 'not an array of strings');
}

function requireShort(config: ImageConfig): void {
  const { env, entrypoint, cmd, workingDir, user, labels } = config;
  const texts = [...env, ...entrypoint, ...cmd, workingDir, user, ...Object.values(labels)];
  const all = texts.reduce((sum, text) => sum + text.length, 0);
  if (texts.every((text) => text.length <= MAX_CHARS) && all <= MAX_ALL_CHARS) return;
  const message = `read the settings of the image: a text is longer than ${MAX_CHARS} characters, or all are longer than ${MAX_ALL_CHARS}`;
  const details = { field: 'settings' };
  throw new StackshimError('ERR_STACKSHIM_SPEC_INVALID', message, { details });
}

const toBadSetting = (field: string, reason: string, cause?: unknown) =>
  new StackshimError('ERR_STACKSHIM_SPEC_INVALID', `read --${field}: ${reason}`, {
    hint: 'give a JSON array such as ["python3","-I"], or plain text (docs/stacks.md)',
    details: { field },
    cause,
  });
