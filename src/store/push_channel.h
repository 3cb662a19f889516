/*
 * push_channel.h
 *	  Who may deliver webhooks that name no account, and the secret of each.
 *
 * Where: in a transaction, as the owner or the worker's role.
 */
#ifndef TH_STORE_PUSH_CHANNEL_H
#define TH_STORE_PUSH_CHANNEL_H

#include "datatype/timestamp.h"

/* The column of envelopes, for th_envelope_place(). */
#define TH_PUSH_CHANNEL_COLUMN "telehealth_private.push_channel.envelope"

typedef struct ThPushChannel
{
	int64 clinic_id;
	int64 id;
	const char *channel_id;
	struct varlena *envelope;
} ThPushChannel;

/*
 * Channels of a source by what deliveries name that are good at "now", into
 * *channels; returns their number. Memory: current context.
 */
extern int th_push_channel_find(const char *source,
								const char *const *channel_ids, int n,
								TimestampTz now, ThPushChannel **channels);

/* Makes or replaces a channel of push_channel. */
extern int64 th_push_channel_number(int64 clinic_id, const char *source,
									const char *channel_id);
extern void th_push_channel_put(int64 clinic_id, int64 id, const char *source,
								const char *channel_id,
								struct varlena *envelope,
								TimestampTz expires_at);

/* Returns the id of the one that is no more, 0 if there was none. */
extern int64 th_push_channel_remove(int64 clinic_id, const char *source,
									const char *channel_id);

#endif /* TH_STORE_PUSH_CHANNEL_H */
