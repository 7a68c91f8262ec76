/** The shape of a row: everything that code, docs and the command line's help say about one option of a task. */
import type { Reader } from '../../core/read-fields.ts';
import type { Permissions } from '../policy.ts';
import type { TaskSpec } from '../task-spec.ts';

/** A JSON schema as plain data. Its keywords are not type-checked. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/** The values of an option: as given (`T`), as the pipeline gets them (`V`), and as a JSON schema. */
export interface OptionValue<T = unknown, V = unknown> {
  /** Checks type, length and count. */
  readonly read: Reader<T>;
  /** Checks a value that was read and converts it to its base unit. Throws ERR_STACKSHIM_SPEC_INVALID that names `field`. */
  parse(value: T, field: string): V;
  /** Must accept everything that `read` and `parse` accept. */
  readonly schema: JsonSchema;
}

/** A number with a unit. */
export interface Quantity extends OptionValue<string | number, number> {
  /** Returns the value in the form that people type. */
  show(value: number): string;
}

export interface OptionRow {
  /** Its flags: `-m, --memory <size>`; `…` after the value's name: may be repeated. Absent: only objects have the field. */
  readonly flags?: string;
  /** Its name in errors of the command line. Default: the long option. */
  readonly name?: string;
  /** Its line in `run --help`. */
  readonly help: string;
  readonly value: OptionValue;
  /** Values that a shell offers, if the schema does not list them. A word that ends in `=` is the beginning of a value. */
  readonly words?: readonly string[];
  /** The field of {@link TaskSpec} that the option becomes, if its name differs; null if `parse-access.ts` reads the option. */
  readonly spec?: keyof TaskSpec | null;
  /** The value of the field of {@link TaskSpec} without the option. Absent: the field is missing. */
  readonly absent?: unknown;
  /** The limit of {@link TaskSpec} that the option becomes. */
  readonly limit?: string;
  /** The policy's list that must contain the value. */
  readonly allow?: 'bundles' | 'runtimes' | 'networks' | 'buildNetworks' | 'userns' | 'pid';
  /** Checks the policy's permissions. Throws ERR_STACKSHIM_SPEC_DENIED. */
  admit?(spec: TaskSpec, allow: Permissions): void;
  /** True if jobs may set the option, else the reason, which ends the sentence `data from a queue may not set this field: …`. */
  readonly jobs: true | string;
  /** For an option that jobs may set: why they may not set this value, in the form of `jobs`; false: they may. */
  refusesJob?(value: string): string | false;
  readonly doc: OptionDoc;
}

/** The option's cells in the tables of docs/task-spec.md. */
export interface OptionDoc {
  /** Replaces the text made from the short or long option. */
  readonly option?: string;
  /** Also the option's description in the JSON schema, without references to other places. */
  readonly takes: string;
  /** For an option of which jobs may set only some values: which values, and the description in the JSON schema. */
  readonly job?: { readonly may: string; readonly takes: string };
  readonly default?: string;
  /** The policy's rule. Default: the limit's maximum, the list of `allow`, or none. */
  readonly rule?: string;
  /** What bounds the value for every caller and job. */
  readonly bound: string;
}

/** An option that is one number of the task's limits, with a default and a maximum in the policy. */
export interface LimitRow extends OptionRow {
  readonly value: Quantity;
  readonly limit: string;
  /** Its name in the policy's `defaults` and `maxima`, if that differs. */
  readonly policy?: string;
  /** The default without a policy. */
  readonly usual?: number;
  /** The value that holds for a task if neither task nor policy sets the limit. A lower maximum then becomes the default. */
  readonly otherwise?: number;
}
