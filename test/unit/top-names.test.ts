/** What a folder or archive is, by the names at its top. */
import { expect, it } from 'vitest';
import { collectTopNames } from '../../src/exchange/root-filesystem/top-names.ts';

const HEX = '0123456789abcdef'.repeat(4);
const kindOf = (paths: readonly string[]) => {
  const names = collectTopNames();
  for (const path of paths) names.add(path);
  return names.kind();
};

it.each([
  [[], 'empty'],
  [['.', './'], 'empty'],
  // docker export, debootstrap, a tar made with `tar -C DIR .`
  [['.dockerenv', 'bin', 'usr/', 'usr/bin/env'], 'rootfs'],
  [['./', './bin', './etc/passwd'], 'rootfs'],
  [['/bin/sh'], 'rootfs'],
  [['program'], 'rootfs'],
  // A program with a manifest of its own, and a name deep in a tree.
  [['manifest.json', 'usr/lib/x', 'bin'], 'rootfs'],
  [['bin', 'srv/oci-layout'], 'rootfs'],
  // podman, skopeo, buildah; docker save before and after version 25
  [['blobs/', `blobs/sha256/${HEX}`, 'index.json', 'oci-layout'], 'oci'],
  [['blobs/', 'index.json', 'manifest.json', 'oci-layout', 'repositories'], 'oci'],
  [[`${HEX}/`, `${HEX}/layer.tar`, `${HEX}.json`, 'manifest.json', 'repositories'], 'docker'],
  [[`${HEX}.tar`, `${HEX}.json`, 'manifest.json'], 'docker'],
  [['blobs/', 'index.json'], 'unclear'],
  [['manifest.json', 'program'], 'unclear'],
  [['bin', 'usr', 'oci-layout'], 'unclear'],
  [['oci-layout', 'index.json', 'notes'], 'unclear'],
] as const)('%j is %s', (paths, kind) => {
  expect(kindOf(paths)).toBe(kind);
});

it('is settled no earlier than the rest of the names allows', () => {
  const names = collectTopNames();
  names.add('manifest.json');
  expect(names.isSettled()).toBe(false);
  names.add('program');
  expect(names.isSettled()).toBe(false);
  names.add('usr/bin');
  expect(names.isSettled()).toBe(true);
});
