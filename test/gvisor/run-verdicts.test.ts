/** test/e2e/run-verdicts.test.ts, in gVisor: the part that every run of the tests has. */
import './support/on-gvisor.ts';
import '../e2e/run-verdicts.test.ts';
