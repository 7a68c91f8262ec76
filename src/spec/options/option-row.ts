/** The shape of a row: everything that code, docs and the command line's help say about one option of a task. */
import type { Reader } from '../../core/read-fields.ts';
import type { Permissions } from '../policy.ts';
import type { TaskSpec } from '../task-spec.ts';

/** A value that is not a schema's own type stands for itself. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/** What an option takes: how it is given (`T`), what the pipeline gets (`V`), and the same as a JSON schema. */
export interface OptionValue<T = unknown, V = unknown> {
  /** Checks type, length and count. */
  readonly read: Reader<T>;
  /** Checks what was read and brings it into its base unit. Throws ERR_STACKSHIM_SPEC_INVALID that names `field`. */
  parse(value: T, field: string): V;
  /** Refuses nothing that `read` and `parse` take. */
  readonly schema: JsonSchema;
}

/** A number with a unit. */
export interface Quantity extends OptionValue<string | number, number> {
  /** As people type it. */
  show(value: number): string;
}

export interface OptionRow {
  /** On the command line: `-m, --memory <size>`; `…` behind the value's name: may be given more than once. Absent: for objects alone. */
  readonly flags?: string;
  /** What errors of the command line call it, where that is not the long option. */
  readonly name?: string;
  /** Its line in `run --help`. */
  readonly help: string;
  readonly value: OptionValue;
  readonly required?: true;
  /** The field of {@link TaskSpec} that it becomes, where that is not called the same; null: made together with other fields. */
  readonly spec?: keyof TaskSpec | null;
  /** What the field of {@link TaskSpec} is without it; absent: nothing. */
  readonly absent?: unknown;
  /** The limit of {@link TaskSpec} that it becomes. */
  readonly limit?: string;
  /** The list of the policy's permissions that must have its value. */
  readonly allow?: 'bundles' | 'runtimes' | 'networks' | 'userns' | 'pid';
  /** Asks the policy's permissions. Throws ERR_STACKSHIM_SPEC_DENIED. */
  admit?(spec: TaskSpec, allow: Permissions): void;
  /** Whether data from a queue may set it: true, or why not, as the end of the sentence `data from a queue may not set this field: …`. */
  readonly jobs: true | string;
  readonly doc: OptionDoc;
}

/** Its cells in the tables of docs/task-spec.md. */
export interface OptionDoc {
  /** Where the table does not have the short option, or the long one. */
  readonly option?: string;
  /** Its description in the JSON schema as well, without references to other places. */
  readonly takes: string;
  readonly default?: string;
  /** The policy's rule; absent: the limit's maximum, the list of `allow`, or none. */
  readonly rule?: string;
  /** What bounds its value for every caller and job. */
  readonly bound: string;
}

/** An option that is one number of the task's limits, which the policy has a default and a maximum for. */
export interface LimitRow extends OptionRow {
  readonly value: Quantity;
  readonly limit: string;
  /** In the policy's `defaults` and `maxima`. */
  readonly policy: string;
  /** Default without a policy. */
  readonly usual?: number;
  /** What a task without any has all the same, for limits that have no default. A lower maximum is then the default. */
  readonly otherwise?: number;
}
