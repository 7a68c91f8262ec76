/** Signs the index of saved stacks (Ed25519) with the operator's key, and checks a signature against the receiver's trusted keys. */
import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { lstat, readdir } from 'node:fs/promises';
import { messageOf, reasonOf, StackshimError, tolerate } from '../../core/errors.ts';
import { isImageDigest } from '../../core/ids.ts';
import { type Layout, trustedKeysDir } from '../../core/layout.ts';
import { objectOf, oneOf, textThat } from '../../core/read-fields.ts';
import { parseStrictJson } from '../../core/strict-json.ts';
import { readBoundedFile } from '../../sys/files.ts';
import { readPrivateFile } from '../../sys/read-private-file.ts';
import { isOursAlone } from '../../sys/trusted-path.ts';
import { toDigest } from '../oci-image/oci-documents.ts';
import { toInvalidSave } from './saved-index.ts';

/** Prefixed to the signed bytes, so that a signature for another purpose cannot be used here. */
const CONTEXT = Buffer.from('stackshim saved stacks, version 1\n');
const MAX_KEY_BYTES = 16 * 1024;

const readSignature = objectOf({
  version: oneOf(1),
  /** `sha256:<hex>` of the public key as DER. */
  key: textThat(isImageDigest, 'not the id of a key'),
  /** Base64. */
  signature: textThat((text) => /^[A-Za-z0-9+/]{86}==$/.test(text), 'not a signature'),
});

/** Reads a private key in PEM that no other user can read. Throws ERR_STACKSHIM_INPUT_NOT_FOUND, ERR_STACKSHIM_SPEC_INVALID. */
export function readSigningKey(path: string): KeyObject {
  const pem = readPrivateFile(path, { what: 'key', field: 'key', maxBytes: MAX_KEY_BYTES });
  try {
    return requireEd25519(createPrivateKey(pem));
  } catch (error) {
    const message = `read key ${path}: not an Ed25519 private key in PEM`;
    throw new StackshimError('ERR_STACKSHIM_SPEC_INVALID', message, {
      hint: 'make a key: openssl genpkey -algorithm ed25519 -out FILE',
      details: { field: 'key', path },
      cause: error,
    });
  }
}

export function signIndex(index: Uint8Array, key: KeyObject): string {
  const signature = sign(null, Buffer.concat([CONTEXT, index]), key).toString('base64');
  return JSON.stringify({ version: 1, key: toKeyId(createPublicKey(key)), signature });
}

/** Returns if a trusted key has signed the index. Throws ERR_STACKSHIM_SAVE_UNTRUSTED, and ERR_STACKSHIM_SAVE_INVALID for a malformed signature. */
export async function verifyIndex(
  layout: Layout,
  index: Uint8Array,
  document: Uint8Array,
): Promise<void> {
  const { key: keyId, signature } = parseSignature(document);
  const key = (await readTrustedKeys(layout)).get(keyId);
  if (key === undefined) throw toUntrusted(layout, `signed by ${keyId}, which is not trusted here`);
  if (verify(null, Buffer.concat([CONTEXT, index]), key, Buffer.from(signature, 'base64'))) return;
  const hint = 'get the file again: it was changed after it was signed';
  throw toUntrusted(layout, `the signature of ${keyId} does not match the index`, hint);
}

function parseSignature(document: Uint8Array) {
  try {
    return readSignature(parseStrictJson(new TextDecoder().decode(document)), 'signature');
  } catch (error) {
    throw toInvalidSave('its signature cannot be read', error);
  }
}

/** The trusted keys by id. A folder or file that users other than root can write to is refused. */
async function readTrustedKeys(layout: Layout): Promise<ReadonlyMap<string, KeyObject>> {
  const folder = trustedKeysDir(layout);
  const keys = new Map<string, KeyObject>();
  for (const name of await listKeyFiles(layout)) {
    const path = `${folder}/${name}`;
    await requireOurs(layout, path);
    try {
      const key = requireEd25519(readPublicKey(path));
      keys.set(toKeyId(key), key);
    } catch (error) {
      const reason = `${path} is not an Ed25519 public key: ${messageOf(error)}`;
      const hint =
        'remove it from the folder, or write it again: openssl pkey -in save.pem -pubout';
      throw toUntrusted(layout, reason, hint);
    }
  }
  return keys;
}

/** Refuses a private key, which would be accepted for its public half: the secret does not belong here. */
function readPublicKey(path: string): KeyObject {
  let pem: string;
  try {
    pem = readBoundedFile(path, { maxBytes: MAX_KEY_BYTES, followLink: true });
  } catch (error) {
    throw new Error(`read key ${path}: ${reasonOf(error)}`);
  }
  if (pem.includes('PRIVATE KEY')) throw new TypeError('it is a private key');
  return createPublicKey(pem);
}

async function listKeyFiles(layout: Layout): Promise<readonly string[]> {
  const folder = trustedKeysDir(layout);
  const names = await requireOurs(layout, folder)
    .then(() => readdir(folder))
    .catch(tolerate('ENOENT'));
  return names?.filter((name) => name.endsWith('.pem')).sort() ?? [];
}

async function requireOurs(layout: Layout, path: string): Promise<void> {
  if (isOursAlone(await lstat(path))) return;
  const hint = `take it from other users: chown root ${path} && chmod go-w ${path}`;
  throw toUntrusted(layout, `users other than root can write to ${path}`, hint);
}

function requireEd25519(key: KeyObject): KeyObject {
  if (key.asymmetricKeyType === 'ed25519') return key;
  throw new TypeError(`it is a key for ${key.asymmetricKeyType}`);
}

const toKeyId = (key: KeyObject) => toDigest(key.export({ type: 'spki', format: 'der' }));

function toUntrusted(layout: Layout, reason: string, hint?: string): StackshimError {
  const folder = trustedKeysDir(layout);
  return new StackshimError('ERR_STACKSHIM_SAVE_UNTRUSTED', `read saved stacks: ${reason}`, {
    hint: hint ?? `put the saving operator's public key into ${folder}/NAME.pem, if you trust it`,
    details: { folder },
  });
}
