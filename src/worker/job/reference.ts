/** References to stacks and code packages: `NAME`, `NAME@rev:N` or, bound, `NAME@sha256:…`. Pure. */

/** `version` is undefined for the current one, `digest` unless the reference is bound. Only a digest means the same on every machine. */
export function splitReference(reference: string) {
  const [name = '', version] = reference.split('@');
  return { name, version, digest: version?.startsWith('sha256:') ? version : undefined };
}
