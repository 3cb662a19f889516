/*
 * limit.c
 *	  What libcurl alone can do: N requests for a meeting through one multi
 *	  handle, M in flight, handles and connections reused.
 *
 * usage: limit URL N M; prints requests per second.
 */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char body[] =
	"{\"type\":2,\"topic\":\"Telehealth visit\",\"agenda\":\"telehealth ref "
	"th-0123456789abcdef0123456789abcdef\",\"start_time\":\"2030-01-01T10:00:"
	"00Z\",\"timezone\":\"UTC\",\"duration\":30,\"password\":\"a1b2c3d4e5\","
	"\"default_password\":false,\"settings\":{\"waiting_room\":true,"
	"\"auto_recording\":\"none\",\"encryption_type\":\"enhanced_encryption\","
	"\"meeting_authentication\":false,\"mute_upon_entry\":true,"
	"\"approval_type\":2,\"join_before_host\":false,\"use_pmi\":false,"
	"\"registrants_email_notification\":false,"
	"\"registrants_confirmation_email\":false,\"email_notification\":false,"
	"\"alternative_hosts_email_notification\":false,"
	"\"auto_start_meeting_summary\":false,"
	"\"auto_start_ai_companion_questions\":false,\"continuous_meeting_chat\":"
	"{\"enable\":false},\"push_change_to_calendar\":false}}";

static size_t
swallow(char *data, size_t size, size_t n, void *arg)
{
	(void) data;
	*(size_t *) arg += size * n;
	return size * n;
}

int
main(int argc, char **argv)
{
	struct curl_slist *headers = NULL;
	struct timespec a, b;
	CURLM *multi;
	size_t bytes = 0;
	int total, places, started, done = 0, bad = 0, running;

	if (argc != 4)
		return 2;
	total = atoi(argv[2]);
	places = atoi(argv[3]);
	curl_global_init(CURL_GLOBAL_DEFAULT);
	multi = curl_multi_init();
	curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long) places);
	headers = curl_slist_append(headers, "Accept: application/json");
	headers = curl_slist_append(headers, "Content-Type: application/json");
	headers = curl_slist_append(headers, "Authorization: Bearer t");
	headers = curl_slist_append(headers, "Expect:");
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (started = 0; started < places && started < total; started++)
	{
		CURL *easy = curl_easy_init();

		curl_easy_setopt(easy, CURLOPT_URL, argv[1]);
		curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
		curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, swallow);
		curl_easy_setopt(easy, CURLOPT_WRITEDATA, &bytes);
		curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
		curl_multi_add_handle(multi, easy);
	}
	while (done < total)
	{
		CURLMsg *message;
		int left;

		curl_multi_perform(multi, &running);
		while ((message = curl_multi_info_read(multi, &left)) != NULL)
		{
			CURL *easy = message->easy_handle;
			long status = 0;

			curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
			bad += status != 201;
			done++;
			curl_multi_remove_handle(multi, easy);
			if (started < total)
			{
				started++;
				curl_multi_add_handle(multi, easy);
			}
			else
				curl_easy_cleanup(easy);
		}
		if (done < total)
			curl_multi_poll(multi, NULL, 0, 1000, NULL);
	}
	clock_gettime(CLOCK_MONOTONIC, &b);
	if (bad > 0)
		fprintf(stderr, "limit: %d of %d failed\n", bad, total);
	printf("%.0f\n", total / ((double) (b.tv_sec - a.tv_sec) +
							  (double) (b.tv_nsec - a.tv_nsec) / 1e9));
	return bad > 0;
}
