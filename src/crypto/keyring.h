/*
 * keyring.h
 *	  The keys that seal and open envelopes.
 *
 * From telehealth.key_file (relative paths: data directory) or the output of
 * telehealth.key_command. One key a line, "id:64 hex digits"; blank lines
 * and lines that begin with # are passed over; the first key seals, all
 * open. An id is 1 to 32 letters, digits and -_. characters, and occurs once.
 * Read lazily, kept for the process in wiped memory, read again when the
 * file's times, size or inode changed or an unknown key id is asked for (of
 * the command at most every ten seconds).
 *
 * Backends and workers, never the postmaster.
 */
#ifndef TH_CRYPTO_KEYRING_H
#define TH_CRYPTO_KEYRING_H

#define TH_KEY_BYTES 32
#define TH_KEY_ID_MAX 32

typedef struct ThKey
{
	char id[TH_KEY_ID_MAX + 1];
	unsigned char bytes[TH_KEY_BYTES];
} ThKey;

/*
 * The key that seals. The pointer is good until the next keyring call.
 * Errors, all with the file's name in the detail: ERRCODE_TH_KEY_MISSING (no
 * file), ERRCODE_CONFIG_FILE_ERROR (malformed, no regular file, not readable
 * by us, or by more than its owner, who is the server's user; as for the
 * server's TLS key, root's file may be readable by our group; the command
 * failed), ERRCODE_SYSTEM_ERROR. While a command runs also those of
 * CHECK_FOR_INTERRUPTS.
 */
extern const ThKey *th_keyring_sealing_key(void);

/* The key named "id", or NULL. Errors: as above. */
extern const ThKey *th_keyring_find(const char *id);

/*
 * The same without throwing these errors: NULL also then, with *reason the
 * message, in the current context.
 */
extern const ThKey *th_keyring_try_find(const char *id, const char **reason);

/*
 * For a process whose transactions must not wait for telehealth.key_command:
 * runs it now if its keys are not known or one was missed since, at most every
 * ten seconds, and from then on no other call runs it. Never throws for what
 * is wrong with the command. Errors: those of CHECK_FOR_INTERRUPTS. Where:
 * outside any transaction.
 */
extern void th_keyring_warm(void);

/* True if a key was missed that the next th_keyring_warm() will look for. Never throws. */
extern bool th_keyring_is_behind(void);

/*
 * Wipes what this process has read, so that the next call reads again: for
 * rotate_keys(), which must seal with what is first now. Never throws.
 */
extern void th_keyring_forget(void);

/* True if "length" bytes are fit for a key id. Never throws. */
extern bool th_keyring_is_id(const char *id, size_t length);

/*
 * Makes the key file with one random key and mode 0600 if there is no file
 * (O_EXCL; written to a temporary name, fsync'd and linked into place, so
 * that a crash leaves no half a file); true if it was made. The caller knows
 * that no envelope exists. Errors: file errors; nothing is overwritten ever.
 * Does nothing with key_command set.
 */
extern bool th_keyring_create_file(void);

/*
 * Where the keys come from and their state, without throwing: "ok" or the
 * message of what is wrong, in the current context. *source: file name or
 * "telehealth.key_command".
 */
extern char *th_keyring_status(const char **source);

#endif /* TH_CRYPTO_KEYRING_H */
