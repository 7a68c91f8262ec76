/** Texts that are generated from the fields of a job: its JSON schema, and the table in docs/producers.md. */
import { OPTION_ROWS } from '../../../src/spec/options/task-options.ts';
import { isOwnJobField, JOB_FIELDS } from '../../../src/worker/job/job-fields.ts';
import { withoutLinks } from './option-docs.ts';

const taskRows = OPTION_ROWS.filter(([field, { jobs }]) => jobs === true && !isOwnJobField(field));

/** A schema of JSON Schema 2020-12. */
export const toQueueJobSchema = () => ({
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'A job of a stackshim queue, version 1',
  type: 'object',
  required: ['version'],
  anyOf: [{ required: ['stack'] }, { required: ['code'] }],
  allOf: [
    { not: { required: ['payload', 'payloadBase64'] } },
    { not: { required: ['config', 'configBase64'] } },
  ],
  additionalProperties: false,
  properties: Object.fromEntries([
    ...Object.entries(JOB_FIELDS).map(([field, { takes, schema }]) => [
      field,
      { description: takes, ...schema },
    ]),
    ...taskRows.map(([field, { doc, value }]) => [
      field,
      { description: withoutLinks(doc.takes), ...value.schema },
    ]),
  ]),
});

export const toQueueJobTable = () =>
  [
    '| field | takes |',
    '| --- | --- |',
    ...Object.entries(JOB_FIELDS).map(([field, { takes }]) => `| \`${field}\` | ${takes} |`),
    ...taskRows.map(([field, { doc }]) => `| \`${field}\` | ${withoutLinks(doc.takes)} |`),
  ].join('\n');
