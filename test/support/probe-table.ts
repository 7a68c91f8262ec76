/** The battery's table in docs/security.md: written from a run, read back by tests. */
import { fileURLToPath } from 'node:url';
import type { Probe } from './probe.ts';

export const SECURITY_DOC = fileURLToPath(new URL('../../docs/security.md', import.meta.url));

const BEGIN =
  '<!-- battery: begin. Written by a run: STACKSHIM_TEST_FULL=1 UPDATE_DOCS=1 npx vitest run test/security/battery-docker -->';
const END = '<!-- battery: end -->';
const HEAD =
  '| probe | tries | stackshim | docker run | in stackshim, stopped by | shown to work |\n|---|---|---|---|---|---|';

/** A row without what a run finds out: what the document must say of a probe. */
export function describeProbe(probe: Probe): { readonly before: string; readonly after: string } {
  const shown = probe.proveIn === 'vm' ? 'in a virtual machine' : 'in an open container';
  return {
    before: `| ${probe.name} | ${probe.tries} |`,
    after: `| ${probe.stoppedBy} | ${shown} |`,
  };
}

/** `seen`: by name, the verdicts of stackshim and of docker. */
export function toProbeTable(
  probes: readonly Probe[],
  seen: ReadonlyMap<string, readonly string[]>,
  dockerVersion: string,
): string {
  const groups = [...new Set(probes.map(({ group }) => group))];
  const count = (place: number) =>
    probes.filter(({ name }) => seen.get(name)?.[place] === 'held').length;
  const toRow = (probe: Probe) => {
    const { before, after } = describeProbe(probe);
    const [ours = '?', theirs = '?'] = seen.get(probe.name) ?? [];
    return `${before} ${ours} | ${theirs === 'through' ? '**through**' : theirs} ${after}`;
  };
  const sections = groups.map((group) => {
    const rows = probes.filter((probe) => probe.group === group).map(toRow);
    return `**${group[0]?.toUpperCase()}${group.slice(1)}**\n\n${HEAD}\n${rows.join('\n')}`;
  });
  const summary = `Of ${probes.length} probes stackshim held ${count(0)}, \`docker run\` ${count(1)} (docker ${dockerVersion}).`;
  return [BEGIN, summary, ...sections, END].join('\n\n');
}

/** Puts the table where the last one was. */
export function replaceProbeTable(document: string, table: string): string {
  const [from, to] = [document.indexOf(BEGIN), document.indexOf(END)];
  if (from < 0 || to < from) throw new Error('docs/security.md has no place for the table');
  return document.slice(0, from) + table + document.slice(to + END.length);
}

/** By name, the verdicts of stackshim and of docker that the document has. */
export function verdictsInDoc(document: string): ReadonlyMap<string, readonly string[]> {
  const row = /^\| ([^|]+) \| [^|]+ \| (held|through) \| \**(held|through)\** \|/gm;
  return new Map(
    [...document.matchAll(row)].map(([, name = '', ours = '', theirs = '']) => [
      name,
      [ours, theirs],
    ]),
  );
}
