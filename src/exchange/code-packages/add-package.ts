/** Adds a directory or an archive as the current revision of a code package: read, built, stored as layers, made current. */
import { hasCode, reasonOf, StackshimError } from '../../core/errors.ts';
import { isPackageName, parseTenantName } from '../../core/ids.ts';
import type { Layout } from '../../core/layout.ts';
import { surveyCode } from '../../packages/pack-code.ts';
import { invalidField } from '../../spec/field-errors.ts';
import {
  joinSettings,
  PACKAGE_FILE,
  PACKAGE_FILE_BYTES,
  type PackageInput,
  parsePackageFile,
  parsePackageInput,
} from '../../spec/package-input.ts';
import {
  CODE_LABEL,
  type PackageSettings,
  SETTINGS_BOUNDS,
  toSettingsLabel,
} from '../../spec/package-settings.ts';
import { requireAllowedPath } from '../../spec/policy.ts';
import { type Image, readImage } from '../../store/images/image.ts';
import { toLayerLists } from '../../store/images/store-image.ts';
import { readSoundRecord } from '../../store/layers/layer-record.ts';
import { addPackageRevision } from '../../store/packages/change-packages.ts';
import {
  type PackageOwner,
  type PackageRevision,
  readCurrentPackage,
  requirePackageRevision,
} from '../../store/packages/package.ts';
import { readBoundedFd } from '../../sys/files.ts';
import { lookUpPath, openPlain, withFd } from '../../sys/paths.ts';
import {
  type PlannedCodeBuild,
  planCodeBuild,
  withCodeBuild,
} from '../../task/build-step/build-alone.ts';
import { type Installation, readPolicy } from '../../task/installation.ts';
import { abortable } from '../abortable.ts';
import { holdStoreFor } from '../hold-store-for.ts';
import { type ProgressListener, toReporter } from '../progress.ts';
import { storeCodeLayer, storePackageImage, storeUpperLayer } from './store-package.ts';

/** The input of a code package, with a progress listener and a signal. */
export interface AddPackageOptions extends PackageInput {
  readonly onProgress?: ProgressListener | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The current revision after the call. */
export interface AddedPackage
  extends Pick<PackageRevision, 'name' | 'tenant' | 'revision' | 'image'> {
  /** False if the same code with the same settings was already current. */
  readonly isNew: boolean;
  /** The build that prepared the code, run or found in the cache; absent without a build. */
  readonly build?: { readonly key: string; readonly cached: boolean };
}

interface Adding {
  readonly installation: Installation;
  readonly of: PackageOwner;
  /** Resolved: contains no links. */
  readonly path: string;
  readonly given: PackageInput;
  readonly report: ProgressListener;
  readonly signal: AbortSignal | undefined;
}

/**
 * Reads the code once. Does nothing else if the same code with the same settings (and, with a build, for the same image of the stack) is current.
 * Otherwise runs the build unless its result is cached, and stores everything not stored yet. A failed call leaves nothing.
 *
 * Throws ERR_STACKSHIM_SPEC_INVALID, ERR_STACKSHIM_SPEC_DENIED, ERR_STACKSHIM_INPUT_NOT_FOUND, ERR_STACKSHIM_CODE_INVALID,
 * ERR_STACKSHIM_PACKAGE_INVALID for the code's `stackshim.json`, ERR_STACKSHIM_TASK_BUILD_FAILED, ERR_STACKSHIM_BUILD_ABORTED.
 */
export async function addPackage(
  installation: Installation,
  { name, path: asked }: { readonly name: string; readonly path: string },
  { onProgress, signal, ...options }: AddPackageOptions = {},
): Promise<AddedPackage> {
  const given = parsePackageInput(options);
  const tenant = given.tenant === undefined ? null : parseTenantName(given.tenant);
  if (!isPackageName(name)) throw invalidField('name', NOT_A_NAME, name);
  const of = { name, tenant };
  const report = toReporter(onProgress);
  return await abortable(`add code package ${name}`, signal, async () => {
    const { allow } = await readPolicy(installation.layout);
    const path = findInput(allow, asked, 'code');
    const withConfig = { ...given, ...readConfig(allow, given) };
    return await add({ installation, of, path, given: withConfig, report, signal });
  });
}

const NOT_A_NAME =
  'not a name of lower-case letters, digits, ".", "_" and "-" that does not end like an archive';

type Allow = Awaited<ReturnType<typeof readPolicy>>['allow'];

function findInput(allow: Allow, path: string, field: string): string {
  let found: string;
  try {
    found = lookUpPath(path).path;
  } catch (error) {
    throw toUnreadable(path, error);
  }
  requireAllowedPath(allow, 'inputs', found, field);
  return found;
}

const toUnreadable = (path: string, error: unknown) =>
  error instanceof StackshimError
    ? error
    : new StackshimError('ERR_STACKSHIM_INPUT_NOT_FOUND', `read ${path}: ${reasonOf(error)}`, {
        details: { path },
        cause: error,
      });

function readConfig(allow: Allow, { config, configFile }: PackageInput): { config?: string } {
  if (configFile === undefined) return {};
  if (config !== undefined) {
    throw invalidField('config', 'given together with configFile; give one of them');
  }
  const path = findInput(allow, configFile, 'configFile');
  const fd = openPlain(path, { followLinks: false });
  if (fd === undefined) throw toUnreadable(configFile, new Error('neither a file nor a directory'));
  try {
    return { config: withFd(fd, () => readBoundedFd(fd, SETTINGS_BOUNDS.chars)) };
  } catch (error) {
    throw toUnreadable(configFile, error);
  }
}

async function add(adding: Adding): Promise<AddedPackage> {
  const { installation, of, path, given, report, signal } = adding;
  const { system, layout } = installation;
  const survey = await surveyCode(path, {
    workers: { system, layout },
    followLinks: false,
    signal,
    file: { path: PACKAGE_FILE, maxBytes: PACKAGE_FILE_BYTES },
  });
  const beside = survey.file === undefined ? undefined : parsePackageFile(survey.file);
  const settings = joinSettings(given, beside);
  const build = await planBuild(adding, settings, survey.digest);
  const known = findCurrent(layout, of, survey.digest, build?.key);
  const label = toSettingsLabel(settings);
  const ofBuild = (cached: boolean) =>
    build === undefined ? {} : { build: { key: build.key, cached } };
  if (known !== undefined && known.image.config.labels[CODE_LABEL] === label) {
    const { revision, image } = known.entry;
    return { ...of, revision, image, isNew: false, ...ofBuild(true) };
  }
  const storeCode = () => storeCodeLayer(installation, path, survey.digest, signal);
  const store = async (layers: Pick<Image, 'layers' | 'diffIds'>) => {
    const image = await storePackageImage(installation, layers, label, signal);
    const shown = path.slice(0, MAX_PATH_CHARS);
    const { entry, isNew } = await addPackageRevision(layout, system, {
      ...{ ...of, image: image.digest, now: new Date(), makeCurrent: 'always' },
      source: { kind: 'add', path: shown, content: survey.digest, build: build?.key },
    });
    return { ...of, revision: entry.revision, image: image.digest, isNew };
  };
  if (known !== undefined) {
    const added = await holdStoreFor(layout, system, () => store(known.image));
    return { ...added, ...ofBuild(true) };
  }
  if (build === undefined) {
    return await holdStoreFor(layout, system, async () => store(toLayerLists([await storeCode()])));
  }
  const building = withCodeBuild(installation, build, {
    signal,
    onEvent({ type }) {
      if (type === 'building') report({ kind: 'step', step: 'build', text: 'run the build step' });
    },
    use: async ({ folder, cached }) => {
      const added = await holdStoreFor(layout, system, async () => {
        const code = await storeCode();
        const upper = await storeUpperLayer(installation, folder, signal);
        return await store(toLayerLists([code, upper]));
      });
      return { ...added, ...ofBuild(cached) };
    },
  });
  return await building.catch((error) => {
    if (hasCode(error, 'ERR_STACKSHIM_TASK_BUILD_FAILED')) {
      // The last lines of the build's log.
      const { output } = error.details;
      for (const text of Array.isArray(output) ? output.map(String) : []) {
        report({ kind: 'line', step: 'build', text });
      }
    }
    throw error;
  });
}

const MAX_PATH_CHARS = 4000;

async function planBuild(
  { installation, of, path, given, signal }: Adding,
  { stack, build, buildFiles, limits }: PackageSettings,
  digest: string,
): Promise<PlannedCodeBuild | undefined> {
  if (build === undefined) return undefined;
  if (stack === undefined) throw invalidField('stack', 'missing: the build needs one');
  const { buildTimeout, buildMemory, buildDisk, cpus, pidsLimit, stopTimeout } = limits ?? {};
  return await planCodeBuild(installation, {
    input: {
      ...{ stack, code: path, build, tenant: of.tenant ?? undefined },
      ...{ buildTimeout, buildMemory, buildDisk, cpus, pidsLimit, stopTimeout },
      buildNetwork: given.buildNetwork,
    },
    buildFiles,
    codeDigest: buildFiles === undefined ? digest : undefined,
    signal,
  });
}

/** Finds the current revision if the same code and the same build made it, and all its layers are sound. */
function findCurrent(
  layout: Layout,
  of: PackageOwner,
  digest: string,
  build: string | undefined,
): { readonly entry: PackageRevision; readonly image: Image } | undefined {
  const current = readCurrentPackage(layout, of);
  if (current === undefined) return undefined;
  const entry = requirePackageRevision(layout, of, current.revision);
  const { source } = entry;
  if (source.kind !== 'add' || source.content !== digest || source.build !== build)
    return undefined;
  const image = readImage(layout, entry.image);
  const isWhole = image.layers.every((id) => readSoundRecord(layout, id) !== undefined);
  return isWhole ? { entry, image } : undefined;
}
