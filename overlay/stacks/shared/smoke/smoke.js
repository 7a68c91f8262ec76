// node smoke.js 22: checks that this is Node.js 22 and that its standard library works.
const assert = require('node:assert');
const { createHash } = require('node:crypto');
const { rootCertificates } = require('node:tls');
const { gunzipSync, gzipSync } = require('node:zlib');

assert.equal(process.versions.node.split('.')[0], process.argv[2]);
assert.deepEqual(JSON.parse(JSON.stringify({ a: [1] })), { a: [1] });
assert.equal(createHash('sha256').update('').digest('hex').length, 64);
assert.equal(gunzipSync(gzipSync('x')).toString(), 'x');
assert.ok(rootCertificates.length > 100);
const hour = new Intl.DateTimeFormat('en', { timeZone: 'Asia/Tokyo', hour: 'numeric' });
assert.match(hour.format(0), /^9/);
