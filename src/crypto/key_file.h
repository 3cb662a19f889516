/*
 * key_file.h
 *	  Where the key file is. Making it: th_keyring_create_file().
 */
#ifndef TH_CRYPTO_KEY_FILE_H
#define TH_CRYPTO_KEY_FILE_H

/* False if telehealth.key_command supplies the keys. Never throws. */
extern bool th_key_file_is_used(void);

/* Absolute path of the key file. Memory: current context. */
extern char *th_key_file_path(void);

#endif /* TH_CRYPTO_KEY_FILE_H */
