/** Which installation it is: what a process that this one leaves work to must know of the environment. */
export const LAYOUT_VARIABLES = ['STACKSHIM_ROOT', 'STACKSHIM_RUN', 'STACKSHIM_POLICY'] as const;
