/** test/e2e/run-tenants.test.ts, in gVisor. */
import './support/on-gvisor.ts';
import '../e2e/run-tenants.test.ts';
