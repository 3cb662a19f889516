/*
 * access.h
 *	  Who may do what in which clinic: rows of role_grant, remembered.
 *
 * The grants are read once a process by a plain scan, which works inside a
 * row security policy, and forgotten when that table, a role or a membership
 * changes. A superuser and the owner of the extension may do everything.
 *
 * Where: in a transaction.
 */
#ifndef TH_STORE_ACCESS_H
#define TH_STORE_ACCESS_H

/* Kinds of grants; each of the first three includes those before it. */
typedef enum ThAccessKind
{
	TH_ACCESS_READER,
	TH_ACCESS_APP,
	TH_ACCESS_ADMIN,
	TH_ACCESS_WORKER, /* sees rows, has no other kind */
	TH_ACCESS_WEBHOOK /* hands webhooks over, sees nothing */
} ThAccessKind;

/* The kind named "name"; false if there is none. */
extern bool th_access_kind(const char *name, ThAccessKind *kind);

/*
 * True if the role has a grant for the clinic, or for all of them (0). That of
 * a reader counts only if the role is nothing more anywhere.
 */
extern bool th_access_may_see(int64 clinic_id, Oid role);

/* The same for a role's name, with the last answer remembered: once a row. */
extern bool th_access_may_see_name(int64 clinic_id, const char *role);

/* True if the role has a grant for the clinic that is or includes "kind". */
extern bool th_access_has_kind(ThAccessKind kind, int64 clinic_id, Oid role);

/* Makes every process forget the grants when this transaction commits. */
extern void th_access_changed(Oid relation);

/*
 * Who asks: the user of the present statement, or of the outermost elevated
 * function while one runs.
 */
extern Oid th_access_caller(void);

/*
 * Around an elevated function: remembers the present user unless an outer
 * one is remembered. What enter returns goes to leave, also after an error.
 */
extern Oid th_access_enter(void);
extern void th_access_leave(Oid former);

/* The caller if it has "kind" in the clinic. Errors: 42501. */
extern Oid th_access_require(ThAccessKind kind, int64 clinic_id);

/*
 * Gives the roles of role_grant what their kinds may do by now. Not as part
 * of the script that runs it: what a script grants is left out of dumps.
 * Where: at the end of an update or restore. Errors: any.
 */
extern void th_access_renew_grants(void);

#endif /* TH_STORE_ACCESS_H */
