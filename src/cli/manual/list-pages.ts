/** The manual pages of the program and of each command and group, made from the definition and the table of a task's options. Pure. */
import type { Argument, Command, Option } from 'commander';
import { PROGRAM_VERSION } from '../../core/format-version.ts';
import { OPTION_ROWS } from '../../spec/options/task-options.ts';
import { definedCommandsOf, optionsOf } from '../completion/find-place.ts';
import { toArgument, toLiteral, toParagraph, toText } from './mdoc.ts';

export interface ManualPage {
  /** `stackshim-stack-build.1` */
  readonly file: string;
  readonly text: string;
}

/**
 * Returns the page of a command and of each command below it.
 *
 * @param date The date that the pages carry.
 * @param above The words before the command's own name: `['stackshim', 'stack']`.
 */
export function listPages(
  command: Command,
  date: Date,
  above: readonly string[] = [],
): readonly ManualPage[] {
  const names = [...above, command.name()];
  const own = { file: `${names.join('-')}.${SECTION}`, text: formatPage(command, above, date) };
  return [own, ...definedCommandsOf(command).flatMap((one) => listPages(one, date, names))];
}

const SECTION = 1;

function formatPage(command: Command, above: readonly string[], date: Date): string {
  const names = [...above, command.name()];
  const [name, called] = [names.join('-'), names.join(' ')];
  const after = helpAfter(command);
  return [
    `.Dd ${toDay(date)}\n`,
    `.Dt ${toArgument(name.toUpperCase())} ${SECTION}\n`,
    `.Os stackshim ${PROGRAM_VERSION}\n`,
    `.Sh NAME\n.Nm ${name}\n.Nd ${toText(command.description())}\n`,
    formatSynopsis(command, called),
    `.Sh DESCRIPTION\n.Nm ${called} :\n${toParagraph(`${command.description()}.`)}`,
    formatArguments(command.registeredArguments),
    formatOptions(command, above.length === 1 && command.name() === 'run'),
    formatCommands(command, name),
    above.length === 0 ? SURROUNDINGS : '',
    formatAfter(after),
    /exit status/i.test(after) ? '' : EXIT_STATUS,
    formatSeeAlso(above),
  ].join('');
}

/** Returns the text that a command adds to its help; empty if it adds none. */
function helpAfter(command: Command): string {
  const written: string[] = [];
  const { writeOut } = command.configureOutput();
  command.configureOutput({ writeOut: (text) => void written.push(text) });
  try {
    command.outputHelp();
  } finally {
    if (writeOut !== undefined) command.configureOutput({ writeOut });
  }
  return written.join('').slice(command.helpInformation().length).trim();
}

const toDay = (date: Date) =>
  date.toLocaleDateString('en-US', { dateStyle: 'long', timeZone: 'UTC' });

function formatSynopsis(command: Command, called: string): string {
  const options = optionsOf(command).length > 0 ? '.Op Ar options\n' : '';
  const rest =
    command.commands.length > 0
      ? '.Ar command\n'
      : command.registeredArguments.map(toSynopsisArgument).join('');
  return `.Sh SYNOPSIS\n.Nm ${called}\n${options}${rest}`;
}

function toSynopsisArgument(argument: Argument): string {
  const name = `Ar ${toArgument(argument.name())}${argument.variadic ? ' ...' : ''}`;
  return argument.required ? `.${name}\n` : `.Op ${name}\n`;
}

function formatArguments(args: readonly Argument[]): string {
  if (args.length === 0) return '';
  const items = args.map(
    (argument) => `.It Ar ${toArgument(argument.name())}\n${toParagraph(toNotes(argument))}`,
  );
  return `.Pp\nThe arguments are as follows:\n${toList(items)}`;
}

function formatOptions(command: Command, isRun: boolean): string {
  const items = optionsOf(command).map((option) => {
    const notes = [toNotes(option), ...(isRun ? describeRow(option) : [])];
    const paragraphs = notes.map(toParagraph);
    return `.It ${toFlags(option)}\n${paragraphs.join('.Pp\n')}`;
  });
  return items.length === 0 ? '' : `.Sh OPTIONS\n${toList(items)}`;
}

/** Formats `Fl m , Fl -memory Ar size`. */
function toFlags({ short, long, flags, variadic }: Option): string {
  const value = /[<[](.+)[>\]]$/.exec(flags)?.[1];
  const names = [short, long].flatMap((flag) => (flag == null ? [] : [`Fl ${flag.slice(1)}`]));
  if (value === undefined) return names.join(' , ');
  const ellipsis = variadic ? ' ...' : '';
  return `${names.join(' , ')} Ar ${toArgument(value.replace(/\.\.\.$/, ''))}${ellipsis}`;
}

/** Returns the description as a sentence, with the choices and the default. */
function toNotes({ description, argChoices, defaultValue }: Argument | Option): string {
  const notes = [
    toSentence(description),
    ...(argChoices === undefined ? [] : [`One of: ${argChoices.join(', ')}.`]),
    ...(typeof defaultValue === 'string' ? [`Default: ${defaultValue}.`] : []),
  ];
  return notes.join(' ');
}

/** Returns what the table of a task's options adds to an option's help. For an option without a value, the help says everything. */
function describeRow({ long, required }: Option): readonly string[] {
  const row = OPTION_ROWS.find(([, { flags }]) => /--[a-z-]+/.exec(flags ?? '')?.[0] === long);
  if (row === undefined || !required) return [];
  const { takes, default: usual } = row[1].doc;
  const notes = takes.startsWith('the same') ? [] : [`Takes: ${toPlain(takes)}.`];
  if (usual !== undefined) notes.push(`Default: ${toPlain(usual)}.`);
  if (row[1].flags?.includes('…')) notes.push('May be given more than once.');
  return notes;
}

/** Converts Markdown to plain text. Leaves out references to other places of the same document. */
const toPlain = (markdown: string): string =>
  markdown
    .replaceAll(/ \(see \[[^\]]+\]\(#[^)]+\)\)/g, '')
    .replaceAll(/(?:[;,] )?see \[[^\]]+\]\(#[^)]+\)/g, '')
    .replaceAll(/\[([^\]]+)\]\([^)]+\)/g, '$1')
    .replaceAll('\\|', '|')
    .replaceAll('`', '');

/** Keeps the first word in lower case: people may type it. */
const toSentence = (text: string): string => (/[.!?]$/.test(text) ? text : `${text}.`);

function formatCommands(command: Command, name: string): string {
  const items = definedCommandsOf(command).map(
    (one) =>
      `.It Xr ${name}-${one.name()} ${SECTION}\n${toParagraph(toSentence(one.description()))}`,
  );
  return items.length === 0 ? '' : `.Sh COMMANDS\n${toList(items)}`;
}

/** Keeps lines with columns or an indentation as they are. */
function formatAfter(text: string): string {
  if (text.trim() === '') return '';
  const body = /^ |\S {2,}\S/m.test(text.trim()) ? toLiteral(text.trim()) : toParagraph(text);
  return `.Sh NOTES\n${body}`;
}

const toList = (items: readonly string[]) => `.Bl -tag -width Ds\n${items.join('')}.El\n`;

const SURROUNDINGS = `.Sh ENVIRONMENT
.Bl -tag -width Ds
.It Ev STACKSHIM_ROOT
The root folder.
Default:
.Pa /var/lib/stackshim .
.It Ev STACKSHIM_RUN
The run folder.
Default:
.Pa /run/stackshim .
.It Ev STACKSHIM_POLICY
The policy file.
Default:
.Pa /etc/stackshim/policy.json .
.It Ev NO_COLOR
If it is set, nothing is coloured.
.El
.Sh FILES
.Bl -tag -width Ds
.It Pa /var/lib/stackshim
Layers, images, stacks and their revisions.
.It Pa /run/stackshim
What running tasks need.
.It Pa /etc/stackshim/policy.json
Defaults, maxima and permissions of tasks.
.El
`;

const EXIT_STATUS = `.Sh EXIT STATUS
0 on success, 1 on failure, 2 for an invalid command line or input,
3 if something was not found, 4 for a conflict or if something is busy.
`;

function formatSeeAlso(above: readonly string[]): string {
  if (above.length === 0) return '.Sh SEE ALSO\n.Xr runc 8\n';
  const pages = above.map((_, index) => above.slice(0, index + 1).join('-'));
  const last = pages.length - 1;
  const lines = pages.map((page, index) => `.Xr ${page} ${SECTION}${index < last ? ' ,' : ''}\n`);
  return `.Sh SEE ALSO\n${lines.join('')}`;
}
