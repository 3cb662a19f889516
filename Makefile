# telehealth: builds, installs and tests the extension with PGXS.
#
#   make                  the shared library and the install script
#   make install          both into the server that PG_CONFIG belongs to
#   make installcheck     all tests, against an installed extension
#
# TH_DEBUG=1 adds waitpoints and our own assertions, WERROR=1 makes warnings
# errors. test/check does all of this on a private server.

PG_CONFIG ?= pg_config
PKG_CONFIG ?= pkg-config

EXTENSION = telehealth
MODULE_big = telehealth
PGFILEDESC = "telehealth - appointments that become video meetings"

# The control file is the only place that knows the version.
EXTVERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" telehealth.control)

# The rooms of src/, in the order of their include direction. One name a file,
# without its ending; a file that is not listed is not built.
BASE = th_clock th_debug th_error th_guard th_guc th_instant th_zone th_wall
JSON = json_mend json_plain json_read json_write
CRYPTO = bounded_file envelope key_command key_file keyring mac ossl_error \
	secret_reference token
HTTP = address engine exchange multi option request waitset
ICAL = csv_event csv_read csv_time ical_days ical_entry ical_event ical_line \
	ical_read ical_rule ical_rule_run ical_series ical_text ical_timezone \
	ical_uid ical_zone qr
CALENDAR = answer busy caldav caldav_discover caldav_find caldav_list caldav_pull \
	caldav_text calendar dav_href dav_xml google google_event google_list \
	google_watch outlook outlook_event outlook_list outlook_watch
PLATFORM = form mock oauth platform twilio_event zoom zoom_answer zoom_event \
	zoom_verdict zoom_visit
STORE = access account account_grant audit busy calendar_channel calendar_double calendar_event \
	calendar_mark calendar_pull calendar_remote calendar_sync calendar_use connect connection connection_found direct environment expand feed \
	gateway history installation job job_claim job_insert job_settle meeting oauth owner \
	plans policy push_channel series session session_write status sync_count table_size visit visit_write \
	webhook webhook_insert windows_zone
FLOW = ask calendar_channel calendar_connection calendar_credential calendar_expand calendar_pull calendar_pull_write \
	calendar_push calendar_push_answer calendar_read calendar_remote calendar_work credential event_wish feed \
	import_csv import_ics import_list \
	meeting meeting_answer oauth oauth_page pull_list visit visit_fold visit_people webhook \
	webhook_channel webhook_push webhook_schedule webhook_source webhook_twilio \
	webhook_zoom wish work
WORKER = calendar_pool calendar_run calendar_slow cycle cycle_singly cycle_task database_list dispatcher door door_control \
	expand fall \
	grant housekeeping launch_gateway launcher leave mailbox match pool pool_line \
	pool_quota pool_token process run send settle shmem slot slot_control spread \
	tally transaction utility_hook visits wake
GATEWAY = batch callback client feed feed_cache gateway listen metrics negotiate \
	page request route server status strict
API = appointment_columns booking call fn_access fn_calendar fn_connection fn_core fn_feed fn_gateway fn_ical \
	fn_import fn_meeting fn_oauth fn_operation fn_platform fn_series fn_sync fn_vcalendar fn_webhook hint ical_result interval \
	platform_options trg_appointment trg_related trg_series vevent

OBJS = src/telehealth.o \
	$(BASE:%=src/base/%.o) \
	$(JSON:%=src/json/%.o) \
	$(CRYPTO:%=src/crypto/%.o) \
	$(HTTP:%=src/http/%.o) \
	$(ICAL:%=src/ical/%.o) \
	$(PLATFORM:%=src/platform/%.o) \
	$(CALENDAR:%=src/calendar/%.o) \
	$(STORE:%=src/store/%.o) \
	$(FLOW:%=src/flow/%.o) \
	$(WORKER:%=src/worker/%.o) \
	$(GATEWAY:%=src/gateway/%.o) \
	$(API:%=src/api/%.o)

# The pieces of the install script, in their order in it.
SCHEMA = \
	00_header \
	05_schemas \
	10_types \
	20_people \
	21_scheduling \
	22_platform \
	24_audit \
	25_work \
	26_calendar \
	27_series \
	28_webhook \
	28_windows_zone \
	29_dashboard \
	29_installation \
	29_oauth \
	30_availability \
	30_indexes \
	31_connection \
	40_functions_core \
	40_functions_platform \
	40_functions_meeting \
	40_functions_event \
	40_functions_ical \
	40_functions_job \
	40_functions_operations \
	40_functions_feed \
	40_functions_series \
	40_functions_sync \
	40_functions_availability \
	40_functions_ical_read \
	40_functions_import \
	40_functions_gateway \
	40_functions_oauth \
	40_functions_connection \
	40_functions_webhook \
	50_triggers \
	60_views_connection \
	60_views \
	70_policies \
	80_grants \
	85_comments \
	86_comments_availability \
	86_comments_calendar \
	86_comments_connection \
	86_comments_gateway \
	86_comments_oauth \
	90_config_dump \
	99_wake

# Those of them that can be replayed over an older version, see
# src/schema/README.md. Structure is changed by hand, in src/schema/upgrade.
ROUTINE = $(filter 40_% 50_% 60_% 80_% 85_% 86_% 90_%,$(SCHEMA))

SCRIPT = telehealth--$(EXTVERSION).sql
UPGRADE = telehealth--$(UPGRADE_FROM)--$(EXTVERSION).sql
UPGRADE_FROM = 0.1
DATA = $(wildcard src/schema/upgrade/telehealth--*.sql)
DATA_built = $(SCRIPT) $(UPGRADE)

# Tests: sql/ and expected/ here, test/isolation/{specs,expected}, test/t.
REGRESS = core people appointment privileges platform errors ical series \
	ical_read feed import availability busy visit webhook oauth catalogue
ISOLATION = booking_race hold_confirm mark_settle series_race
ISOLATION_OPTS = --inputdir=test/isolation
TAP_TESTS = 1
PROVE_TESTS = test/t/*.pl
override PROVE_FLAGS += -I test/lib

EXTRA_CLEAN = $(OBJS:.o=.d) .build_flags telehealth--*.sql $(SCRIPT).new $(UPGRADE).new

# gcc knows this warning since 14, clang always (test/lint asks clang).
supported = $(shell $(CC) $(1) -x c -fsyntax-only - </dev/null 2>/dev/null && echo $(1))

TH_CFLAGS = -std=gnu11 -Wall -Wextra -Wshadow -Wformat=2 -Wundef \
	-Wstrict-prototypes -Wold-style-definition $(call supported,-Wmissing-variable-declarations) \
	-fvisibility=hidden
TH_CPPFLAGS = -DTH_VERSION='"$(EXTVERSION)"'
ifeq ($(TH_DEBUG),1)
TH_CPPFLAGS += -DTH_DEBUG
endif
ifeq ($(WERROR),1)
# The server's own flags are those of its compiler, which another may not know.
TH_CFLAGS += -Werror $(if $(call supported,-Wunknown-warning-option),-Wno-unknown-warning-option -Wno-ignored-optimization-argument)
endif

# The server's headers as system headers, first: they then give no warnings.
# What is exported although symbols are hidden says src/base/compat.h.
PG_CPPFLAGS = -isystem $(shell $(PG_CONFIG) --includedir-server) -Isrc \
	$(TH_CPPFLAGS) \
	$(shell $(PKG_CONFIG) --cflags libcurl libcrypto libmicrohttpd libqrencode libxml-2.0 zlib)
PG_CFLAGS = $(TH_CFLAGS) -MMD -MP
SHLIB_LINK = $(shell $(PKG_CONFIG) --libs libcurl libcrypto libmicrohttpd libqrencode libxml-2.0 zlib)

# No bitcode: nothing here is worth inlining into a compiled query.
override with_llvm = no

PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

ifeq ($(EXTVERSION),)
$(error telehealth.control names no default_version)
endif

# Objects follow their headers (-MMD) and the flags they were made with.
-include $(OBJS:.o=.d)
$(OBJS): .build_flags

.build_flags: .build_force
	@printf '%s\n' '$(CC) $(VERSION_NUM) $(TH_CFLAGS)' '$(subst ','\'',$(TH_CPPFLAGS) $(COPT) $(PROFILE))' >$@.new
	@if cmp -s $@.new $@; then rm -f $@.new; else mv -f $@.new $@; fi

$(SCRIPT): telehealth.control Makefile $(SCHEMA:%=src/schema/%.sql)
	@rm -f $@.new
	@for piece in $(SCHEMA); do \
		{ echo "-- src/schema/$$piece"; cat "src/schema/$$piece.sql" && echo; } >>$@.new || exit 1; \
	done
	mv -f $@.new $@

# The structure's changes ("-- piece NAME" stands for one that is new), then
# every routine piece over what there is.
$(UPGRADE): telehealth.control Makefile src/schema/upgrade/$(UPGRADE_FROM)--$(EXTVERSION).sql $(SCHEMA:%=src/schema/%.sql)
	@{ sed 's/CREATE EXTENSION telehealth CASCADE/ALTER EXTENSION telehealth UPDATE/; s/CREATE EXTENSION/ALTER EXTENSION/' \
		src/schema/00_header.sql && echo && \
		awk '!/^-- piece / { print; next } \
			{ file = "src/schema/" $$3 ".sql"; n = 0; while ((getline line < file) > 0) { print line; n++ } if (n == 0) exit 1 }' \
			src/schema/upgrade/$(UPGRADE_FROM)--$(EXTVERSION).sql && echo; } >$@.new
	@for piece in $(ROUTINE); do \
		{ echo "-- src/schema/$$piece"; \
		sed -E 's/^CREATE (AGGREGATE|FUNCTION|PROCEDURE|TRIGGER|VIEW) /CREATE OR REPLACE \1 /' "src/schema/$$piece.sql" && echo; } >>$@.new || exit 1; \
	done
	mv -f $@.new $@

# What the checks of test/lint and test/check ask.
print-sources:
	@printf '%s\n' $(OBJS:.o=.c)

print-schema:
	@printf '%s\n' $(SCHEMA:%=src/schema/%.sql)

print-flags:
	@printf '%s\n' '$(subst ','\'',$(CPPFLAGS) -std=gnu11)'

print-%:
	@printf '%s\n' '$($*)'

.PHONY: .build_force print-sources print-schema print-flags
