#!/usr/bin/python3
# ical_peer.py: a calendar at random, and its occurrences in 2026 as
# recurring-ical-events reads them: "UID start end" in seconds since 1970.
#
# usage: ical_peer.py EVENTS CALENDAR [OCCURRENCES]
# TELEHEALTH_SEED in the environment makes another one. The VTIMEZONEs are
# those that Python's zone data give.
import datetime
import os
import random
import sys
from zoneinfo import ZoneInfo

import dateutil.rrule
import icalendar
import recurring_ical_events

random.seed(int(os.environ.get('TELEHEALTH_SEED', 7)))
owner = ZoneInfo('Europe/Berlin')
days = ['MO', 'TU', 'WE', 'TH', 'FR', 'SA', 'SU']
zones = ['Europe/Berlin', 'America/New_York', 'Asia/Kolkata', 'Australia/Sydney', 'America/St_Johns', None]
utc = datetime.timezone.utc


def numbers(first, last, most, both=True):
	found = random.sample(range(first, last + 1), random.randint(1, most))
	return ','.join(str(number * random.choice([1, -1] if both else [1])) for number in sorted(found))


def some_days(most=3):
	return ','.join(sorted(random.sample(days, random.randint(1, most))))


def numbered_days(last):
	return ','.join('%d%s' % (random.choice([1, -1]) * random.randint(1, last), day)
		for day in sorted(random.sample(days, random.randint(1, 2))))


# The parts of a rule but its end.
def rule():
	text = random.choice([
		lambda: 'FREQ=DAILY',
		lambda: 'FREQ=DAILY;BYMONTH=' + numbers(1, 12, 3, False),
		lambda: 'FREQ=DAILY;BYDAY=' + some_days(),
		lambda: 'FREQ=DAILY;BYMONTHDAY=' + numbers(1, 31, 4),
		lambda: 'FREQ=WEEKLY',
		lambda: 'FREQ=WEEKLY;BYDAY=' + some_days(),
		lambda: 'FREQ=WEEKLY;BYDAY=' + some_days() + ';WKST=' + random.choice(days),
		lambda: 'FREQ=MONTHLY',
		lambda: 'FREQ=MONTHLY;BYDAY=' + some_days(),
		lambda: 'FREQ=MONTHLY;BYDAY=' + numbered_days(5),
		lambda: 'FREQ=MONTHLY;BYMONTHDAY=' + numbers(1, 31, 3),
		lambda: 'FREQ=MONTHLY;BYMONTH=' + numbers(1, 12, 3, False) + ';BYMONTHDAY=' + numbers(1, 28, 2),
		lambda: 'FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13',
		lambda: 'FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=' + numbers(1, 3, 2),
		lambda: 'FREQ=YEARLY',
		lambda: 'FREQ=YEARLY;BYMONTH=' + numbers(1, 12, 3, False),
		lambda: 'FREQ=YEARLY;BYMONTH=' + numbers(1, 12, 2, False) + ';BYDAY=' + numbered_days(4),
		lambda: 'FREQ=YEARLY;BYMONTH=' + numbers(1, 12, 2, False) + ';BYMONTHDAY=' + numbers(1, 28, 2),
		lambda: 'FREQ=YEARLY;BYMONTHDAY=' + numbers(1, 28, 2),
		lambda: 'FREQ=YEARLY;BYDAY=' + numbered_days(50),
		lambda: 'FREQ=YEARLY;BYYEARDAY=' + numbers(1, 365, 3),
		lambda: 'FREQ=YEARLY;BYWEEKNO=' + numbers(1, 52, 2) + ';BYDAY=' + some_days(),
		lambda: 'FREQ=YEARLY;BYMONTH=' + numbers(1, 12, 2, False) + ';BYDAY=MO,TU,WE,TH,FR;BYSETPOS=' + numbers(1, 2, 2),
	])()
	return text + random.choice(['', '', ';INTERVAL=2', ';INTERVAL=3', ';INTERVAL=%d' % random.randint(4, 13)])


# A time that the rule gives, for of others nobody says what they mean.
def first_of(text, moment):
	found = dateutil.rrule.rrulestr(text, dtstart=moment).between(moment, moment + datetime.timedelta(days=2000), inc=True, count=1)
	return found[0] if found else None


def stamp(moment, is_date):
	return moment.strftime('%Y%m%d' if is_date else '%Y%m%dT%H%M%S')


def at(name, moments, zone, is_date=False):
	if is_date:
		name += ';VALUE=DATE'
	elif zone is not None:
		name += ';TZID=' + zone
	return name + ':' + ','.join(stamp(moment, is_date) + ('Z' if zone is None and not is_date else '') for moment in moments)


# A line per change of the clock from 2018 to 2030, each a component.
def timezone(name):
	zone = ZoneInfo(name)

	def offset(moment):
		return moment.astimezone(zone).utcoffset()

	def written(delta):
		minutes = int(delta.total_seconds()) // 60
		return '%s%02d%02d' % ('-' if minutes < 0 else '+', abs(minutes) // 60, abs(minutes) % 60)

	def observance(moment, before, after, kind):
		return ['BEGIN:' + kind, 'DTSTART:' + stamp((moment + before).replace(tzinfo=None), False), 'TZOFFSETFROM:' + written(before),
			'TZOFFSETTO:' + written(after), 'END:' + kind]

	moment = datetime.datetime(2018, 1, 1, tzinfo=utc)
	found = ['BEGIN:VTIMEZONE', 'TZID:' + name] + observance(moment, offset(moment), offset(moment), 'STANDARD')
	while moment.year < 2030:
		later = moment + datetime.timedelta(minutes=30)
		if offset(later) != offset(moment):
			found += observance(later, offset(moment), offset(later), 'DAYLIGHT' if later.astimezone(zone).dst() else 'STANDARD')
		moment = later
	return found + ['END:VTIMEZONE']


def event(number):
	lines = ['BEGIN:VEVENT', 'UID:e%d' % number, 'DTSTAMP:20260101T000000Z']
	is_date = random.random() < 0.2
	zone = None if is_date else random.choice(zones)
	start = datetime.datetime(random.choice([2021, 2024, 2025, 2025, 2026]), random.randint(1, 12), random.randint(1, 28),
		random.randint(7, 19), random.choice([0, 15, 30]))
	if is_date:
		start = start.replace(hour=0, minute=0)
	text = rule() if random.random() < 0.85 else None
	if text is not None:
		first = first_of(text, start)
		if first is None:
			text = None
		else:
			start = first
	length = datetime.timedelta(days=random.choice([1, 1, 3])) if is_date else datetime.timedelta(minutes=random.choice([15, 30, 90]))
	lines.append(at('DTSTART', [start], zone, is_date))
	if random.random() < 0.8:
		lines.append(at('DTEND', [start + length], zone, is_date))
	else:
		lines.append('DURATION:' + ('P%dD' % length.days if is_date else 'PT%dM' % (length.seconds // 60)))
	if text is None:
		return lines + ['END:VEVENT']

	end = random.random()
	is_endless = end >= 0.5
	if end < 0.25:
		lines.append('RRULE:%s;COUNT=%d' % (text, random.choice([1, 4, 30])))
	elif end < 0.5:
		last = start + datetime.timedelta(days=random.randint(20, 700))
		lines.append('RRULE:%s;UNTIL=%s' % (text, stamp(last, is_date) + ('' if is_date else 'Z')))
	else:
		lines.append('RRULE:' + text)
	given = dateutil.rrule.rrulestr(lines[-1][6:].split(';UNTIL')[0], dtstart=start).between(
		datetime.datetime(2025, 10, 1), datetime.datetime(2027, 3, 1), inc=True)
	if random.random() < 0.3:
		random.shuffle(given)
		if len(given) > 2 and random.random() < 0.5:
			lines.append(at('EXDATE', sorted(given[:2]), zone, is_date))
			given = given[2:]
		if random.random() < 0.3:
			lines.append(at('RDATE', [datetime.datetime(2026, random.randint(1, 12), random.randint(1, 28), start.hour, 45 if not is_date else 0)], zone, is_date))
		if given and is_endless and random.random() < 0.5:
			lines += override(number, given[0], zone, is_date)
	return lines + ['END:VEVENT']


# One occurrence that is elsewhere.
def override(number, moment, zone, is_date):
	moved = moment + (datetime.timedelta(days=random.choice([1, 2])) if is_date else datetime.timedelta(minutes=random.choice([-60, 5, 1500])))
	length = datetime.timedelta(days=1) if is_date else datetime.timedelta(minutes=45)
	return ['END:VEVENT', 'BEGIN:VEVENT', 'UID:e%d' % number, 'DTSTAMP:20260101T000000Z', at('RECURRENCE-ID', [moment], zone, is_date),
		at('DTSTART', [moved], zone, is_date), at('DTEND', [moved + length], zone, is_date)]


lines = ['BEGIN:VCALENDAR', 'VERSION:2.0', 'PRODID:-//test//']
for zone in zones:
	if zone is not None:
		lines += timezone(zone)
for number in range(int(sys.argv[1])):
	lines += event(number)
lines.append('END:VCALENDAR')
text = '\r\n'.join(lines) + '\r\n'
with open(sys.argv[2], 'w', newline='') as out:
	out.write(text)
if len(sys.argv) < 4:
	sys.exit()


def seconds(moment):
	if not isinstance(moment, datetime.datetime):
		moment = datetime.datetime(moment.year, moment.month, moment.day)
	if moment.tzinfo is None:
		moment = moment.replace(tzinfo=owner)
	return int(moment.timestamp())


first = seconds(datetime.datetime(2026, 1, 1, tzinfo=utc))
last = seconds(datetime.datetime(2027, 1, 1, tzinfo=utc))
found = set()
for event in recurring_ical_events.of(icalendar.Calendar.from_ical(text)).between(
	datetime.datetime(2025, 12, 25), datetime.datetime(2027, 1, 7)):
	span = seconds(event['DTSTART'].dt), seconds(event['DTEND'].dt)
	if span[0] < last and span[1] > first:
		found.add('%s %d %d' % (event['UID'], *span))
with open(sys.argv[3], 'w') as out:
	out.write('\n'.join(sorted(found)) + '\n')
