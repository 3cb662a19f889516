/*
 * installation.h
 *	  What tells this installation from others.
 */
#ifndef TH_STORE_INSTALLATION_H
#define TH_STORE_INSTALLATION_H

#define TH_INSTALLATION_DIGITS 32

typedef struct ThInstallation
{
	char tag[TH_INSTALLATION_DIGITS + 1]; /* hexadecimal */
	int64 plain_until; /* visits up to this id have UIDs without it */
} ThInstallation;

/*
 * Reads it as the owner. An extension of version 0.1 that waits for its update
 * has none: there every visit is plain.
 * Where: in a transaction.
 */
extern void th_installation_read(ThInstallation *out);

#endif /* TH_STORE_INSTALLATION_H */
