/** A certificate for 127.0.0.1 that signs itself: it is its own authority. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { promisify } from 'node:util';
import type { TlsFiles } from './start-redis.ts';

export interface Certificate extends TlsFiles {
  remove(): Promise<void>;
}

export async function makeCertificate(): Promise<Certificate> {
  const folder = await mkdtemp('/var/tmp/stackshim-certificate-');
  const [cert, key] = [`${folder}/cert.pem`, `${folder}/key.pem`];
  await promisify(execFile)('openssl', [
    ...['req', '-x509', '-nodes', '-days', '2', '-subj', '/CN=store', '-out', cert, '-keyout', key],
    ...['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'],
    ...['-addext', 'subjectAltName=IP:127.0.0.1'],
  ]);
  return { cert, key, remove: () => rm(folder, { recursive: true, force: true }) };
}
