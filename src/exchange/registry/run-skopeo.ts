/** Runs skopeo, which talks to registries: contained like a builder, its output passed on, its failures with their own code. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { hasCode, messageOf, StackshimError } from '../../core/errors.ts';
import { resolveUser } from '../../oci/resolve-user.ts';
import { findProgram } from '../../sys/find-program.ts';
import { readHostFacts } from '../../sys/host-facts.ts';
import { readPrivateFile } from '../../sys/read-private-file.ts';
import { PROXY_VARIABLES, pickVariables, SYSTEM_PATH } from '../../sys/start-program.ts';
import { askTool } from '../../sys/start-tool.ts';
import { walkTrusted } from '../../sys/trusted-path.ts';
import { toAborted } from '../abortable.ts';
import type { BuildPhase, ProgressListener } from '../progress.ts';
import type { ExchangeOptions } from '../publish-image.ts';
import { runContained } from '../run-contained.ts';

export interface RegistryOptions {
  /** Default true: checks certificates and refuses plain HTTP. */
  readonly tlsVerify?: boolean;
  /** A credentials file as written by `docker login` or `skopeo login`. Default: `$REGISTRY_AUTH_FILE`, otherwise where these write it. */
  readonly authFile?: string | undefined;
  /** The registry counts as gone after nothing of a pull arrived for this long. Default: one minute. */
  readonly silenceMs?: number | undefined;
}

export const USUAL_SILENCE_MS = 60_000;

/** What skopeo runs with; `authFile` comes from {@link takeAuthFile}. */
export interface SkopeoRun extends RegistryOptions, Pick<ExchangeOptions, 'system' | 'signal'> {
  /** The folder for temporary files. */
  readonly work: string;
  readonly report: ProgressListener;
  readonly fileBytesLimit?: number;
}

const MAX_MANIFEST_BYTES = 4 * 1024 * 1024;
const MAX_AUTH_BYTES = 1024 * 1024;
/** The kernel kills the program when this process dies. */
const DIE_WITH_PARENT = ['--pdeathsig', 'KILL', '--'];
/** Variables that skopeo gets from the caller's environment: proxies, and the certificate authorities to trust. */
const PASSED_VARIABLES = [...PROXY_VARIABLES, ...['SSL_CERT_FILE', 'SSL_CERT_DIR']] as const;

/**
 * Runs skopeo and reports its lines as progress. Throws ERR_STACKSHIM_REGISTRY_FAILED (with skopeo's last lines), ERR_STACKSHIM_DISK_FULL,
 * ERR_STACKSHIM_TOOL_MISSING, ERR_STACKSHIM_BUILD_ABORTED.
 */
export async function runSkopeo(
  step: BuildPhase,
  args: readonly string[],
  { system, work, report, fileBytesLimit, signal }: SkopeoRun,
): Promise<void> {
  try {
    await runContained(['skopeo', ...globalOptions(), ...args], {
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
 * Copies the credentials file into `work`, so that the checked file is the used one. (Skopeo would treat a missing file as one without
 * credentials.) Throws ERR_STACKSHIM_INPUT_NOT_FOUND, and ERR_STACKSHIM_SPEC_INVALID if others may read the file.
 */
export function takeAuthFile<T extends RegistryOptions>(options: T, work: string): T {
  const path = options.authFile ?? process.env['REGISTRY_AUTH_FILE'];
  if (path === undefined || path === '') return options;
  const what = 'passwords of registries';
  const bytes = readPrivateFile(path, { what, field: 'authfile', maxBytes: MAX_AUTH_BYTES });
  const authFile = `${work}/auth.json`;
  writeFileSync(authFile, bytes, { flag: 'wx', mode: 0o600 });
  return { ...options, authFile };
}

/** Returns the manifest or index that a registry has under `docker://NAME`. Throws like {@link runSkopeo}. */
export async function inspectRaw(reference: string, run: SkopeoRun): Promise<Buffer> {
  const { work, silenceMs = USUAL_SILENCE_MS, signal } = run;
  const skopeo = findProgram('skopeo', { package: 'skopeo' });
  const setpriv = findProgram('setpriv', { package: 'util-linux' });
  const args = [...globalOptions(), 'inspect', '--raw', ...registryFlags(run, ''), reference];
  const ask = async () =>
    await askTool({
      command: [setpriv, ...DIE_WITH_PARENT, skopeo, ...args],
      env: toEnv(work),
      maxBytes: MAX_MANIFEST_BYTES,
      timeoutMs: silenceMs,
      signal,
    });
  const answer = await ask().catch((error) => {
    throw toFailed(reference, messageOf(error), '');
  });
  if (signal?.aborted) throw toAborted(`inspect ${reference}`, signal.reason);
  const { failure, stderr, stdout } = answer;
  if (failure !== undefined) throw toFailed(reference, failure, stderr);
  return stdout;
}

/** Returns `--src-tls-verify=false --src-authfile=F` for the `side` `src-`; without a side, the flags of `inspect`. */
export function registryFlags(
  { tlsVerify = true, authFile }: RegistryOptions,
  side: '' | 'src-' | 'dest-',
): readonly string[] {
  const auth = authFile === undefined ? [] : [`--${side}authfile=${authFile}`];
  return [`--${side}tls-verify=${tlsVerify}`, ...auth];
}

/** Returns the message of a log line without its other fields: `time="…" level=fatal msg="…"`. */
export function toPlain(text: string): string {
  const quoted = /time="[^"]*" level=\w+ msg=("(?:[^"\\]|\\.)*")/;
  return text.replace(quoted, (line, message: string) => {
    try {
      return String(JSON.parse(message));
    } catch {
      // The message was cut off, or is quoted in a way that JSON does not allow.
      return line;
    }
  });
}

function globalOptions(): readonly string[] {
  const platform = ['--override-os', 'linux', '--override-arch', readHostFacts().architecture];
  // Apply the operator's policy on image signatures, if there is one.
  const hasPolicy = existsSync('/etc/containers/policy.json');
  return [...platform, ...(hasPolicy ? [] : ['--insecure-policy'])];
}

/**
 * Makes the environment for skopeo, which looks for credentials and configuration in the home folder. HOME comes from the user database. The
 * caller's XDG_RUNTIME_DIR is passed only if no other user controls that folder.
 */
function toEnv(work: string): Record<string, string> {
  const { XDG_RUNTIME_DIR = '' } = process.env;
  const walked = XDG_RUNTIME_DIR.startsWith('/') ? walkTrusted(XDG_RUNTIME_DIR) : undefined;
  const isOwn = walked?.stats !== undefined && walked.fault === undefined;
  // Not os.userInfo(): in the executable, it returns the caller's HOME.
  const uid = String(process.geteuid?.() ?? 0);
  const { home = '/root' } = resolveUser(uid, readFileSync('/etc/passwd', 'utf8'), '');
  return {
    ...pickVariables(PASSED_VARIABLES, process.env),
    ...(isOwn ? { XDG_RUNTIME_DIR } : {}),
    HOME: home,
    PATH: SYSTEM_PATH,
    LC_ALL: 'C.UTF-8',
    TMPDIR: work,
  };
}

function toFailed(reference: string, failure: string, stderr: string): StackshimError {
  const details = { reference, output: stderr.split('\n').slice(-20) };
  const message = `inspect ${reference}: ${toPlain(failure).slice(0, 1000)}`;
  return new StackshimError('ERR_STACKSHIM_REGISTRY_FAILED', message, { details });
}
