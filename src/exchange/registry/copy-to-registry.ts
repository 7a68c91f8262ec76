/** Copies an archive to a registry by skopeo, which compresses the layers and skips those that the registry has. */
import { readFile } from 'node:fs/promises';
import { type ImageDigest, isImageDigest } from '../../core/ids.ts';
import { toInvalid } from '../oci-image/oci-blobs.ts';
import { repositoryOf, toContentTag } from './image-reference.ts';
import { type RegistryOptions, registryFlags, runSkopeo, type SkopeoRun } from './run-skopeo.ts';

export interface ArchiveToCopy {
  /** Of an OCI archive. */
  readonly file: string;
  /** As {@link parsePushName} returns it. */
  readonly name: string;
  /** Digest of the image's content. */
  readonly content: ImageDigest;
}

/**
 * Copies the image to its name, and gives it one more tag in the same repository that tells its content (`toContentTag`): the registry's own digest
 * is another one, because its layers are compressed. Returns the registry's digest. Throws ERR_STACKSHIM_REGISTRY_FAILED.
 */
export async function copyToRegistry(
  { file, name, content }: ArchiveToCopy,
  registry: RegistryOptions,
  run: SkopeoRun,
): Promise<ImageDigest> {
  const digestFile = `${run.work}/digest`;
  const to = registryFlags(registry, 'dest-');
  const copy = ['copy', '--format', 'oci', '--digestfile', digestFile, ...to];
  await runSkopeo([...copy, `oci-archive:${file}`, `docker://${name}`], run);
  const digest = (await readFile(digestFile, 'utf8')).trim();
  if (!isImageDigest(digest)) throw toInvalid(`push ${name}: skopeo returned no digest`);
  const repository = `docker://${repositoryOf(name)}`;
  const from = registryFlags(registry, 'src-');
  await runSkopeo(
    ['copy', ...from, ...to, `${repository}@${digest}`, `${repository}:${toContentTag(content)}`],
    run,
  );
  return digest;
}
