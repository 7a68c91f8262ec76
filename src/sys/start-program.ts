/** Starting programs, in whichever engine this is. */
export { startProgram } from '#programs';
