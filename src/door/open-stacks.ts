/** Opens the door's `stacks`. Each member loads its code when it is called: a task needs none of it. */
import { isStackName, parseTaskId, type StackName } from '../core/ids.ts';
import type { SmokeRunner } from '../exchange/smoke.ts';
import { invalidInput } from '../spec/field-errors.ts';
import { parseStackReference } from '../spec/parse-command.ts';
import type { DiffStackOptions } from '../store/diff/diff-stack.ts';
import type { OwnTaskOptions } from '../task/caller-options.ts';
import type { Installation } from '../task/installation.ts';
import { runTaskAndLeave } from '../task/run-task.ts';
import type { DiffRange, Stacks } from './stacks.ts';

/** Opens the installation of the door. */
export interface Opener {
  (): Installation;
  /** Throws ERR_STACKSHIM_NOT_ROOT, which names the operation, before anything is touched. */
  asRoot(operation: string): Installation;
}

export function openStacks(open: Opener): Stacks {
  return { ...readingMembers(open), ...movingMembers(open), ...exchangeMembers(open) };
}

const readingMembers = (open: Opener) =>
  ({
    async list(onDamage) {
      const { listStacks } = await import('../store/stacks/list-stacks.ts');
      return listStacks(open.asRoot('list stacks').layout, onDamage);
    },
    async show(name) {
      const { layout, system } = open.asRoot('show stack');
      const { showStack } = await import('../store/stacks/list-stacks.ts');
      const { seekingContent } = await import('../exchange/oci-image/seek-content.ts');
      const { name: stack, ...pin } = parseStackReference(name, 'name');
      return await seekingContent(layout, () => showStack(layout, stack, pin), { system });
    },
    async history(name) {
      const { layout } = open.asRoot('show history');
      const { readStackHistory } = await import('../store/stacks/stack-history.ts');
      return readStackHistory(layout, toStackName('show history of', name));
    },
    async graph(onDamage) {
      const { readStackGraph } = await import('../store/stacks/stack-graph.ts');
      return readStackGraph(open.asRoot('draw stacks').layout, onDamage);
    },
    async diff(stack, range = {}) {
      const sides = toDiffSides(stack, range);
      const { layout, system } = open.asRoot('compare revisions');
      const { diffStack } = await import('../store/diff/diff-stack.ts');
      const { seekingContent } = await import('../exchange/oci-image/seek-content.ts');
      return await seekingContent(layout, () => diffStack(layout, system, sides), { system });
    },
    async releases(most) {
      const { readReleases } = await import('../store/stacks/stack-history.ts');
      return readReleases(open.asRoot('list releases').layout, most);
    },
    async stacksOfRelease(text, label) {
      const { parseRelease } = await import('../store/stacks/release.ts');
      return [...parseRelease(text, label)].map(([name, wanted]) =>
        typeof wanted === 'number' ? `${name}@rev:${wanted}` : `${name}@${wanted}`,
      );
    },
    async heldLayers() {
      const { listHeldLayers } = await import('../exchange/saves/load-stacks.ts');
      return listHeldLayers(open().layout);
    },
  }) satisfies Partial<Stacks>;

const movingMembers = (open: Opener) =>
  ({
    async build(directory, options = {}) {
      const { layout, ...own } = toBuilding(open.asRoot('build stack'));
      const { buildStack } = await import('../build/build-stack.ts');
      return await buildStack(layout, directory, { ...options, ...own });
    },
    async planBuilds(directories) {
      const { planBuilds } = await import('../build/plan-builds.ts');
      return planBuilds(open.asRoot('plan builds').layout, directories);
    },
    async buildAll(directories, options = {}) {
      const { layout, ...own } = toBuilding(open.asRoot('build stacks'));
      const { buildStacks } = await import('../build/build-stacks.ts');
      return await buildStacks(layout, directories, { ...options, ...own });
    },
    async update({ names, ...options } = {}) {
      const stacks = names?.map((name) => toStackName('update', name));
      const { layout, ...own } = toBuilding(open.asRoot('update stacks'));
      const { updateStacks } = await import('../build/update-stacks.ts');
      const chosen = stacks === undefined ? undefined : [...new Set(stacks)];
      return await updateStacks(layout, { ...options, ...own, names: chosen });
    },
    async rollback(name, target = {}) {
      const stack = toStackName('roll back', name);
      const { layout, system } = open.asRoot('roll back stack');
      const { rollbackStack } = await import('../store/stacks/rollback.ts');
      return await rollbackStack(layout, system, { ...target, stack, now: new Date() });
    },
    async remove(given) {
      const names = given.map((name) => toStackName('remove', name));
      const { layout, system } = open.asRoot('remove stack');
      const { removeStacks } = await import('../upkeep/remove-stacks.ts');
      return await removeStacks(layout, system, { names, now: new Date() });
    },
    async applyRelease(text, label) {
      const { applyRelease, parseRelease } = await import('../store/stacks/release.ts');
      const release = parseRelease(text, label);
      const { layout, system } = open.asRoot('apply release');
      const { seekingContent } = await import('../exchange/oci-image/seek-content.ts');
      const apply = () => applyRelease(layout, system, { release, label, now: new Date() });
      return await seekingContent(layout, apply, { system });
    },
    async rollbackRelease(target = {}) {
      const { layout, system } = open.asRoot('roll back release');
      const { rollbackRelease } = await import('../store/stacks/release.ts');
      return await rollbackRelease(layout, system, { ...target, now: new Date() });
    },
  }) satisfies Partial<Stacks>;

const exchangeMembers = (open: Opener) =>
  ({
    async importFrom(name, reference, options = {}) {
      const stack = toStackName('import stack', name);
      const { layout, ...own } = toPublishing(open.asRoot('import stack'));
      const { importStack } = await import('../exchange/import-stack.ts');
      return await importStack(layout, { ...options, ...own, stack, reference });
    },
    async exportTo(stack, file, options = {}) {
      const { layout, system } = open.asRoot('export stack');
      const { exportStack } = await import('../exchange/export-stack.ts');
      return await exportStack(layout, { ...options, system, stack, file });
    },
    async push(stack, reference, options = {}) {
      const { layout, system } = open.asRoot('push stack');
      const { pushStack } = await import('../exchange/push-stack.ts');
      return await pushStack(layout, { ...options, system, stack, reference });
    },
    async pull(name, reference, options = {}) {
      const stack = toStackName('pull stack', name);
      const { layout, ...own } = toPublishing(open.asRoot('pull stack'));
      const { pullStack } = await import('../exchange/pull-stack.ts');
      return await pullStack(layout, { ...options, ...own, stack, reference });
    },
    async commit(task, name, options = {}) {
      const [id, stack] = [parseTaskId(task), toStackName('commit task as', name)];
      const { layout, ...own } = toPublishing(open.asRoot('commit task'));
      const { commitTask } = await import('../exchange/commit-task.ts');
      return await commitTask(layout, { ...options, ...own, task: id, stack });
    },
    async save(stacks, options) {
      const { layout, system } = open.asRoot('save stacks');
      const { saveStacks } = await import('../exchange/saves/save-stacks.ts');
      return await saveStacks(layout, { ...options, system, stacks });
    },
    async load(options) {
      const { layout, ...own } = toPublishing(open.asRoot('load stacks'));
      const { loadStacks } = await import('../exchange/saves/load-stacks.ts');
      return await loadStacks(layout, { ...options, ...own });
    },
  }) satisfies Partial<Stacks>;

/** The door's own options for images from elsewhere. Their smoke commands run as real tasks of the same installation, with the options `own`. */
function toPublishing(installation: Installation, own: OwnTaskOptions = {}) {
  const { layout, system } = installation;
  const runSmoke: SmokeRunner = async ({ stack, revision }, command, { timeoutMs, signal }) => {
    const input = {
      stack: `${stack}@rev:${revision}`,
      // A smoke command is complete: an entrypoint of the image would take it as arguments.
      entrypoint: [],
      command,
      timeout: timeoutMs,
    };
    const { result } = await runTaskAndLeave(installation, input, { ...own, signal });
    return result;
  };
  return { layout, system, runSmoke };
}

/** The same for images built here: whoever builds a stack chose its bundle template and may try it. The policy decides whether tasks may use it. */
const toBuilding = (installation: Installation) =>
  toPublishing(installation, { trustsImageBundle: true });

/** Checks a stack name. Throws ERR_STACKSHIM_SPEC_INVALID. */
export function toStackName(operation: string, name: string): StackName {
  if (isStackName(name)) return name;
  const message = `${operation} ${JSON.stringify(name)}: not a name of lower-case letters, digits, ".", "_" and "-"`;
  throw invalidInput('name', message, 'run stackshim stack ls to list the stacks');
}

/** The two revisions that a caller wants to compare. Throws ERR_STACKSHIM_SPEC_INVALID. */
function toDiffSides(stack: string, { from, to, other }: DiffRange): DiffStackOptions {
  const named = parseStackReference(stack, 'name');
  if (other !== undefined) {
    if (from !== undefined || to !== undefined) throw toTooMany(stack, 'another stack');
    return { before: named, after: parseStackReference(other, 'other') };
  }
  const isPinned = (named.revision ?? named.image) !== undefined;
  if (isPinned && (from !== undefined || to !== undefined)) {
    throw toTooMany(stack, 'a revision after "@"');
  }
  const { name } = named;
  return {
    before: from === undefined ? undefined : { name, revision: from },
    after: to === undefined ? named : { name, revision: to },
  };
}

const toTooMany = (stack: string, what: string) =>
  invalidInput(
    'name',
    `compare ${stack}: revisions are given together with ${what}`,
    'give two revisions of one stack (ruby-3.3 3 5), or two stacks (ruby-3.3@rev:3 ruby-3.4)',
  );
