/** An OCI configuration as the bytes of `config.json`. */
import type { OciConfig } from './oci-config.ts';

/** RLIM_INFINITY, which a JavaScript number cannot say exactly. */
const UNLIMITED = '18446744073709551615';
// No argument, variable or path can hold a NUL, so no other string of a configuration is this one.
const MARK = '\0unlimited';

/** Serialises a configuration; Infinity, as limits have it, becomes RLIM_INFINITY. */
export function toConfigJson(config: OciConfig): string {
  const json = JSON.stringify(config, (_, value: unknown) => (value === Infinity ? MARK : value));
  return json.replaceAll(JSON.stringify(MARK), UNLIMITED);
}
