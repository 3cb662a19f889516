/*
 * zoom.h
 *	  What the files of the Zoom adapter share; nobody else includes it.
 *
 * zoom.c builds requests, zoom_verdict.c judges answers that refuse or
 * fail, zoom_answer.c reads those that succeed. All of it is pure; nothing
 * throws for any content.
 */
#ifndef TH_PLATFORM_ZOOM_H
#define TH_PLATFORM_ZOOM_H

#include "json/json_read.h"
#include "platform/platform.h"

/* The scope to name for an operation. Memory: static. */
extern const char *th_zoom_scope_of(ThPlatformOp op);

/* The adapter's "read". */
extern void th_zoom_read(ThPlatformOp op, const ThMeetingWish *wish,
						 const ThHttpResult *result, TimestampTz now,
						 ThMeetingAnswer *out);

/*
 * Sets verdict, code, message, retry_at, is_host_quota and missing_scope.
 * "document" is the parsed body, or NULL. A 2xx is TH_VERDICT_OK.
 */
extern void th_zoom_judge(ThPlatformOp op, const ThHttpResult *result,
						  Jsonb *document, TimestampTz now,
						  ThMeetingAnswer *out);

/* Turns a 2xx into the verdict for a body that does not say what it must. */
extern void th_zoom_judge_unreadable(ThPlatformOp op, ThMeetingAnswer *out);

#endif /* TH_PLATFORM_ZOOM_H */
