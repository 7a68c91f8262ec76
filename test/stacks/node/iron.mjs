// A program for IronWorker: its client library looks for the input in the command line.
import { readFileSync } from 'node:fs';

/** @param {string} name */
const argument = (name) => {
  const at = process.argv.indexOf(name);
  return at === -1 ? null : (process.argv[at + 1] ?? null);
};

/** @param {string} name */
const content = (name) => {
  const path = argument(name);
  const text = path === null ? '' : readFileSync(path, 'utf8');
  return text === '' ? null : JSON.parse(text);
};

console.log(
  JSON.stringify({
    id: argument('-id'),
    payload: content('-payload'),
    config: content('-config'),
    schedule: argument('-schedule_id'),
    beside: readFileSync(`${argument('-d')}iron.txt`, 'utf8').trim(),
  }),
);
