/** The version of this build, as package.json has it: what stackshim writes says so. A constant, because reading a file would cost every task. */
export const PROGRAM_VERSION = '0.1.0';
