/*
 * owner.h
 *	  Acting as the owner of the extension for a moment.
 *
 * The caller has decided that the user may; afterwards statements see and
 * write everything that is ours.
 */
#ifndef TH_STORE_OWNER_H
#define TH_STORE_OWNER_H

typedef struct ThOwnerScope
{
	Oid user;
	int security_context;
	int settings_level; /* 0 if no setting had to be changed */
} ThOwnerScope;

/* The role that owns the extension's tables. Errors: 55000 if the extension is not installed here. */
extern Oid th_owner_role(void);

/*
 * Switches to the owner until th_owner_leave(), and to a search_path in which
 * nobody else has put operators, functions or types. An error in between
 * restores both with the (sub)transaction's abort.
 * Where: in a transaction.
 */
extern void th_owner_enter(ThOwnerScope *scope);
extern void th_owner_leave(const ThOwnerScope *scope);

#endif /* TH_STORE_OWNER_H */
