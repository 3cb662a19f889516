/*
 * session_collect.h
 *	  Fields of sessions as array parameters of statements.
 *
 * Where: in a function with "sessions", an array of pointers, and "n".
 */
#ifndef TH_STORE_SESSION_COLLECT_H
#define TH_STORE_SESSION_COLLECT_H

/* Fills an array from one field of every session. */
#define COLLECT(array, type, field)                                            \
	do                                                                         \
	{                                                                          \
		(array) = palloc_array(type, Max(n, 1));                               \
		for (int i_ = 0; i_ < n; i_++)                                         \
			(array)[i_] = sessions[i_]->field;                                 \
	} while (0)

#define COLLECT_INT64(value, field)                                            \
	do                                                                         \
	{                                                                          \
		int64 *array_;                                                         \
		COLLECT(array_, int64, field);                                         \
		(value) = th_array_int64(array_, n);                                   \
	} while (0)

#define COLLECT_INT32(value, field)                                            \
	do                                                                         \
	{                                                                          \
		int32 *array_;                                                         \
		COLLECT(array_, int32, field);                                         \
		(value) = th_array_int32(array_, n);                                   \
	} while (0)

#define COLLECT_TEXT(value, field)                                             \
	do                                                                         \
	{                                                                          \
		const char **array_;                                                   \
		COLLECT(array_, const char *, field);                                  \
		(value) = th_array_text(array_, n);                                    \
	} while (0)

#define COLLECT_TIMESTAMPTZ(value, field)                                      \
	do                                                                         \
	{                                                                          \
		TimestampTz *array_;                                                   \
		COLLECT(array_, TimestampTz, field);                                   \
		(value) = th_array_timestamptz(array_, n);                             \
	} while (0)

#endif /* TH_STORE_SESSION_COLLECT_H */
