/** The text of docs/errors.md, generated from the registry of error codes. */
import { readFileSync } from 'node:fs';
import { statusOfError } from '../../../src/cli/exit-status.ts';
import { type ErrorCode, errorCodes } from '../../../src/core/error-codes.ts';
import { StackshimError } from '../../../src/core/errors.ts';

const REGISTRY = new URL('../../../src/core/error-codes.ts', import.meta.url);

const INTRODUCTION = `# Errors

Look up an error code here to learn what it means and what to do. Every error of stackshim, in the library and on the command line, has a \`code\` that never changes its meaning, a \`kind\` that says what
sort of failure it is, a message for people, a hint that says what to do, and \`details\` for programs. Match on the code or the kind, never
on the message.

On the command line an error is two lines on standard error; the first ends with the code:

\`\`\`
stackshim: find stack pyton-3.13: no such stack [ERR_STACKSHIM_STACK_NOT_FOUND]
  hint: did you mean python-3.13? run stackshim stack ls to list the stacks
\`\`\`

In JSON (\`error\` of a result record, \`error.toJSON()\` in the library) an error has the fields \`code\`, \`kind\`, \`message\`, \`hint\`, \`details\` and,
if there is one, \`cause\`.

**Exit status.** \`stackshim run\` exits with 125 for every error of its own, and with 126 and 127 when the task's command is not executable or
not found; so does \`stackshim exec\`. The other commands exit with the status below: 0 success, 1 failure, 2 wrong usage or invalid input, 3 not found, 4 conflict or busy. The status is 141 if nobody
reads the pipe any more to which \`run\`, \`exec\`, \`cp\`, \`stack export\` or \`save\` writes.

**A task that fails is not an error.** The result record says how an accepted task ended; a task that could not be started has the
verdict \`setup_failed\` and the error in its field \`error\`.

The tables below show the default hint of each code; an error may have a more specific one.
`;

interface Area {
  readonly title: string;
  readonly codes: readonly ErrorCode[];
}

/** The whole document. */
export function toErrorsDoc(): string {
  return [INTRODUCTION, ...readAreas().map(toSection)].join('\n');
}

/** The registry's headings: comments that stand alone between entries. */
function readAreas(): readonly Area[] {
  const areas: { title: string; codes: ErrorCode[] }[] = [];
  for (const line of readFileSync(REGISTRY, 'utf8').split('\n')) {
    const title = /^ {2}\/\/ (.+)$/.exec(line)?.[1];
    if (title !== undefined) areas.push({ title, codes: [] });
    const code = /^ {2}(ERR_STACKSHIM_\w+): \w+\(/.exec(line)?.[1];
    if (code !== undefined) areas.at(-1)?.codes.push(code as ErrorCode);
  }
  return areas;
}

function toSection({ title, codes }: Area): string {
  const rows = codes.map((code) => {
    const { kind, meaning, hint } = errorCodes[code];
    const status = statusOfError(new StackshimError(code, ''));
    return `| \`${code}\` | ${kind} | ${status} | ${meaning} | ${hint} |`;
  });
  const heading = `${title.charAt(0).toUpperCase()}${title.slice(1)}`;
  const header = '| code | kind | status | meaning | hint |\n|---|---|---|---|---|';
  const use = `Errors of this area, their exit statuses, and what to do:`;
  return `## ${heading}\n\n${use}\n\n${header}\n${rows.join('\n')}\n`;
}
