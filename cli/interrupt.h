/* cli/interrupt.h -- Ctrl-C ends a command between two batches, so that it can remove what it began.
 * A second Ctrl-C ends the program at once. */
#ifndef CLI_INTERRUPT_H
#define CLI_INTERRUPT_H

void interrupt_install(void);
/* The signal that asked to stop, or 0. */
int interrupted(void);

#endif
