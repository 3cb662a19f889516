// ical_read_ical_js.mjs: calendars as ical.js reads them.
//
// usage: node ical_read_ical_js.mjs NODE_MODULES FILE..
// Prints what ical_read_libical.c prints.
import { readFileSync } from 'node:fs';

const [modules, ...files] = process.argv.slice(2);
const ICAL = (await import(`${modules}/ical.js/dist/ical.js`)).default;

function seconds(event, name)
{
	const property = event.getFirstProperty(name);
	const time = property.getFirstValue();
	const tzid = property.getParameter('tzid');

	if (tzid && time.zone.tzid !== tzid)
		return -2;
	return time.isDate ? Date.UTC(time.year, time.month - 1, time.day) / 1000 : time.toUnixTime();
}

for (const file of files)
{
	const calendar = new ICAL.Component(ICAL.parse(readFileSync(file, 'utf8')));

	ICAL.TimezoneService.reset();
	for (const zone of calendar.getAllSubcomponents('vtimezone'))
		ICAL.TimezoneService.register(new ICAL.Timezone({ component: zone, tzid: zone.getFirstPropertyValue('tzid') }));
	for (const event of calendar.getAllSubcomponents('vevent'))
		console.log([event.getFirstPropertyValue('uid'), seconds(event, 'dtstart'), seconds(event, 'dtend'),
			Buffer.from(event.getFirstPropertyValue('summary') ?? '').toString('hex')].join('\t'));
}
