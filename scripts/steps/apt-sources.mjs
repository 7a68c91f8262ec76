/** Reads the host's Debian sources in both formats of sources.list(5). */
import { existsSync, readdirSync, readFileSync } from 'node:fs';

/**
 * @typedef {object} AptSource
 * @property {string} uri the mirror, as in apt's configuration
 * @property {readonly string[]} suites
 * @property {readonly string[]} components
 * @property {string | undefined} signedBy key file or inline key block, as written
 */

/**
 * The host's source of its own Debian release; undefined if there is none.
 * @param {string} codename of the host's release, e.g. trixie
 * @param {string} [folder]
 * @returns {AptSource | undefined}
 */
export function findMirror(codename, folder = '/etc/apt') {
  return readAptSources(folder).find(
    (source) =>
      source.suites.includes(codename) &&
      source.components.includes('main') &&
      !source.uri.startsWith('cdrom:'),
  );
}

/** @param {string} folder */
function readAptSources(folder) {
  const parts = `${folder}/sources.list.d`;
  const files = [
    `${folder}/sources.list`,
    ...(existsSync(parts) ? readdirSync(parts).sort() : []).map((name) => `${parts}/${name}`),
  ].filter((file) => existsSync(file));
  return files.flatMap((file) => {
    const text = readFileSync(file, 'utf8');
    if (file.endsWith('.sources')) return parseDeb822Sources(text);
    return file.endsWith('.list') ? parseOneLineSources(text) : [];
  });
}

/**
 * Parses lines of `deb [signed-by=FILE] URI SUITE COMPONENT…`.
 * @param {string} text
 * @returns {AptSource[]}
 */
export function parseOneLineSources(text) {
  return text.split('\n').flatMap((line) => {
    const match = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)([^#]*)/.exec(line);
    if (match === null) return [];
    const [, options = '', uri = '', suite = '', components = ''] = match;
    const signedBy = /(?:^|\s)signed-by=(\S+)/.exec(options)?.[1]?.replaceAll(',', ' ');
    return [{ uri, suites: [suite], components: splitWords(components), signedBy }];
  });
}

/**
 * Parses stanzas of `Field: value` with continuation lines that start with a space; returns one source for each URI.
 * @param {string} text
 * @returns {AptSource[]}
 */
export function parseDeb822Sources(text) {
  const lines = text.split('\n').filter((line) => !line.startsWith('#'));
  return lines
    .join('\n')
    .split(/\n\s*\n/)
    .map(parseStanza)
    .filter((fields) => splitWords(fields.get('types')).includes('deb'))
    .filter((fields) => !/^(no|false|0|off|without|disable)$/i.test(fields.get('enabled') ?? ''))
    .flatMap((fields) =>
      splitWords(fields.get('uris')).map((uri) => ({
        uri,
        suites: splitWords(fields.get('suites')),
        components: splitWords(fields.get('components')),
        signedBy: fields.get('signed-by'),
      })),
    );
}

/**
 * @param {string} stanza
 * @returns {ReadonlyMap<string, string>} field names in lower case
 */
function parseStanza(stanza) {
  /** @type {Map<string, string>} */
  const fields = new Map();
  let name = '';
  for (const line of stanza.split('\n')) {
    const match = /^([A-Za-z-]+):\s*(.*)$/.exec(line);
    if (match?.[1] !== undefined) {
      name = match[1].toLowerCase();
      fields.set(name, (match[2] ?? '').trimEnd());
    } else if (/^\s/.test(line) && name !== '') {
      fields.set(name, `${fields.get(name)}\n${line.trimEnd()}`);
    }
  }
  return fields;
}

/** @param {string | undefined} text */
function splitWords(text) {
  return (text ?? '').split(/\s+/).filter((word) => word !== '');
}

/**
 * A stanza that names `suite` on the same mirror, trusted through the same key.
 * @param {AptSource} mirror
 * @param {string} suite
 */
export function formatSource(mirror, suite) {
  const lines = ['Types: deb', `URIs: ${mirror.uri}`, `Suites: ${suite}`, 'Components: main'];
  if (mirror.signedBy !== undefined) lines.push(`Signed-By: ${mirror.signedBy}`);
  return `${lines.join('\n')}\n`;
}
