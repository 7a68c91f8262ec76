/** References of stacks and code packages: `NAME`, `NAME@rev:N` or, bound, `NAME@sha256:…`. Pure. */

/** `version` is undefined for what is current; `digest` is undefined unless the reference is bound: only a digest means the same on every machine. */
export function splitReference(reference: string) {
  const [name = '', version] = reference.split('@');
  return { name, version, digest: version?.startsWith('sha256:') ? version : undefined };
}
