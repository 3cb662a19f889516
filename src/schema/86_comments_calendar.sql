/* ---- writing calendars ---- */

COMMENT ON TYPE telehealth.vevent IS 'A component VEVENT of a calendar, made by the function of the same name.';
COMMENT ON COLUMN telehealth.vevent.uid IS 'UID: the same for the life of the event, and for every occurrence of a series.';
COMMENT ON COLUMN telehealth.vevent.starts_at IS 'DTSTART.';
COMMENT ON COLUMN telehealth.vevent.ends_at IS 'DTEND; of an event of whole days the instant at which the last day ends.';
COMMENT ON COLUMN telehealth.vevent.summary IS 'SUMMARY.';
COMMENT ON COLUMN telehealth.vevent.description IS 'DESCRIPTION.';
COMMENT ON COLUMN telehealth.vevent.location IS 'LOCATION.';
COMMENT ON COLUMN telehealth.vevent.url IS 'URL.';
COMMENT ON COLUMN telehealth.vevent.status IS 'STATUS: TENTATIVE, CONFIRMED or CANCELLED.';
COMMENT ON COLUMN telehealth.vevent.sequence IS 'SEQUENCE: raised with every change that matters.';
COMMENT ON COLUMN telehealth.vevent.timezone IS 'The zone that times are written in, or whose days are meant; null is UTC. A time that its clock shows twice is written in UTC.';
COMMENT ON COLUMN telehealth.vevent.is_all_day IS 'Times are dates.';
COMMENT ON COLUMN telehealth.vevent.stamped_at IS 'DTSTAMP; null is updated_at, else created_at, else 1970.';
COMMENT ON COLUMN telehealth.vevent.created_at IS 'CREATED.';
COMMENT ON COLUMN telehealth.vevent.updated_at IS 'LAST-MODIFIED.';
COMMENT ON COLUMN telehealth.vevent.conference IS 'CONFERENCE: the link of a video meeting.';
COMMENT ON COLUMN telehealth.vevent.organizer IS 'ORGANIZER: an e-mail address, or a URI.';
COMMENT ON COLUMN telehealth.vevent.organizer_name IS 'The organizer''s name.';
COMMENT ON COLUMN telehealth.vevent.attendees IS 'ATTENDEE: an array of addresses, or of objects with address, name, type, role, status and rsvp.';
COMMENT ON COLUMN telehealth.vevent.class IS 'CLASS: PUBLIC, PRIVATE or CONFIDENTIAL.';
COMMENT ON COLUMN telehealth.vevent.transparency IS 'TRANSP: OPAQUE or TRANSPARENT; null is OPAQUE.';
COMMENT ON COLUMN telehealth.vevent.categories IS 'CATEGORIES.';
COMMENT ON COLUMN telehealth.vevent.rrule IS 'RRULE, such as FREQ=WEEKLY;COUNT=10. With a rule the times of the zone''s clock recur.';
COMMENT ON COLUMN telehealth.vevent.exdates IS 'EXDATE: starts that the rule makes and that are not.';
COMMENT ON COLUMN telehealth.vevent.rdates IS 'RDATE: starts that come beside the rule''s.';
COMMENT ON COLUMN telehealth.vevent.recurrence_id IS 'RECURRENCE-ID: the start that the rule gave this one occurrence.';
COMMENT ON COLUMN telehealth.vevent.alarms IS 'VALARM: so long before the start.';
COMMENT ON COLUMN telehealth.vevent.color IS 'COLOR: a name of CSS.';
COMMENT ON FUNCTION telehealth.vevent(text, timestamptz, timestamptz, text, text, text, text, text, integer, text, boolean, timestamptz, timestamptz, timestamptz, text, text, text, jsonb, text, text, text[], text, timestamptz[], timestamptz[], timestamptz, interval[], text) IS 'An event for vcalendar(); all but uid, starts_at and ends_at have defaults. It is checked when it is written. For readers.';
COMMENT ON FUNCTION telehealth_private.vcalendar_add(internal, telehealth.vevent) IS 'Step of vcalendar(vevent).';
COMMENT ON FUNCTION telehealth_private.vcalendar_add(internal, telehealth.vevent, jsonb) IS 'Step of vcalendar(vevent, options).';
COMMENT ON FUNCTION telehealth_private.vcalendar_end(internal) IS 'End of vcalendar().';
COMMENT ON AGGREGATE telehealth.vcalendar(telehealth.vevent) IS 'A calendar (RFC 5545) with these events, in the order of ORDER BY within the call; null is none. The same rows give the same bytes. Errors: 22004, 22023, 22008. For readers.';
COMMENT ON AGGREGATE telehealth.vcalendar(telehealth.vevent, jsonb) IS 'As vcalendar(vevent), with options of the first row: name, description, method, refresh (an interval), color, url, kind (events, or freebusy: only when there is something), uid (of the free-busy component).';
COMMENT ON FUNCTION telehealth.ical_duration(interval) IS 'An interval as iCalendar says it: PT30M, P1DT2H, -PT15M. Fractions of seconds are cut. Errors: 22023 for months. For readers.';
COMMENT ON FUNCTION telehealth.vtimezone(text, timestamptz, timestamptz) IS 'VTIMEZONE of a zone for the instants of a window; one that ends at infinity has the zone''s rules. From the server''s time zone data. Errors: 22023. For readers.';

/* ---- recurring visits ---- */

COMMENT ON COLUMN telehealth.appointment.series_id IS 'The series that the visit belongs to, if any.';
COMMENT ON COLUMN telehealth.appointment.occurrence IS 'The day of the series, in its zone, that the visit is of; stays when the visit is moved.';
COMMENT ON COLUMN telehealth.appointment.is_exception IS 'Whether the visit was changed by itself and no longer follows its series.';
COMMENT ON COLUMN telehealth.appointment.series_revision IS 'The revision of the series that last changed the visit.';
COMMENT ON COLUMN telehealth.appointment.local_start IS 'What clocks in timezone show when the visit starts, as it was agreed. Set for visits of a series; optional for others.';

COMMENT ON TABLE telehealth.appointment_series IS 'A visit that recurs. Its visits are rows of appointment, made up to a horizon: a change of the series changes those to come, one changed by itself stays as it is, one deleted is not made again.';
COMMENT ON COLUMN telehealth.appointment_series.clinic_id IS 'The clinic the row belongs to.';
COMMENT ON COLUMN telehealth.appointment_series.id IS 'Number of the series in its clinic.';
COMMENT ON COLUMN telehealth.appointment_series.external_id IS 'The application''s own key, unique in the clinic.';
COMMENT ON COLUMN telehealth.appointment_series.patient_id IS 'The patient of the visits.';
COMMENT ON COLUMN telehealth.appointment_series.provider_id IS 'The clinician of the visits.';
COMMENT ON COLUMN telehealth.appointment_series.type IS 'How the visits take place.';
COMMENT ON COLUMN telehealth.appointment_series.rule IS 'RRULE of RFC 5545 without its name: FREQ is DAILY, WEEKLY, MONTHLY or YEARLY, and hours, minutes and seconds are not spoken of. A day that UNTIL names alone is included.';
COMMENT ON COLUMN telehealth.appointment_series.first_date IS 'DTSTART of the rule. A day that the rule does not name has no visit, the first one neither.';
COMMENT ON COLUMN telehealth.appointment_series.start_time IS 'What clocks in timezone show when a visit starts, summer and winter. A time that clocks skip is later by what they skip; of one they show twice the first is meant.';
COMMENT ON COLUMN telehealth.appointment_series.timezone IS 'IANA time zone of rule and start_time.';
COMMENT ON COLUMN telehealth.appointment_series.duration IS 'Minutes of a visit.';
COMMENT ON COLUMN telehealth.appointment_series.exceptions IS 'Days of the rule that have no visit (EXDATE). A deleted visit adds its day, and removes days that are past.';
COMMENT ON COLUMN telehealth.appointment_series.horizon_days IS 'How many days ahead visits are made; the dispatcher goes on as time passes.';
COMMENT ON COLUMN telehealth.appointment_series.title IS 'Title of the visits.';
COMMENT ON COLUMN telehealth.appointment_series.reason IS 'Clinical reason of the visits; never leaves the database by default.';
COMMENT ON COLUMN telehealth.appointment_series.location IS 'Location of the visits.';
COMMENT ON COLUMN telehealth.appointment_series.platform IS 'Video platform of the visits, else the clinic''s.';
COMMENT ON COLUMN telehealth.appointment_series.revision IS 'Raised by every change that visits follow; raising it makes them follow anew.';
COMMENT ON COLUMN telehealth.appointment_series.expanded_until IS 'The last day for which visits were made. Null in a new row only.';
COMMENT ON COLUMN telehealth.appointment_series.conflicts IS 'Days left out, since the provider has another visit then: telehealth.series_conflict.';
COMMENT ON COLUMN telehealth.appointment_series.created_at IS 'When the row was written.';
COMMENT ON COLUMN telehealth.appointment_series.updated_at IS 'When the series was last changed.';
COMMENT ON SEQUENCE telehealth.appointment_series_id_seq IS 'Numbers of series.';
COMMENT ON POLICY appointment_series_policy ON telehealth.appointment_series IS 'Rows of the clinics in which the role has a grant.';

COMMENT ON FUNCTION telehealth_private.is_rule(text) IS 'Whether a text is a rule that a series may have.';
COMMENT ON FUNCTION telehealth_private.instant_of(timestamp, text) IS 'The instant at which clocks in a zone show a time: after a gap if they skip it, the first if they show it twice (RFC 5545).';
COMMENT ON FUNCTION telehealth_private.wall_of(timestamptz, text) IS 'What clocks in a zone show at an instant.';
COMMENT ON FUNCTION telehealth_private.series_days(text, date, time, text, date, date, integer) IS 'The days of a rule within two days, and when the visit of each starts.';
COMMENT ON FUNCTION telehealth_private.series_due_at(telehealth.appointment_series, date) IS 'When the horizon reaches the next day of a series.';
COMMENT ON FUNCTION telehealth_private.remove_occurrences(bigint, bigint[], boolean) IS 'Removes visits without a new exception in their series.';
COMMENT ON FUNCTION telehealth_private.set_occurrences(telehealth.appointment_series, bigint[], timestamptz[]) IS 'Makes visits what their series says.';
COMMENT ON FUNCTION telehealth_private.change_occurrences(telehealth.appointment_series, date[], timestamptz[], timestamptz) IS 'Makes visits to come what their series says, where they differ and their provider has the time.';
COMMENT ON FUNCTION telehealth_private.expand_series(bigint, bigint, timestamptz, boolean) IS 'Makes the visits of a series up to its horizon, and says when to look again.';
COMMENT ON FUNCTION telehealth_private.drop_series(bigint, bigint, timestamptz) IS 'Removes the visits to come of a series that is gone.';
COMMENT ON FUNCTION telehealth_private.extend_series(bigint[], bigint[], timestamptz) IS 'Makes what the horizon has reached, for the dispatcher.';
COMMENT ON FUNCTION telehealth_private.appointment_except() IS 'A deleted visit of a series becomes an exception.';
COMMENT ON FUNCTION telehealth_private.appointment_detach() IS 'A visit changed by itself no longer follows its series, and local_start follows starts_at.';
COMMENT ON FUNCTION telehealth_private.appointment_series_stamp() IS 'Raises the revision of a changed series.';
COMMENT ON FUNCTION telehealth_private.appointment_series_follow() IS 'Visits follow their series.';
COMMENT ON FUNCTION telehealth_private.rule_part(text, text) IS 'A rule with another end.';
COMMENT ON FUNCTION telehealth.refresh_series(bigint) IS 'Makes the visits to come what their series says: after conflicts were solved or the rules of a zone changed. Returns how many days are still in conflict.';
COMMENT ON FUNCTION telehealth_private.refresh_series(bigint) IS 'What telehealth.refresh_series() runs as the owner, after a check of the caller.';
COMMENT ON FUNCTION telehealth.split_series(bigint, date, jsonb) IS 'Ends a series before a day and begins another with changes (columns of appointment_series) there: "this and following". Visits keep their numbers and meetings where the new rule has their day. Returns the id of the new series. Errors: 22023, also where no visit would be left before that day: update the series then; P0002.';
COMMENT ON FUNCTION telehealth_private.split_series(bigint, date, jsonb) IS 'What telehealth.split_series() runs as the owner, after a check of the caller.';

COMMENT ON TRIGGER appointment_detach ON telehealth.appointment IS 'What is changed by itself is an exception of its series.';
COMMENT ON TRIGGER appointment_except ON telehealth.appointment IS 'What is deleted is not made again by its series.';
COMMENT ON TRIGGER appointment_series_stamp ON telehealth.appointment_series IS 'Raises the revision.';
COMMENT ON TRIGGER appointment_series_follow_insert ON telehealth.appointment_series IS 'Makes the visits of a new series.';
COMMENT ON TRIGGER appointment_series_follow_update ON telehealth.appointment_series IS 'Visits to come follow a changed series.';
COMMENT ON TRIGGER appointment_series_follow_delete ON telehealth.appointment_series IS 'Visits to come go with their series.';

COMMENT ON VIEW telehealth.series_conflict IS 'Days to come on which a series has no visit, since its provider has another one then.';
COMMENT ON COLUMN telehealth.series_conflict.clinic_id IS 'The clinic.';
COMMENT ON COLUMN telehealth.series_conflict.series_id IS 'The series.';
COMMENT ON COLUMN telehealth.series_conflict.provider_id IS 'The clinician.';
COMMENT ON COLUMN telehealth.series_conflict.occurrence IS 'The day, in the zone of the series.';
COMMENT ON COLUMN telehealth.series_conflict.starts_at IS 'When the visit would start.';

COMMENT ON VIEW telehealth.tz_drift IS 'Visits to come at whose instant clocks no longer show what was agreed, since the rules of their zone have changed: refresh_series() moves those of a series, an UPDATE of starts_at to wanted_at a single one.';
COMMENT ON COLUMN telehealth.tz_drift.clinic_id IS 'The clinic.';
COMMENT ON COLUMN telehealth.tz_drift.appointment_id IS 'The visit.';
COMMENT ON COLUMN telehealth.tz_drift.series_id IS 'Its series, if any.';
COMMENT ON COLUMN telehealth.tz_drift.provider_id IS 'The clinician.';
COMMENT ON COLUMN telehealth.tz_drift.timezone IS 'The zone of local_start.';
COMMENT ON COLUMN telehealth.tz_drift.local_start IS 'What clocks should show when the visit starts.';
COMMENT ON COLUMN telehealth.tz_drift.starts_at IS 'The instant that is stored.';
COMMENT ON COLUMN telehealth.tz_drift.wanted_at IS 'The instant at which clocks show local_start by the rules of today.';

/* ---- telehealth_private.installation ---- */

COMMENT ON TABLE telehealth_private.installation IS 'What tells this installation from others in the UIDs of its events. The oldest row counts: a restore brings that of its origin, and a copy shares its UIDs.';
COMMENT ON COLUMN telehealth_private.installation.tag IS 'Random, 32 hexadecimal digits.';
COMMENT ON COLUMN telehealth_private.installation.created_at IS 'When the extension was created, or updated from version 0.1.';
COMMENT ON COLUMN telehealth_private.installation.plain_until IS 'Visits with an id up to this keep the UID of version 0.1, which has no installation in it; null: there are none.';
COMMENT ON CONSTRAINT installation_pkey ON telehealth_private.installation IS 'One row a tag.';
COMMENT ON CONSTRAINT installation_tag_check ON telehealth_private.installation IS 'Part of a UID.';

/* ---- telehealth_private.windows_zone ---- */

COMMENT ON TABLE telehealth_private.windows_zone IS 'Zones by the names of Windows, as Unicode''s CLDR has them.';
COMMENT ON COLUMN telehealth_private.windows_zone.name IS 'What Windows calls it.';
COMMENT ON COLUMN telehealth_private.windows_zone.zone IS 'The zone of the server.';
COMMENT ON COLUMN telehealth_private.windows_zone.cldr_version IS 'Version of CLDR that says so.';
COMMENT ON CONSTRAINT windows_zone_pkey ON telehealth_private.windows_zone IS 'One zone a name.';
COMMENT ON FUNCTION telehealth.parse_ics(text, timestamptz, timestamptz, text) IS 'Occurrences of a calendar''s events that touch a window of time; what is wrong with an item is a row with its problem. Errors: 54000, 22023. For readers.';

/* ---- feeds ---- */

COMMENT ON TABLE telehealth.feed IS 'iCalendar subscriptions.';
COMMENT ON COLUMN telehealth.feed.clinic_id IS 'The clinic the row belongs to.';
COMMENT ON COLUMN telehealth.feed.id IS 'Number of the feed.';
COMMENT ON COLUMN telehealth.feed.provider_id IS 'Whose visits it shows.';
COMMENT ON COLUMN telehealth.feed.name IS 'The calendar''s name in subscribers'' programs.';
COMMENT ON COLUMN telehealth.feed.kind IS 'owner, or shared: busy times and nothing else.';
COMMENT ON COLUMN telehealth.feed.token_hash IS 'SHA-256 of the token in the link.';
COMMENT ON COLUMN telehealth.feed.include_patient_names IS 'Names appear if this is set and the disclosure policy allows it.';
COMMENT ON COLUMN telehealth.feed.include_meeting_links IS 'Links appear if this is set and the disclosure policy allows it.';
COMMENT ON COLUMN telehealth.feed.sync_range_days IS 'Days before and after now that it covers.';
COMMENT ON COLUMN telehealth.feed.is_active IS 'False: revoked.';
COMMENT ON COLUMN telehealth.feed.access_count IS 'How often it was read, added up every few seconds by the dispatcher.';
COMMENT ON COLUMN telehealth.feed.last_accessed_at IS 'When it was read last, likewise.';
COMMENT ON COLUMN telehealth.feed.created_at IS 'When it was made.';
COMMENT ON SEQUENCE telehealth.feed_id_seq IS 'Numbers of feeds.';
COMMENT ON POLICY feed_policy ON telehealth.feed IS 'Rows of the clinics the user may see.';
COMMENT ON FUNCTION telehealth.create_feed(bigint, text, boolean, boolean, integer, text) IS 'Makes a feed; the token and the links are shown this once.';
COMMENT ON FUNCTION telehealth.rotate_feed(bigint) IS 'Gives a feed a new token; the old one is worth nothing from then on.';
COMMENT ON FUNCTION telehealth.revoke_feed(bigint) IS 'Ends a feed for good.';
COMMENT ON FUNCTION telehealth.feed_ics(text) IS 'The feed with that token as text/calendar.';
COMMENT ON FUNCTION telehealth.feed_qr(text) IS 'A link as a QR code, SVG.';
COMMENT ON COLUMN telehealth.appointment.cancelled_at IS 'When it was cancelled; one inserted as cancelled counts from created_at.';

/* ---- importing calendars ---- */

COMMENT ON TABLE telehealth.busy_time IS 'When providers are taken elsewhere: what import_ics() and import_csv() read, one row an occurrence. An application may also keep rows of a source of its own.';
COMMENT ON COLUMN telehealth.busy_time.clinic_id IS 'The clinic.';
COMMENT ON COLUMN telehealth.busy_time.provider_id IS 'Whose time.';
COMMENT ON COLUMN telehealth.busy_time.source IS 'Name of the calendar it came from.';
COMMENT ON COLUMN telehealth.busy_time.external_id IS 'UID of the event there; its SHA-256 if it is long or not ASCII, its times if there is none.';
COMMENT ON COLUMN telehealth.busy_time.during IS 'From when until when.';
COMMENT ON COLUMN telehealth.busy_time.status IS 'BUSY or TENTATIVE.';
COMMENT ON COLUMN telehealth.busy_time.seen_at IS 'When an import last wrote the row: not when it last found it, since what is as it should be is not written.';
COMMENT ON COLUMN telehealth.busy_time.recurrence_id IS 'Which occurrence of a recurring event: the start its rule gives; -infinity for an event that does not recur.';

COMMENT ON TABLE telehealth.import_problem IS 'Items of the last import of a source that could not be read. Busy times of theirs from before are kept.';
COMMENT ON COLUMN telehealth.import_problem.clinic_id IS 'The clinic.';
COMMENT ON COLUMN telehealth.import_problem.provider_id IS 'Whose calendar.';
COMMENT ON COLUMN telehealth.import_problem.source IS 'Name of the calendar.';
COMMENT ON COLUMN telehealth.import_problem.item IS 'Line of a CSV text; number among the problems of an iCalendar text.';
COMMENT ON COLUMN telehealth.import_problem.external_id IS 'UID of the item, as in busy_time, if it could be read.';
COMMENT ON COLUMN telehealth.import_problem.reason IS 'What is wrong with it; nothing of its text.';
COMMENT ON COLUMN telehealth.import_problem.seen_at IS 'When an import wrote the row: the first one that found this problem there.';

COMMENT ON POLICY busy_time_policy ON telehealth.busy_time IS 'Who has a grant for the clinic.';
COMMENT ON POLICY import_problem_policy ON telehealth.import_problem IS 'Who has a grant for the clinic.';

COMMENT ON FUNCTION telehealth.import_ics(bigint, text, text, timestamptz, timestamptz, boolean) IS 'Makes the busy times of a provider and source inside the window (yesterday and a year, if none is given) what an iCalendar text says: all of it or nothing. Returns how many rows were created, updated and deleted, and how many items could not be read (see import_problem). Errors: TH004 if it would remove more than 10 rows and a fifth of them, unless confirm_deletions; 22P02, 22023, 54000, 22004; 42501. For apps.';
COMMENT ON FUNCTION telehealth.import_csv(bigint, text, text, text, timestamptz, timestamptz, boolean) IS 'The same from CSV, whose first line names the columns. Times without a zone of their own are in the one given, else the provider''s, else the clinic''s. For apps.';
