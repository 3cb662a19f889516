/*
 * calendar_channel.h
 *	  Channels by which calendars tell that something has changed.
 *
 * Where: in a transaction of the dispatcher, as the worker's role, but
 * th_channel_hear(): of whoever takes a webhook in.
 */
#ifndef TH_STORE_CALENDAR_CHANNEL_H
#define TH_STORE_CALENDAR_CHANNEL_H

#include "datatype/timestamp.h"

typedef struct ThChannel
{
	int64 id;
	const char *channel_id;
	const char *resource_id; /* or NULL */
	TimestampTz expires_at;
	TimestampTz renew_at;
	bool is_retired; /* replaced: to be stopped */
} ThChannel;

typedef struct ThChannelList
{
	ThChannel *channels; /* the youngest first */
	int n;
} ThChannelList;

/* Of each connection, in their order. Memory: current context. */
extern ThChannelList *th_channel_load(const int64 *clinics,
									  const int64 *connections, int n);

/* Makes a channel of a connection that has been asked for; others of it are to be stopped. */
typedef struct ThChannelNew
{
	int64 clinic_id;
	int64 id; /* th_push_channel_number() */
	int64 connection_id;
	const char *source;
	const char *channel_id;
	const char *resource_id; /* or NULL */
	struct varlena *envelope;
	TimestampTz expires_at;
	TimestampTz renew_at;
} ThChannelNew;

extern void th_channel_put(const ThChannelNew *channel, TimestampTz now);

/* It lives on. */
extern void th_channel_renew(int64 clinic_id, int64 id, TimestampTz expires_at,
							 TimestampTz renew_at);

/* It is no more. */
extern void th_channel_drop(int64 clinic_id, int64 id);

/* True if no job sees to the channels of that connection. */
extern bool th_channel_is_left(int64 clinic_id, int64 connection_id);

/*
 * What channels of calendars have said: "lifecycle" is Graph's word about the
 * subscription, or NULL if something in the calendar has changed. A channel
 * that speaks of another resource than its own is not heard. Pulls that wait
 * come sooner, channels that end are seen to. Nobody is waited for.
 */
typedef struct ThChannelWord
{
	int64 clinic_id;
	const char *source;
	const char *channel_id;
	const char *resource_id; /* NULL: not told */
	const char *lifecycle;
} ThChannelWord;

extern void th_channel_hear(const ThChannelWord *words, int n, TimestampTz now);

#endif /* TH_STORE_CALENDAR_CHANNEL_H */
