/** The battery's table in docs/security.md: written from a run, read by tests. */
import { fileURLToPath } from 'node:url';
import type { HostProbe } from './host-probe.ts';
import type { Probe } from './probe.ts';

export const SECURITY_DOC = fileURLToPath(new URL('../../../docs/security.md', import.meta.url));

const BEGIN =
  '<!-- battery: begin. Written by a run: STACKSHIM_TEST_FULL=1 UPDATE_DOCS=1 npx vitest run test/security/battery-docker -->';
const END = '<!-- battery: end -->';
const HEAD =
  '| probe | tries | stackshim | docker run | in stackshim, stopped by | shown to work |\n|---|---|---|---|---|---|';

/** A row without the results of a run: what the document must say about a probe. */
export function describeProbe(probe: Probe): { readonly before: string; readonly after: string } {
  const shown = probe.proveIn === 'vm' ? 'in a virtual machine' : 'in an open container';
  return {
    before: `| ${probe.name} | ${probe.tries} |`,
    after: `| ${probe.stoppedBy} | ${shown} |`,
  };
}

/** `seen`: the verdicts of stackshim and docker by name. */
export function toProbeTable(
  probes: readonly Probe[],
  seen: ReadonlyMap<string, readonly string[]>,
  dockerVersion: string,
): string {
  const count = (place: number) =>
    probes.filter(({ name }) => seen.get(name)?.[place] === 'held').length;
  const toRow = (probe: Probe) => {
    const { before, after } = describeProbe(probe);
    const [ours = '?', theirs = '?'] = seen.get(probe.name) ?? [];
    return `${before} ${ours} | ${theirs === 'through' ? '**through**' : theirs} ${after}`;
  };
  const sections = byGroup(probes).map(
    ([group, members]) => `${toHeading(group)}\n\n${HEAD}\n${members.map(toRow).join('\n')}`,
  );
  const summary = `Of ${probes.length} probes stackshim held ${count(0)}, \`docker run\` ${count(1)} (docker ${dockerVersion}).`;
  return [BEGIN, summary, ...sections, END].join('\n\n');
}

/** Replaces the table. */
export const replaceProbeTable = (document: string, table: string): string =>
  replaceBetween(document, { begin: BEGIN, end: END, table });

function replaceBetween(
  document: string,
  { begin, end, table }: { readonly begin: string; readonly end: string; readonly table: string },
): string {
  const [from, to] = [document.indexOf(begin), document.indexOf(end)];
  if (from < 0 || to < from) throw new Error('docs/security.md has no place for the table');
  return document.slice(0, from) + table + document.slice(to + end.length);
}

function byGroup<T extends { readonly group: string }>(
  probes: readonly T[],
): readonly (readonly [string, readonly T[]])[] {
  const groups = [...new Set(probes.map(({ group }) => group))];
  return groups.map((group) => [group, probes.filter((probe) => probe.group === group)]);
}

const toHeading = (group: string) => `**${group[0]?.toUpperCase()}${group.slice(1)}**`;

const HOST_BEGIN =
  '<!-- host battery: begin. Written by: UPDATE_DOCS=1 npx vitest run test/unit/security-doc.test.ts -->';
const HOST_END = '<!-- host battery: end -->';
const HOST_HEAD =
  '| attack | tries | in stackshim, stopped by | shown to work on |\n|---|---|---|---|';

/** `test/security/host-battery.test.ts` fails if one of them is not held, or does not work on the program without the protection. */
export function toHostProbeTable(probes: readonly HostProbe[]): string {
  const sections = byGroup(probes).map(([group, members]) => {
    const rows = members.map(
      ({ name, tries, stoppedBy, shownOn }) => `| ${name} | ${tries} | ${stoppedBy} | ${shownOn} |`,
    );
    return `${toHeading(group)}\n\n${HOST_HEAD}\n${rows.join('\n')}`;
  });
  const summary = `${probes.length} attacks, all of them held.`;
  return [HOST_BEGIN, summary, ...sections, HOST_END].join('\n\n');
}

/** Replaces the table of host probes. */
export const replaceHostProbeTable = (document: string, table: string): string =>
  replaceBetween(document, { begin: HOST_BEGIN, end: HOST_END, table });

/** The document's verdicts of stackshim and docker by name. */
export function verdictsInDoc(document: string): ReadonlyMap<string, readonly string[]> {
  const row = /^\| ([^|]+) \| [^|]+ \| (held|through) \| \**(held|through)\** \|/gm;
  return new Map(
    [...document.matchAll(row)].map(([, name = '', ours = '', theirs = '']) => [
      name,
      [ours, theirs],
    ]),
  );
}
