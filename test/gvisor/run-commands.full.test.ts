/** test/e2e/run-commands.test.ts, in gVisor. */
import '../support/on-gvisor.ts';
import '../e2e/run-commands.test.ts';
