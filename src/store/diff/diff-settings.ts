/** Compares the settings that two images have for their tasks: environment, command, user, labels, rest of the config. Pure. */
import { type ImageConfig, STACK_LABELS } from '../images/image.ts';

export interface SettingChange {
  readonly change: 'added' | 'removed' | 'changed';
  /** For example `env PATH`, `entrypoint`, `label io.stackshim.smoke`, `ExposedPorts`. */
  readonly name: string;
  /** Null if absent. Lists and objects are JSON. */
  readonly before: string | null;
  readonly after: string | null;
}

/** Returns the changes between two sets of settings. Sorting by name keeps settings of one kind together. */
export function compareSettings(
  one: ReadonlyMap<string, string>,
  other: ReadonlyMap<string, string>,
): readonly SettingChange[] {
  const names = [...new Set([...one.keys(), ...other.keys()])].sort();
  return names.flatMap((name): SettingChange[] => {
    const [was, is] = [one.get(name) ?? null, other.get(name) ?? null];
    if (was === is) return [];
    const change = was === null ? 'added' : is === null ? 'removed' : 'changed';
    return [{ change, name, before: was, after: is }];
  });
}

/** The settings of an image as text, by name. */
export function settingsOf(config: ImageConfig): ReadonlyMap<string, string> {
  const { env, entrypoint, cmd, workingDir, user, labels, stopSignal, other = {} } = config;
  const words = (list: readonly string[]) => (list.length === 0 ? '' : JSON.stringify(list));
  const settings: (readonly [string, string])[] = [
    ['entrypoint', words(entrypoint)],
    ['command', words(cmd)],
    ['working dir', workingDir],
    ['user', user],
    ['stop signal', stopSignal ?? ''],
  ];
  return new Map([
    ...settings.filter(([, value]) => value !== ''),
    ...env.map((entry) => {
      const [name = ''] = entry.split('=', 1);
      return [`env ${name}`, entry.slice(name.length + 1)] as const;
    }),
    // Leave this label out: every build writes a different value.
    ...Object.entries(labels)
      .filter(([key]) => key !== STACK_LABELS.epoch)
      .map(([key, value]) => [`label ${key}`, value] as const),
    ...Object.entries(other).map(([key, value]) => [key, JSON.stringify(value)] as const),
  ]);
}
