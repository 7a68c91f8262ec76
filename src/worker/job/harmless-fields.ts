/**
 * Takes the place of fields with which the store's own script would fail half-way when a job ends: a hostile producer may have written them.
 * What a job of ours has there is the same.
 */
export const HARMLESS_FIELDS = { parent: '{"id":"","queueKey":""}', parentKey: '', deid: '' };
