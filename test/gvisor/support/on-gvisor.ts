/** Imported first, by files that run a suite of the main job on gVisor: what tests take for the installation's runc is runsc. */
process.env['STACKSHIM_TEST_RUNTIME'] = '/usr/bin/runsc';
