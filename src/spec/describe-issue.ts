/** Turns an issue that zod found into one plain sentence about one field. */
import type { core } from 'zod/mini';

export interface FieldProblem {
  /** `mounts[0].source`; the name of the whole value if the fault is not in one field. */
  readonly field: string;
  /** Completes `<field>: …`. */
  readonly problem: string;
}

/** Describes one issue of a failed parse; `whole` names what was parsed. */
export function describeIssue(issue: core.$ZodIssue | undefined, whole: string): FieldProblem {
  if (issue === undefined) return { field: whole, problem: 'not valid' };
  const at = fieldName(issue.path);
  if (issue.code === 'unrecognized_keys') {
    const [key = ''] = issue.keys;
    return { field: fieldName([...issue.path, key]), problem: 'no such field' };
  }
  return { field: at === '' ? whole : at, problem: problemOf(issue) };
}

function problemOf(issue: core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return `not ${withArticle(issue.expected)}`;
    case 'too_big':
      return `more than ${String(issue.maximum)} ${unitOf(issue.origin)}`;
    case 'too_small':
      return `less than ${String(issue.minimum)} ${unitOf(issue.origin)}`;
    case 'invalid_value':
      return `not ${issue.values.map((value) => JSON.stringify(value)).join(' or ')}`;
    default:
      return 'not valid';
  }
}

function fieldName(path: readonly PropertyKey[]): string {
  let name = '';
  for (const step of path) {
    if (typeof step === 'number') name += `[${step}]`;
    else name += name === '' ? String(step) : `.${String(step)}`;
  }
  // Shows a hostile key only up to a readable length.
  return name.length > 200 ? `${name.slice(0, 200)}…` : name;
}

function withArticle(type: string): string {
  if (type === 'int') return 'a whole number';
  return /^[aeiou]/.test(type) ? `an ${type}` : `a ${type}`;
}

function unitOf(origin: string): string {
  if (origin === 'string') return 'characters';
  return origin === 'array' ? 'elements' : '';
}
