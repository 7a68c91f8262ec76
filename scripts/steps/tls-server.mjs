/** A web server on loopback with a certificate of its own new authority, for the test programs of stacks. */
import { createHash, randomUUID, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import { StepFailure } from './failure.mjs';
import { runProgram } from './run-program.mjs';

/**
 * @typedef {object} TlsServer
 * @property {string} url
 * @property {number} port
 * @property {string} caFile PEM of the authority that clients must be told to trust
 * @property {string} pin base64 sha256 of the server's public key
 * @property {string} token the content of every answer; a client can only know it from an answer
 * @property {() => Promise<void>} close ends every connection
 */

const EC_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

/**
 * @param {string} folder an empty one; the keys are written there
 * @returns {Promise<TlsServer>}
 */
export async function startTlsServer(folder) {
  const openssl = (/** @type {readonly string[]} */ args) =>
    runProgram('openssl', args, { cwd: folder, output: 'capture' });
  const rights = ['-addext', 'keyUsage=critical,keyCertSign,cRLSign'];
  const ca = ['-x509', '-subj', '/CN=stackshim test authority', '-days', '2', ...rights];
  await openssl(['req', ...EC_KEY, ...ca, '-keyout', 'ca.key', '-out', 'ca.pem']);
  const names = ['-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  const issued = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-days', '2'];
  const uses = ['-addext', 'basicConstraints=critical,CA:FALSE'];
  const server = ['-x509', '-subj', '/CN=localhost', ...names, ...uses, ...issued];
  await openssl(['req', ...EC_KEY, ...server, '-keyout', 'server.key', '-out', 'server.pem']);
  const [cert, authority, key] = await Promise.all(
    ['server.pem', 'ca.pem', 'server.key'].map((name) => readFile(`${folder}/${name}`, 'utf8')),
  );
  if (cert === undefined || authority === undefined) throw new StepFailure('openssl: no keys', '');
  const token = randomUUID();
  const options = { key, cert: cert + authority };
  const listener = createServer(options, (_, answer) => answer.end(token));
  // A client that refuses the certificate disconnects: that is a result of its test, not a failure of the server.
  listener.on('tlsClientError', (_, socket) => socket.destroy());
  await new Promise((resolve) => listener.listen(0, '127.0.0.1', () => resolve(undefined)));
  const address = listener.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    url: `https://localhost:${port}/`,
    port,
    caFile: `${folder}/ca.pem`,
    pin: await toPin(folder),
    token,
    close: () =>
      new Promise((resolve) => {
        listener.close(() => resolve());
        listener.closeAllConnections();
      }),
  };
}

/** @param {string} folder */
async function toPin(folder) {
  const certificate = new X509Certificate(await readFile(`${folder}/server.pem`));
  const spki = certificate.publicKey.export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(spki).digest('base64');
}
