/*
 * key_command.h
 *	  Running telehealth.key_command.
 *
 * Backends and workers. While the command runs, interrupts are served.
 */
#ifndef TH_CRYPTO_KEY_COMMAND_H
#define TH_CRYPTO_KEY_COMMAND_H

/*
 * Runs "command" in a shell and reads what it prints into "buffer", at most
 * "size" bytes; *length is what there was. False, with *reason a constant
 * text that fits a message, if it did not end well in 10 seconds or printed
 * more. The command and its children are killed then, at an error, and when
 * the process ends.
 *
 * Errors: out of memory, and those of CHECK_FOR_INTERRUPTS.
 */
extern bool th_key_command_run(const char *command, char *buffer, size_t size,
							   size_t *length, const char **reason);

#endif /* TH_CRYPTO_KEY_COMMAND_H */
