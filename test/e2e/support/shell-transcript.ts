/** Shell sessions in a document: their commands and output, as far as the output is the same everywhere. */

export interface ShownCommand {
  readonly command: string;
  /** Lines; a line `…` stands for any number of lines. */
  readonly prints: readonly string[];
}

/** Every block of a document that begins with a prompt, in order. */
export function readTranscripts(markdown: string): readonly (readonly ShownCommand[])[] {
  const blocks = markdown.matchAll(/^```\n(\$ [\s\S]*?)^```$/gm);
  return [...blocks].map(([, block = '']) => block.split(/^\$ /m).slice(1).map(toShown));
}

/** A here-document is part of the command. */
function toShown(text: string): ShownCommand {
  const [command = '', output = ''] = splitAt(text, /<<'EOF'/.test(text) ? '\nEOF\n' : '\n');
  return { command, prints: output.trimEnd() === '' ? [] : output.trimEnd().split('\n') };
}

function splitAt(text: string, end: string): readonly [string, string] {
  const at = text.indexOf(end) + end.length;
  return [text.slice(0, at).trimEnd(), text.slice(at)];
}

/** What varies between machines and runs is compared by its form: digests, ids, sizes, kernels, ages, long numbers, column widths. */
const VOLATILE: readonly (readonly [RegExp, string])[] = [
  [/sha256:[0-9a-f]+/g, 'sha256:[0-9a-f]+'],
  [/\b\d+ (B|KiB|MiB)\b/g, '[\\d.]+ \\w+'],
  [/\d{4}-\d\d-\d\dT[\d:.\\]+Z/g, '\\d{4}-[\\dT:.-]+Z'],
  [/Linux \S+ on \w+/g, 'Linux \\S+ on \\w+'],
  [/\b\d+ms\b/g, '[\\d.]+m?s'],
  [/\b\d+[smh]\b/g, '\\d+[smh]'],
  [/\b[a-z0-9]{20}\b/g, '[a-z0-9]{20}'],
  [/\d{4,}/g, '\\d+'],
  [/ {2,}/g, ' +'],
];

/** Matches the complete output of a command. */
export function toPattern(prints: readonly string[]): RegExp {
  const lines = prints.map((line) => (line === '…' ? '(?:.*\\n)*' : `${toLinePattern(line)} *\\n`));
  return new RegExp(`^${lines.join('')}$`);
}

const toLinePattern = (line: string) =>
  VOLATILE.reduce((pattern, [form, any]) => pattern.replace(form, () => any), toLiteral(line));

const toLiteral = (text: string) => text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
