/*
 * platform_options.h
 *	  Credentials and settings as a user gives them, checked.
 *
 * Nothing here shows a value in a message. Backends only.
 */
#ifndef TH_API_PLATFORM_OPTIONS_H
#define TH_API_PLATFORM_OPTIONS_H

#include "platform/platform.h"
#include "utils/jsonb.h"

/*
 * The credentials in "given", with file: and env: values read, into
 * *credentials; returns their number. Warns once when a secret stands in the
 * statement itself.
 * Memory: wiped memory of the current context. Errors: 22023; 42501 for a
 * reference by a user who may not read the server's files; those of
 * th_secret_resolve().
 */
extern int th_options_credentials(const ThPlatform *platform, Jsonb *given,
								  ThCredential **credentials);

/*
 * Refuses settings that "platform" does not have or whose value is wrong.
 * "may_remove" allows null, which removes a setting. Errors: 22023.
 */
extern void th_options_check_settings(const char *platform, Jsonb *settings,
									  bool may_remove);

/* The same for the settings of an OAuth client. */
extern void th_options_check_client(const char *kind, Jsonb *settings);

/*
 * Options of connect_calendar(): the secrets in "given" into *credentials,
 * with file: and env: values read, the others, checked, into *options.
 * Returns the number of credentials. "is_new" false: no secrets are taken.
 * Memory, errors: as th_options_credentials().
 */
extern int th_options_calendar(const char *kind, Jsonb *given, bool is_new,
							   ThCredential **credentials, Jsonb **options);

/* The names of an object's members as a JSON array under "name", and the platform, for the audit log. */
extern Jsonb *th_options_audit_detail(const char *platform, const char *name,
									  Jsonb *object);

#endif /* TH_API_PLATFORM_OPTIONS_H */
