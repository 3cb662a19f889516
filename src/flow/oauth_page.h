/*
 * oauth_page.h
 *	  What a browser is shown when it comes back from a vendor.
 *
 * Pure. A page is whole in itself: no script, nothing from elsewhere, and
 * nothing of what the browser brought.
 */
#ifndef TH_FLOW_OAUTH_PAGE_H
#define TH_FLOW_OAUTH_PAGE_H

typedef enum ThOauthPage
{
	TH_OAUTH_PAGE_DONE,
	TH_OAUTH_PAGE_DECLINED, /* at the vendor, by whoever was asked */
	TH_OAUTH_PAGE_BAD_REQUEST,
	TH_OAUTH_PAGE_UNKNOWN, /* no such state, used, or expired */
	TH_OAUTH_PAGE_REFUSED, /* the vendor did not take the code */
	TH_OAUTH_PAGE_LOST,    /* its answer did not arrive */
	TH_OAUTH_PAGE_HELD,    /* outward work is held */
	TH_OAUTH_PAGE_BUSY, /* nobody is there to ask the vendor, or not in time */
	TH_OAUTH_PAGE_FAILED
} ThOauthPage;

/* The page for how complete_oauth() ended; 0 is success. */
extern ThOauthPage th_oauth_page_of(int sqlstate);

/* Its HTTP status. */
extern int th_oauth_page_status(ThOauthPage page);

/* The page, UTF-8 HTML. Memory: static. */
extern const char *th_oauth_page_html(ThOauthPage page);

/* What goes with it: nothing may be loaded, framed or remembered. Memory: static. */
#define TH_OAUTH_PAGE_TYPE "text/html; charset=utf-8"
#define TH_OAUTH_PAGE_POLICY                                                   \
	"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; "  \
	"base-uri 'none'; form-action 'none'"

#endif /* TH_FLOW_OAUTH_PAGE_H */
