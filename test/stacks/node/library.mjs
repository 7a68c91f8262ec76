// Imports every module of Node's own.
import { builtinModules } from 'node:module';

const names = builtinModules.filter((name) => !name.startsWith('_'));
for (const name of names) await import(name.startsWith('node:') ? name : `node:${name}`);
console.log(`${names.length} modules`);
if (names.length <= 40) throw new Error('most modules are missing');
