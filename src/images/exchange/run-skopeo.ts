/** Runs skopeo, which speaks to registries: contained as a builder is, its words passed on, its failures with a code of their own. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { hasCode, messageOf, StackshimError } from '../../core/errors.ts';
import { findProgram } from '../../layers/find-program.ts';
import { resolveUser } from '../../oci/resolve-user.ts';
import { readHostFacts } from '../../sys/host-facts.ts';
import { PROXY_VARIABLES, pickVariables, SYSTEM_PATH } from '../../sys/program-environment.ts';
import { readPrivateFile } from '../../sys/read-private-file.ts';
import { askTool, type ToolAnswer } from '../../sys/start-tool.ts';
import { walkTrusted } from '../../sys/trusted-path.ts';
import { toAborted } from '../build-aborted.ts';
import type { BuildStep, ProgressListener } from '../build-progress.ts';
import { runBuilder } from '../run-builder.ts';
import type { ExchangeOptions } from './publish-image.ts';

export interface RegistryOptions {
  /** Default true: certificates are checked, plain HTTP is refused. */
  readonly tlsVerify?: boolean;
  /** A file as `docker login` and `skopeo login` write it. Default: where they write it. */
  readonly authFile?: string | undefined;
}

export interface SkopeoRun extends Pick<ExchangeOptions, 'system' | 'signal'> {
  /** Where it keeps temporary files. */
  readonly work: string;
  readonly step: BuildStep;
  readonly report: ProgressListener;
  readonly fileBytesLimit?: number;
}

const MAX_MANIFEST_BYTES = 4 * 1024 * 1024;
const MAX_AUTH_BYTES = 1024 * 1024;
/** The kernel kills it when this process dies. */
const TIED = ['--pdeathsig', 'KILL', '--'];
/** Variables of the caller's environment that skopeo gets: proxies, and which certificate authorities to trust. */
const PASSED_ON = [...PROXY_VARIABLES, ...['SSL_CERT_FILE', 'SSL_CERT_DIR']] as const;

/** Throws ERR_STACKSHIM_REGISTRY_FAILED (with skopeo's last lines), ERR_STACKSHIM_DISK_FULL, ERR_STACKSHIM_TOOL_MISSING, ERR_STACKSHIM_BUILD_ABORTED. */
export async function runSkopeo(args: readonly string[], run: SkopeoRun): Promise<void> {
  const { system, work, step, report, fileBytesLimit, signal } = run;
  try {
    await runBuilder(['skopeo', ...globalOptions(), ...args], {
      system,
      env: toEnv(work),
      onLine: (text) => report({ kind: 'line', step, text: toPlain(text) }),
      fileBytesLimit,
      signal,
    });
  } catch (error) {
    if (!hasCode(error, 'ERR_STACKSHIM_BUILD_FAILED')) throw error;
    throw new StackshimError('ERR_STACKSHIM_REGISTRY_FAILED', toPlain(error.message), {
      details: error.details,
    });
  }
}

/**
 * Copies the file with the registries' passwords into `work`, for skopeo to read: what was checked is what is used. Skopeo takes a file
 * that is not there for one without passwords. Throws ERR_STACKSHIM_INPUT_NOT_FOUND, ERR_STACKSHIM_SPEC_INVALID where others may read it.
 */
export function takeAuthFile<T extends RegistryOptions>(options: T, work: string): T {
  const path = options.authFile ?? process.env['REGISTRY_AUTH_FILE'];
  if (path === undefined || path === '') return options;
  const bytes = readPrivateFile(path, {
    what: 'passwords of registries',
    field: 'authfile',
    maxBytes: MAX_AUTH_BYTES,
  });
  const authFile = `${work}/auth.json`;
  writeFileSync(authFile, bytes, { flag: 'wx', mode: 0o600 });
  return { ...options, authFile };
}

/** The bytes of the manifest or index that a registry has under `docker://NAME`. Throws as {@link runSkopeo}. */
export async function inspectRaw(
  reference: string,
  registry: RegistryOptions,
  { work, signal }: Pick<SkopeoRun, 'work' | 'signal'>,
): Promise<Buffer> {
  const skopeo = findProgram('skopeo', { package: 'skopeo' });
  const args = [...globalOptions(), 'inspect', '--raw', ...registryFlags(registry, '')];
  let answer: ToolAnswer;
  try {
    answer = await askTool({
      command: [
        findProgram('setpriv', { package: 'util-linux' }),
        ...TIED,
        skopeo,
        ...args,
        reference,
      ],
      env: toEnv(work),
      maxBytes: MAX_MANIFEST_BYTES,
      signal,
    });
  } catch (error) {
    throw toFailed(reference, { failure: messageOf(error), said: '' });
  }
  if (signal?.aborted) throw toAborted(`inspect ${reference}`, signal.reason);
  const { failure, said, stdout } = answer;
  if (failure !== undefined) throw toFailed(reference, { failure, said });
  return stdout;
}

/** `--src-tls-verify=false --src-authfile F` for `side` `src-`; without a side as `inspect` takes them. */
export function registryFlags(
  { tlsVerify = true, authFile }: RegistryOptions,
  side: '' | 'src-' | 'dest-',
): readonly string[] {
  const auth = authFile === undefined ? [] : [`--${side}authfile=${authFile}`];
  return [`--${side}tls-verify=${tlsVerify}`, ...auth];
}

/** What it says, without the fields of a log: `time="…" level=fatal msg="…"`. */
export function toPlain(text: string): string {
  const quoted = /time="[^"]*" level=\w+ msg=("(?:[^"\\]|\\.)*")/;
  return text.replace(quoted, (line, message: string) => {
    try {
      return String(JSON.parse(message));
    } catch {
      // Cut off, or quoted as JSON does not.
      return line;
    }
  });
}

function globalOptions(): readonly string[] {
  const platform = ['--override-os', 'linux', '--override-arch', readHostFacts().architecture];
  // Where the operator has said which signatures an image needs, that holds here too.
  const hasPolicy = existsSync('/etc/containers/policy.json');
  return [...platform, ...(hasPolicy ? [] : ['--insecure-policy'])];
}

/**
 * skopeo looks for passwords and for its configuration in the home folder: the one that the user database names. The folder that the
 * caller's XDG_RUNTIME_DIR names counts only when no other user controls it.
 */
function toEnv(work: string): Record<string, string> {
  const { XDG_RUNTIME_DIR = '' } = process.env;
  const isOwn = XDG_RUNTIME_DIR.startsWith('/') && isTrusted(XDG_RUNTIME_DIR);
  return {
    ...pickVariables(PASSED_ON, process.env),
    ...(isOwn ? { XDG_RUNTIME_DIR } : {}),
    HOME: homeOfUser(),
    PATH: SYSTEM_PATH,
    LC_ALL: 'C.UTF-8',
    TMPDIR: work,
  };
}

/** Not by os.userInfo(): in the executable it answers with the caller's HOME. */
function homeOfUser(): string {
  const uid = String(process.geteuid?.() ?? 0);
  return resolveUser(uid, readFileSync('/etc/passwd', 'utf8'), '').home ?? '/root';
}

function isTrusted(folder: string): boolean {
  const { stats, fault } = walkTrusted(folder);
  return stats !== undefined && fault === undefined;
}

function toFailed(
  reference: string,
  { failure, said }: { readonly failure: string; readonly said: string },
): StackshimError {
  const output = said.split('\n').slice(-20);
  const message = `inspect ${reference}: ${toPlain(failure).slice(0, 1000)}`;
  return new StackshimError('ERR_STACKSHIM_REGISTRY_FAILED', message, {
    details: { reference, output },
  });
}
