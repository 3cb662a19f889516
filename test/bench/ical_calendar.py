#!/usr/bin/python3
# ical_calendar.py: a calendar as people have it, at random.
#
# usage: ical_calendar.py EVENTS CALENDAR
import datetime
import random
import sys

random.seed(7)
days = ['MO', 'TU', 'WE', 'TH', 'FR', 'SA', 'SU']
zones = ['Europe/Berlin', 'America/New_York', 'Asia/Kolkata', 'Australia/Sydney', None]


# A rule that the start itself matches: of others nobody says what they mean.
def rule(start, is_date):
	end = random.choice(['', ';COUNT=%d' % random.choice([1, 4, 30]), ';UNTIL=20260915' if is_date and start.year < 2026 else ''])
	interval = random.choice(['', ';INTERVAL=2', ';INTERVAL=3'])
	weekday = days[start.weekday()]
	return random.choice([
		'FREQ=DAILY',
		'FREQ=WEEKLY;BYDAY=' + ','.join(sorted({weekday, random.choice(days)})),
		'FREQ=WEEKLY',
		'FREQ=MONTHLY',
		'FREQ=MONTHLY;BYDAY=%d%s' % ((start.day - 1) // 7 + 1, weekday),
		'FREQ=MONTHLY;BYMONTHDAY=%d,-1' % start.day,
		'FREQ=YEARLY',
		'FREQ=YEARLY;BYMONTH=%d;BYDAY=%d%s' % (start.month, (start.day - 1) // 7 + 1, weekday),
	]) + interval + end


def at(name, moment, zone):
	if zone is None:
		return '%s:%s' % (name, moment.strftime('%Y%m%dT%H%M%SZ'))
	return '%s;TZID=%s:%s' % (name, zone, moment.strftime('%Y%m%dT%H%M%S'))


lines = ['BEGIN:VCALENDAR', 'VERSION:2.0', 'PRODID:-//test//']
for number in range(int(sys.argv[1])):
	is_date = random.random() < 0.2
	start = datetime.datetime(random.choice([2021, 2025, 2026]), random.randint(1, 12), random.randint(1, 28),
		random.randint(7, 19), random.choice([0, 15, 30]))
	zone = random.choice(zones)
	minutes = random.choice([15, 30, 90])
	lines += ['BEGIN:VEVENT', 'UID:e%d' % number, 'DTSTAMP:20260101T000000Z']
	if is_date:
		lines += ['DTSTART;VALUE=DATE:' + start.strftime('%Y%m%d'),
			'DTEND;VALUE=DATE:' + (start + datetime.timedelta(days=random.choice([1, 3]))).strftime('%Y%m%d')]
	else:
		lines += [at('DTSTART', start, zone), at('DTEND', start + datetime.timedelta(minutes=minutes), zone)]
	if random.random() < 0.8:
		text = rule(start, is_date)
		lines.append('RRULE:' + text)
		if not is_date and text.startswith('FREQ=WEEKLY'):
			later = start + datetime.timedelta(days=7 * 6)
			if random.random() < 0.3:
				lines.append(at('EXDATE', later, zone))
			elif random.random() < 0.3 and 'COUNT' not in text and 'INTERVAL=3' not in text and 'BYDAY' not in text:
				moved = later + datetime.timedelta(hours=1)
				lines += ['END:VEVENT', 'BEGIN:VEVENT', 'UID:e%d' % number, 'DTSTAMP:20260101T000000Z',
					at('RECURRENCE-ID', later, zone), at('DTSTART', moved, zone),
					at('DTEND', moved + datetime.timedelta(minutes=45), zone)]
	lines.append('END:VEVENT')
lines.append('END:VCALENDAR')
text = '\r\n'.join(lines) + '\r\n'
with open(sys.argv[2], 'w', newline='') as out:
	out.write(text)
