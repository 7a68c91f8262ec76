/** Defines the `stack` commands that show and change a stack's revisions. Their code is loaded when they are called. */
import { type Command, Option } from 'commander';
import { STORE_OPTIONS } from '../queues/store-address.ts';
import { addOptions, JOBS_FLAG, JSON_FLAG, NO_TRUNC_FLAG, whenCalled } from './shared-options.ts';

const NAME = ['<name>', 'name of a stack'] as const;

/** Adds the commands to `stack`. */
export function defineStackChangeCommands(stack: Command): void {
  defineLooks(stack);
  defineMoves(stack);
  defineReleases(stack);
}

function defineLooks(stack: Command): void {
  stack
    .command('history')
    .description('list the revisions of a stack, newest first')
    .argument(...NAME)
    .option(...NO_TRUNC_FLAG)
    .option(...JSON_FLAG)
    .action(whenCalled(async () => (await import('../commands/stack-history.ts')).stackHistory));
  stack
    .command('diff')
    .description('show what differs between two revisions of a stack, or between two stacks')
    .argument('<stack>', 'name, name@rev:N or name@sha256:…')
    .argument(
      '[name...]',
      'revisions A and B of the stack (default: the one before, and the current one), or another stack',
    )
    .option('--settings', 'show the summary and all settings that differ')
    .option('--packages', 'show the summary and all packages that differ')
    .option('--files', 'show the summary and all files that differ')
    .option(...JSON_FLAG)
    .action(whenCalled(async () => (await import('../commands/stack-diff.ts')).stackDiff));
  stack
    .command('graph')
    .description('draw the tree of bases and stacks, with what each stack adds')
    .addOption(
      new Option('--format <format>', 'output format')
        .choices(['tree', 'dot', 'svg', 'json'])
        .default('tree'),
    )
    .action(whenCalled(async () => (await import('../commands/stack-graph.ts')).stackGraph));
}

function defineMoves(stack: Command): void {
  stack
    .command('rollback')
    .description('make an earlier revision current again')
    .argument(...NAME)
    .option('--to <revision>', 'revision (default: the one that was current before)')
    .option(...JSON_FLAG)
    .action(whenCalled(async () => (await import('../commands/stack-rollback.ts')).stackRollback));
  stack
    .command('update')
    .description('rebuild stacks from their folders')
    .argument('[name...]', 'names of stacks')
    .option('--all', 'update every stack, bases first')
    .option('--dependents', 'also update stacks that are built on the named stacks')
    .option('--from <dir>', 'build from this folder instead of the last one')
    .option('--keep <k>', 'remove all but the newest K revisions of each')
    .option(...JOBS_FLAG)
    .option(...JSON_FLAG)
    .action(whenCalled(async () => (await import('../commands/stack-update.ts')).stackUpdate));
  stack
    .command('rm')
    .description('remove stacks with all revisions; refuses stacks that tasks or other stacks use')
    .argument('<name...>', 'names of stacks')
    .option(...JSON_FLAG)
    .action(whenCalled(async () => (await import('../commands/stack-rm.ts')).stackRm));
}

function defineReleases(stack: Command): void {
  const release = stack
    .command('release')
    .description('switch several stacks in one step, all or none');
  const apply = release
    .command('apply')
    .description('switch every stack that the file names: {"stacks": {"ruby-3.3": 4}}')
    .argument('<file>', 'JSON with a revision or image digest for each stack')
    .action(
      whenCalled(async () => (await import('../commands/stack-release.ts')).stackReleaseApply),
    );
  addOptions(apply, [
    ['--announce', 'first let workers with a registry pull the stacks, by digest'],
    ['--lead <duration>', 'with --announce, time for that: 0 to 24h (default: 30s)'],
    ...STORE_OPTIONS,
    JSON_FLAG,
  ]);
  release
    .command('rollback')
    .description('return all stacks to their revisions before the last change')
    .option('--to <generation>', 'the revisions of this generation')
    .option(...JSON_FLAG)
    .action(
      whenCalled(async () => (await import('../commands/stack-release.ts')).stackReleaseRollback),
    );
  release
    .command('ls')
    .description('list generations, newest first')
    .option('--limit <n>', 'how many', '20')
    .option(...JSON_FLAG)
    .action(whenCalled(async () => (await import('../commands/stack-release.ts')).stackReleaseLs));
}
