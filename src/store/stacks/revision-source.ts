/** The source of a revision: a build or an import. */
import type { StackName } from '../../core/ids.ts';
import {
  date,
  FieldFault,
  isObject,
  objectOf,
  oneOf,
  optional,
  type Reader,
  textThat,
} from '../../core/read-fields.ts';
import { line, number, stackName } from '../stored-fields.ts';

/** The revision of a base that another stack was built on. */
export interface BaseReference {
  readonly stack: StackName;
  readonly revision: number;
}

/** A folder with a Dockerfile. */
interface BuildSource {
  readonly kind: 'build';
  readonly directory: string;
  /** Shows whether a build from the folder would differ. */
  readonly inputHash: string;
  /** The revision of the base at the time of the build; absent without a base. */
  readonly base?: BaseReference | undefined;
}

/** An image from elsewhere. */
interface ImportSource {
  readonly kind: 'import';
  readonly reference: string;
  /** The date of the file of saved stacks that it came from, ISO 8601; no later than the revision. */
  readonly savedAt?: string | undefined;
}

export type RevisionSource = BuildSource | ImportSource;

const buildSource = objectOf<BuildSource>({
  kind: oneOf('build'),
  directory: line,
  inputHash: textThat((value) => /^[0-9a-f]{64}$/.test(value), 'not a sha256'),
  base: optional(objectOf<BaseReference>({ stack: stackName, revision: number })),
});
const importSource = objectOf<ImportSource>({
  kind: oneOf('import'),
  reference: line,
  savedAt: optional(date),
});

export const source: Reader<RevisionSource> = (value, field) => {
  const kind: unknown = isObject(value) ? Reflect.get(value, 'kind') : undefined;
  if (kind === 'build') return buildSource(value, field);
  if (kind === 'import') return importSource(value, field);
  throw new FieldFault(field, 'not a build or an import');
};
