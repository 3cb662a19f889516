/*
 * audit.h
 *	  Rows of telehealth.audit_log: who did what.
 *
 * They commit with the change they describe. The dispatcher chains them
 * later (store/history.h).
 */
#ifndef TH_STORE_AUDIT_H
#define TH_STORE_AUDIT_H

#include "utils/jsonb.h"

/*
 * Writes a row for each of "n" objects, by th_access_caller(), as the owner.
 * "detail" may be NULL; it never holds patient data or a secret.
 * Where: in a transaction, as any user.
 */
extern void th_audit_write(const int64 *clinics, const int64 *ids, int n,
						   const char *action, const char *object,
						   Jsonb *detail);

#endif /* TH_STORE_AUDIT_H */
