/** Copies an archive to a registry with skopeo, which compresses the layers and skips those that the registry has. */
import { readFile } from 'node:fs/promises';
import { type ImageDigest, isImageDigest } from '../../core/ids.ts';
import { toInvalid } from '../oci-image/oci-blobs.ts';
import { repositoryOf, toContentTag } from './image-reference.ts';
import { registryFlags, runSkopeo, type SkopeoRun } from './run-skopeo.ts';

/**
 * Copies the image in an OCI archive to `name`, as returned by `parsePushName`. Adds a tag in the same repository that contains the content digest
 * (`toContentTag`), because the registry's own digest differs: its layers are compressed. Returns the registry's digest. Throws
 * ERR_STACKSHIM_REGISTRY_FAILED.
 */
export async function copyToRegistry(
  file: string,
  name: string,
  content: ImageDigest,
  run: SkopeoRun,
): Promise<ImageDigest> {
  run.report({ kind: 'step', step: 'push', text: `push docker://${name}` });
  const digestFile = `${run.work}/digest`;
  const to = registryFlags(run, 'dest-');
  const copy = ['copy', '--format', 'oci', '--digestfile', digestFile, ...to];
  await runSkopeo('push', [...copy, `oci-archive:${file}`, `docker://${name}`], run);
  const digest = (await readFile(digestFile, 'utf8')).trim();
  if (!isImageDigest(digest)) throw toInvalid(`push ${name}: skopeo returned no digest`);
  const repository = `docker://${repositoryOf(name)}`;
  const tag = [`${repository}@${digest}`, `${repository}:${toContentTag(content)}`];
  await runSkopeo('push', ['copy', ...registryFlags(run, 'src-'), ...to, ...tag], run);
  return digest;
}
