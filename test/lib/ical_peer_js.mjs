// ical_peer_js.mjs: the occurrences of a calendar in 2026 as ical.js reads
// them, a line each: "UID start end" in seconds since 1970.
//
// One that does not return in a second is "UID endless"; a second of the
// processor, however busy the machine is.
//
// usage: TZ=OWNER'S ZONE node ical_peer_js.mjs NODE_MODULES CALENDAR OCCURRENCES
import { readFileSync, writeFileSync } from 'node:fs';
import { Script } from 'node:vm';

const [modules, file, out] = process.argv.slice(2);
const ICAL = (await import(`${modules}/ical.js/dist/ical.js`)).default;
const calendar = new ICAL.Component(ICAL.parse(readFileSync(file, 'utf8')));
const first = Date.UTC(2026, 0, 1) / 1000;
const last = Date.UTC(2027, 0, 1) / 1000;
const masters = new Map();
const others = new Map();
const found = new Set();

for (const zone of calendar.getAllSubcomponents('vtimezone'))
	ICAL.TimezoneService.register(new ICAL.Timezone({ component: zone, tzid: zone.getFirstPropertyValue('tzid') }));
for (const event of calendar.getAllSubcomponents('vevent'))
{
	const uid = event.getFirstPropertyValue('uid');

	if (!event.getFirstProperty('recurrence-id'))
		masters.set(uid, event);
	else
		others.set(uid, [...others.get(uid) ?? [], event]);
}

function seconds(time)
{
	return time.isDate ? new Date(time.year, time.month - 1, time.day).getTime() / 1000 : time.toUnixTime();
}

function occurrences(uid, master)
{
	const event = new ICAL.Event(master, { exceptions: others.get(uid) ?? [], strictExceptions: true });

	function take(start, end)
	{
		if (seconds(start) < last && seconds(end) > first)
			found.add(`${uid} ${seconds(start)} ${seconds(end)}`);
	}
	if (!event.isRecurring())
		return take(event.startDate, event.endDate);
	const iterator = event.iterator();
	for (let next = iterator.next(); next && seconds(next) < last + 7 * 86400; next = iterator.next())
	{
		const occurrence = event.getOccurrenceDetails(next);

		take(occurrence.startDate, occurrence.endDate);
	}
}

const guarded = new Script('occurrences(uid, master)');
for (const [uid, master] of masters)
{
	Object.assign(globalThis, { occurrences, uid, master });
	for (let limit = 1000, more = true; more; limit *= 4)
	{
		const before = process.cpuUsage();

		more = false;
		try
		{
			guarded.runInThisContext({ timeout: limit });
		}
		catch (error)
		{
			const { user, system } = process.cpuUsage(before);
			const isLate = error.code === 'ERR_SCRIPT_EXECUTION_TIMEOUT';

			more = isLate && user + system < 800000;
			if (!more)
				found.add(`${uid} ${isLate ? 'endless' : error.message}`);
		}
	}
}
writeFileSync(out, [...found].sort().join('\n') + '\n');
