/* ---- when providers are free ---- */

COMMENT ON TABLE telehealth.working_hours IS 'When providers work. A provider without a row is always open; who has one is closed outside of the rows, also when all of them have ended.';
COMMENT ON COLUMN telehealth.working_hours.clinic_id IS 'The clinic the row belongs to.';
COMMENT ON COLUMN telehealth.working_hours.id IS 'Number of the row in its clinic.';
COMMENT ON COLUMN telehealth.working_hours.provider_id IS 'Whose hours.';
COMMENT ON COLUMN telehealth.working_hours.weekday IS '1 is Monday, 7 Sunday, of the zone.';
COMMENT ON COLUMN telehealth.working_hours.from_time IS 'What clocks in the zone show when the hours begin, summer and winter. A time that clocks skip is later by what they skip; of one they show twice the first is meant.';
COMMENT ON COLUMN telehealth.working_hours.to_time IS 'Likewise when they end, up to 24:00. Hours over midnight are two rows.';
COMMENT ON COLUMN telehealth.working_hours.timezone IS 'IANA time zone of the clock; null is the provider''s, else the clinic''s, else UTC.';
COMMENT ON COLUMN telehealth.working_hours.valid_from IS 'First day of the zone that the row counts for; null is all before.';
COMMENT ON COLUMN telehealth.working_hours.valid_to IS 'Last day of the zone that the row counts for; null is all after.';
COMMENT ON POLICY working_hours_policy ON telehealth.working_hours IS 'Rows of clinics that the user may see.';
COMMENT ON SEQUENCE telehealth.working_hours_id_seq IS 'Numbers of telehealth.working_hours.';

COMMENT ON COLUMN telehealth.clinic.calendar_stale_after IS 'How long ago an outside calendar may have been read for slots to count as fresh; at least twice its sync_frequency_minutes.';
COMMENT ON COLUMN telehealth.clinic.calendar_when_stale IS 'What free_slots() and is_free() do by an older copy: flag (is_stale), or close (nothing is free).';
COMMENT ON COLUMN telehealth.provider.calendar_stale_after IS 'As the column of clinic; null is the clinic''s.';
COMMENT ON COLUMN telehealth.provider.calendar_when_stale IS 'As the column of clinic; null is the clinic''s.';

COMMENT ON FUNCTION telehealth_private.taken(bigint, bigint, timestamptz, timestamptz, bigint) IS 'What takes a provider''s time inside a window: appointment or busy_time. is_free() and free_slots() both ask it.';
COMMENT ON FUNCTION telehealth_private.open_hours(bigint, bigint, timestamptz, timestamptz, text) IS 'When a provider works on the days that touch a window.';
COMMENT ON FUNCTION telehealth_private.freshness(bigint, bigint) IS 'A provider''s zone, how old what is known of the outside calendars is, and until when it reaches.';
COMMENT ON FUNCTION telehealth_private.check_window(bigint, timestamptz, timestamptz, integer, integer) IS 'Errors with 22004 or 22023 unless these may be arguments of free_slots().';
COMMENT ON FUNCTION telehealth.is_free(bigint, timestamptz, integer, bigint) IS 'Whether a provider could take a visit then; if not, the reason: appointment, busy_time, working_hours or stale. A visit but_appointment counts as not there, to move it. as_of is when the outside calendar named by source was last read, the one longest ago; null if never; of a provider without any it is now and telehealth. is_stale: one of them was read longer ago than calendar_stale_after and twice its sync_frequency_minutes, or the time is beyond what was read. Errors: 42501, 22004, 22023. For applications.';
COMMENT ON FUNCTION telehealth_private.is_free(bigint, timestamptz, integer, bigint) IS 'Twin of the function in telehealth.';
COMMENT ON FUNCTION telehealth.free_slots(bigint, timestamptz, timestamptz, integer, integer, bigint) IS 'Starts inside the window at which a visit of so many minutes fits, in order, by the rules of is_free(); every step minutes from the beginning of the working hours, or of the day. Errors: 42501, 22004, 22023. For applications.';
COMMENT ON FUNCTION telehealth_private.free_slots(bigint, timestamptz, timestamptz, integer, integer, bigint) IS 'Twin of the function in telehealth.';
