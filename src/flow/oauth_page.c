/*
 * oauth_page.c
 *	  What a browser is shown when it comes back from a vendor.
 */
#include "postgres.h"

#include "base/th_error.h"
#include "flow/oauth_page.h"

#define PAGE(title, text)                                                      \
	"<!DOCTYPE html>\n"                                                        \
	"<html lang=\"en\">\n"                                                     \
	"<head>\n"                                                                 \
	"<meta charset=\"utf-8\">\n"                                               \
	"<meta name=\"viewport\" content=\"width=device-width, "                   \
	"initial-scale=1\">\n"                                                     \
	"<meta name=\"robots\" content=\"noindex\">\n"                             \
	"<meta name=\"referrer\" content=\"no-referrer\">\n"                       \
	"<title>" title "</title>\n"                                               \
	"<style>\n"                                                                \
	":root { color-scheme: light dark; }\n"                                    \
	"body { font: 1.125rem/1.5 system-ui, sans-serif; margin: 0; }\n"          \
	"main { max-width: 34rem; margin: 0 auto; padding: 2rem 1.25rem; }\n"      \
	"h1 { font-size: 1.5rem; line-height: 1.25; }\n"                           \
	"</style>\n"                                                               \
	"</head>\n"                                                                \
	"<body>\n"                                                                 \
	"<main>\n"                                                                 \
	"<h1>" title "</h1>\n"                                                     \
	"<p>" text "</p>\n"                                                        \
	"</main>\n"                                                                \
	"</body>\n"                                                                \
	"</html>\n"

#define AGAIN " Please start again from your application."

static const struct
{
	int status;
	const char *html;
} pages[] = {
	[TH_OAUTH_PAGE_DONE] = { 200, PAGE("Connected",
									   "Access was granted and is stored. "
									   "You can close this window.") },
	[TH_OAUTH_PAGE_DECLINED] = { 403, PAGE("Access was not granted",
										   "Nothing was connected and nothing "
										   "was changed." AGAIN) },
	[TH_OAUTH_PAGE_BAD_REQUEST] = { 400, PAGE("This address is not complete",
											  "It is meant to be opened by the "
											  "service that you were sent "
											  "to." AGAIN) },
	[TH_OAUTH_PAGE_UNKNOWN] = { 400, PAGE("This address is no longer good",
										  "It works once and for ten minutes. "
										  "Nothing was connected by "
										  "it now." AGAIN) },
	[TH_OAUTH_PAGE_REFUSED] = { 502, PAGE("The service refused",
										  "It did not accept what it had sent "
										  "with you. Nothing was "
										  "connected." AGAIN) },
	[TH_OAUTH_PAGE_LOST] = { 502,
							 PAGE("The service did not answer",
								  "Nothing was connected. What it had sent "
								  "with you works only once." AGAIN) },
	[TH_OAUTH_PAGE_HELD] = { 503, PAGE("Not connected from here",
									   "This system does not contact other "
									   "services at present. Please ask its "
									   "administrator.") },
	[TH_OAUTH_PAGE_BUSY] = { 503,
							 PAGE("This takes longer than usual",
								  "It is not known yet whether the connection "
								  "was made. Please look in your application "
								  "in a moment.") },
	[TH_OAUTH_PAGE_FAILED] = { 500, PAGE("Something went wrong",
										 "Nothing was connected. Please ask "
										 "the administrator of this "
										 "system.") },
};

ThOauthPage
th_oauth_page_of(int sqlstate)
{
	switch (sqlstate)
	{
		case 0:
			return TH_OAUTH_PAGE_DONE;
		case ERRCODE_NO_DATA_FOUND:
		case ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE:
			return TH_OAUTH_PAGE_UNKNOWN;
		case ERRCODE_TH_VENDOR_REFUSED:
			return TH_OAUTH_PAGE_REFUSED;
		case ERRCODE_CONNECTION_FAILURE:
			return TH_OAUTH_PAGE_LOST;
		case ERRCODE_TH_OUTBOUND_HELD:
			return TH_OAUTH_PAGE_HELD;
		default:
			return TH_OAUTH_PAGE_FAILED;
	}
}

int
th_oauth_page_status(ThOauthPage page)
{
	return pages[page].status;
}

const char *
th_oauth_page_html(ThOauthPage page)
{
	return pages[page].html;
}
