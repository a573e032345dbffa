'use strict';
'require view';
'require rpc';
'require poll';
'require dom';

/*
 * What the flow plane does, live: delay and rates of the last minutes, CAKE's tins, flows with what
 * they are for, decisions with their causes.
 *
 * Host names come from the network. LuCI takes a bare string for HTML, and one in an array for text:
 * all text here stands in arrays.
 */

const POLL_SECONDS = 2;
const FLOWS_MAX = 40;
const DECISIONS_MAX = 30;
const CHART = { height: 160, left: 66, right: 10, top: 10, bottom: 22 };
/** A chart over the whole page is as high as one over half of it. */
const CHART_WIDTHS = { whole: 1010, half: 480 };

const COLOURS = {
	download: '#3b82f6',
	upload: '#f59e0b',
	delay: '#8b5cf6',
	limit: '#94a3b8'
};

const PERSONA_COLOURS = {
	voip: '#0284c7',
	gaming: '#7c3aed',
	video: '#be185d',
	streaming: '#dc2626',
	interactive: '#0f766e',
	web: '#2563eb',
	bulk: '#57534e',
	torrent: '#92400e',
	system: '#475569',
	unknown: '#6b7280'
};

const DECISION_COLOURS = {
	lower: '#dc2626',
	raise: '#15803d',
	settle: '#0f766e',
	freeze: '#b45309',
	thaw: '#0284c7',
	rollback: '#be185d',
	restore: '#4f46e5'
};

const STYLE = `
.myco { --myco-line: rgba(128, 128, 128, .28); --myco-faint: rgba(128, 128, 128, .10); }
.myco-tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(11.5em, 1fr)); gap: .8em; margin: 1em 0; }
.myco-tile, .myco-card { border: 1px solid var(--myco-line); border-radius: 8px; padding: .8em 1em; background: var(--myco-faint); }
.myco-tile b { display: block; font-size: 1.55em; line-height: 1.25; font-variant-numeric: tabular-nums; white-space: nowrap; }
.myco-tile small, .myco-note { opacity: .72; }
.myco-name { font-size: .85em; opacity: .72; letter-spacing: .02em; }
.myco-cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(22em, 1fr)); gap: .8em; margin: .8em 0; }
.myco-card h4 { margin: 0 0 .5em; font-size: 1em; }
.myco-card svg { display: block; width: 100%; height: auto; font-size: 11px; }
.myco-legend { display: flex; flex-wrap: wrap; gap: .2em 1.2em; font-size: .85em; margin-top: .4em; }
.myco-legend i { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin-right: .4em; vertical-align: -1px; }
.myco-badge { display: inline-block; padding: .1em .6em; border-radius: 1em; color: #fff; font-size: .85em; white-space: nowrap; }
.myco-bar { height: 6px; border-radius: 3px; background: var(--myco-line); overflow: hidden; min-width: 2.5em; }
.myco-bar > div { height: 100%; }
.myco table { width: 100%; border-collapse: collapse; }
.myco th { text-align: left; font-weight: 600; font-size: .85em; opacity: .72; }
.myco th, .myco td { padding: .3em .5em .3em 0; border-bottom: 1px solid var(--myco-faint); }
.myco .myco-number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.myco td:first-child { white-space: nowrap; }
.myco-what { overflow-wrap: anywhere; }
.myco-scroll { max-height: 26em; overflow: auto; }
`;

const callStatus = rpc.declare({ object: 'myco', method: 'status', expect: { '': {} } });
const callFlows = rpc.declare({ object: 'myco', method: 'flows', params: [ 'limit' ], expect: { flows: [] } });
const callPolicy = rpc.declare({ object: 'myco.policy', method: 'get', expect: { policy: [] } });

function svg(name, attributes, children) {
	const node = document.createElementNS('http://www.w3.org/2000/svg', name);
	for (const key in attributes)
		node.setAttribute(key, attributes[key]);
	for (const child of children || [])
		node.appendChild(typeof(child) === 'string' ? document.createTextNode(child) : child);
	return node;
}

/** 12345 as "12.3 Mbit/s"; nothing known as a dash. */
function rateText(kbit) {
	if (kbit == null)
		return '–';
	if (kbit < 1000)
		return '%d kbit/s'.format(kbit);
	return (kbit < 100000 ? '%.1f Mbit/s' : '%.0f Mbit/s').format(kbit / 1000);
}

function bytesText(bytes) {
	return bytes == null ? '–' : '%.1mB'.format(bytes);
}

function delayText(ms) {
	return ms == null ? '–' : '%.1f ms'.format(ms);
}

function endpointText({ server, serverPort }) {
	return server.includes(':') ? `[${server}]:${serverPort}` : `${server}:${serverPort}`;
}

function timeText(atMs) {
	return new Date(atMs).toLocaleTimeString([], { hour12: false });
}

/** The least of 1, 2, 5, 10, 20 … that is not below `value`. */
function niceCeiling(value) {
	const power = Math.pow(10, Math.floor(Math.log10(Math.max(value, 1e-9))));
	for (const step of [ 1, 2, 5, 10 ])
		if (step * power >= value)
			return step * power;
	return 10 * power;
}

/**
 * A chart of the last minutes.
 * @param {string} name what it shows, for those who do not see it
 * @param {number} width one of CHART_WIDTHS
 * @param {object[]} points of the history, oldest first
 * @param {object[]} series each {read(point), colour, area, dashed}
 * @param {number} least the axis reaches at least this far
 * @param {function} label of a value of the axis
 */
function chart(name, width, points, series, least, label) {
	const { height, left, right, top, bottom } = CHART;
	const values = points.flatMap((point) => series.map(({ read }) => read(point) || 0));
	const ceiling = niceCeiling(Math.max(least, ...values));
	const first = points.length > 0 ? points[0].atMs : 0;
	const spanMs = Math.max(points.length > 0 ? points[points.length - 1].atMs - first : 0, 1000);
	const x = (atMs) => left + (width - left - right) * (atMs - first) / spanMs;
	const y = (value) => height - bottom - (height - top - bottom) * Math.min(Math.max(value, 0) / ceiling, 1);
	const parts = [];

	for (const share of [ 0, .25, .5, .75, 1 ]) {
		const at = y(ceiling * share);
		parts.push(svg('line', { x1: left, x2: width - right, y1: at, y2: at, stroke: 'currentColor', 'stroke-opacity': share ? .12 : .4 }));
		if (share * 2 % 1 === 0)
			parts.push(svg('text', { x: left - 6, y: at + 4, 'text-anchor': 'end', fill: 'currentColor', 'fill-opacity': .72 }, [ label(ceiling * share) ]));
	}
	parts.push(svg('text', { x: left, y: height - 6, fill: 'currentColor', 'fill-opacity': .72 }, [ _('%d s ago').format(spanMs / 1000) ]));
	parts.push(svg('text', { x: width - right, y: height - 6, 'text-anchor': 'end', fill: 'currentColor', 'fill-opacity': .72 }, [ _('now') ]));

	for (const { read, colour, area, dashed } of series) {
		for (const run of unbroken(points, read)) {
			const line = run.map((point) => `${x(point.atMs).toFixed(1)},${y(read(point)).toFixed(1)}`).join(' L');
			if (area)
				parts.push(svg('path', {
					d: `M${x(run[0].atMs).toFixed(1)},${y(0)} L${line} L${x(run[run.length - 1].atMs).toFixed(1)},${y(0)} Z`,
					fill: colour, 'fill-opacity': .18
				}));
			parts.push(svg('path', {
				d: `M${line}`, fill: 'none', stroke: colour, 'stroke-width': dashed ? 1.5 : 2,
				'stroke-linejoin': 'round', 'stroke-dasharray': dashed ? '5 4' : 'none'
			}));
		}
	}
	return svg('svg', { viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': name }, parts);
}

/** Points with a value, cut where one is missing: what was not measured is not drawn. */
function unbroken(points, read) {
	const runs = [];
	let run = [];
	for (const point of points) {
		if (read(point) != null) {
			run.push(point);
		} else if (run.length > 0) {
			runs.push(run);
			run = [];
		}
	}
	return run.length > 0 ? runs.concat([ run ]) : runs;
}

function legend(entries) {
	return E('div', { 'class': 'myco-legend' }, entries.map(([ colour, text ]) =>
		E('span', {}, [ E('i', { 'style': `background:${colour}` }), text ])));
}

function badge(colour, text) {
	return E('span', { 'class': 'myco-badge', 'style': `background:${colour}` }, [ text ]);
}

function tile(name, value, note) {
	return E('div', { 'class': 'myco-tile' }, [
		E('span', { 'class': 'myco-name' }, [ name ]),
		E('b', {}, [ value ]),
		E('small', {}, [ note ])
	]);
}

function card(title, children) {
	return E('div', { 'class': 'myco-card' }, [ E('h4', {}, [ title ]) ].concat(children));
}

/** @param {Array[]} rows of cells, each a text, a node or {number: text} */
function grid(headings, rows, empty) {
	if (rows.length === 0)
		return E('p', { 'class': 'myco-note' }, [ empty ]);
	const cell = (name, content) => content != null && content.number !== undefined
		? E(name, { 'class': 'myco-number' }, [ content.number ])
		: E(name, {}, [ content ]);
	return E('div', { 'class': 'myco-scroll' }, [
		E('table', {}, [
			E('thead', {}, [ E('tr', {}, headings.map((heading) => cell('th', heading))) ]),
			E('tbody', {}, rows.map((row) => E('tr', {}, row.map((content) => cell('td', content)))))
		])
	]);
}

function stateOf(status) {
	if (status.frozen)
		return badge('#b45309', _('frozen'));
	switch (status.phase) {
	case 'running': return badge('#15803d', _('running'));
	case 'waiting': return badge('#b45309', _('waiting'));
	case 'starting': return badge('#0284c7', _('starting'));
	default: return badge('#6b7280', _('stopped'));
	}
}

function modeText(mode) {
	switch (mode) {
	case 'shadow': return _('shadow: it decides and touches nothing');
	case 'dummy': return _('a simulated line');
	default: return '';
	}
}

function heading(status) {
	const mode = modeText(status.mode);
	return E('p', {}, [
		stateOf(status), ' ',
		status.device != null ? _('on %s').format(status.device) : _('no line found yet'),
		mode !== '' ? ` · ${mode}` : '',
		status.recording ? ` · ${_('recording')}` : ''
	]);
}

function alerts(status) {
	const sentences = status.health != null ? status.health.problems.map(({ message }) => message) : [];
	if (status.problem != null && !sentences.includes(status.problem))
		sentences.unshift(status.problem);
	if (status.phase === 'running' && !status.pingerAlive)
		sentences.push(_('The delay is not measured at present; the rates stay where they are.'));
	return sentences.map((sentence) => E('div', { 'class': 'alert-message warning' }, [ sentence ]));
}

function shaperNote(direction) {
	return direction.shaperKbit == null
		? _('not shaped')
		: _('shaped to %s').format(rateText(direction.shaperKbit));
}

function tiles(status) {
	const last = status.history.length > 0 ? status.history[status.history.length - 1] : {};
	const answering = status.reflectors.filter(({ rttMs }) => rttMs != null).length;
	return E('div', { 'class': 'myco-tiles' }, [
		tile(_('Delay'), delayText(last.rttMs), last.increaseMs == null
			? _('%d reflectors answer').format(answering)
			: _('%s above the empty line').format(delayText(Math.max(last.increaseMs, 0)))),
		tile(_('Download'), rateText(status.download.throughputKbit), shaperNote(status.download)),
		tile(_('Upload'), rateText(status.upload.throughputKbit), shaperNote(status.upload)),
		tile(_('Flows recognised'), String(status.flowCount), _('%d marked').format(status.markedFlowCount)),
		tile(_('The daemon'), status.residentBytes == null ? '–' : '%.0f MB'.format(status.residentBytes / 1e6),
			status.cpuPercent == null ? _('not measured yet') : _('%.1f %% of one processor').format(status.cpuPercent))
	]);
}

function charts({ history }) {
	const rateLabel = (kbit) => (kbit >= 1000 ? '%d Mbit/s'.format(kbit / 1000) : '%d kbit/s'.format(kbit));
	const rates = (title, name, colour) => card(title, [
		chart(title, CHART_WIDTHS.half, history, [
			{ read: (point) => point[`${name}Kbit`], colour, area: true },
			{ read: (point) => point[`${name}ShaperKbit`], colour: COLOURS.limit, dashed: true }
		], 1000, rateLabel),
		legend([ [ colour, _('on the line') ], [ COLOURS.limit, _('what CAKE lets through') ] ])
	]);
	return E('div', {}, [
		card(_('Delay'), [
			chart(_('Delay'), CHART_WIDTHS.whole, history, [
				{ read: (point) => point.rttMs, colour: COLOURS.delay, area: true },
				{ read: (point) => point.increaseMs == null ? null : Math.max(point.increaseMs, 0), colour: COLOURS.limit, dashed: true }
			], 20, (ms) => '%d ms'.format(ms)),
			legend([ [ COLOURS.delay, _('round trip') ], [ COLOURS.limit, _('above the empty line') ] ])
		]),
		E('div', { 'class': 'myco-cards' }, [
			rates(_('Download'), 'download', COLOURS.download),
			rates(_('Upload'), 'upload', COLOURS.upload)
		])
	]);
}

function tinName(tin) {
	switch (tin) {
	case 'bulk': return _('Bulk');
	case 'besteffort': return _('Best effort');
	case 'video': return _('Video');
	case 'voice': return _('Voice');
	default: return tin;
	}
}

function tins(title, { tins, shaperKbit }, colour) {
	const most = Math.max(shaperKbit || 0, ...tins.map(({ rateKbit }) => rateKbit), 1);
	return card(title, [ grid(
		[ _('Tin'), '', { number: _('Rate') }, { number: _('Waiting') }, { number: _('Delay') }, { number: _('Drops') }, { number: _('ECN') } ],
		tins.slice().reverse().map((tin) => [
			tinName(tin.tin),
			E('div', { 'class': 'myco-bar' }, [
				E('div', { 'style': `width:${(100 * tin.rateKbit / most).toFixed(1)}%;background:${colour}` })
			]),
			{ number: rateText(tin.rateKbit) },
			{ number: bytesText(tin.backlogBytes) },
			{ number: delayText(tin.averageDelayUs / 1000) },
			{ number: String(tin.droppedPackets) },
			{ number: String(tin.ecnMarkedPackets) }
		]),
		_('This direction is not shaped.')) ]);
}

function treatmentNote(policy, persona) {
	const found = policy.find((each) => each.persona === persona);
	if (found === undefined || found.treatment === 'normal')
		return '';
	return found.treatment === 'boost' ? ` ${_('boosted')}` : ` ${_('throttled')}`;
}

function flows(list, policy) {
	return card(_('Flows'), [ grid(
		[ _('For'), _('With'), _('From'), { number: _('Down') }, { number: _('Up') }, _('Known by'), { number: _('Sure') } ],
		list.map((flow) => [
			E('span', {}, [
				badge(PERSONA_COLOURS[flow.persona] || PERSONA_COLOURS.unknown, flow.persona),
				` ${flow.service}${treatmentNote(policy, flow.persona)}`
			]),
			E('span', { 'class': 'myco-what' }, [
				flow.hostname != null ? flow.hostname : endpointText(flow.key)
			]),
			flow.key.client,
			{ number: bytesText(flow.downloadBytes) },
			{ number: bytesText(flow.uploadBytes) },
			flow.signals.join(', '),
			{ number: '%d %%'.format(flow.confidence * 100) }
		]),
		_('No flow has been recognised yet.')) ]);
}

function decisions(list) {
	return card(_('Decisions'), [ grid(
		[ _('At'), _('What'), _('Direction'), { number: _('From') }, { number: _('To') }, _('Why'), _('What spoke for it') ],
		list.slice(-DECISIONS_MAX).reverse().map((decision) => [
			timeText(decision.atMs),
			badge(DECISION_COLOURS[decision.kind] || '#6b7280', decision.kind),
			decision.direction != null ? decision.direction : _('both'),
			{ number: rateText(decision.fromKbit) },
			{ number: rateText(decision.toKbit) },
			E('strong', {}, [ decision.cause ]),
			E('span', { 'class': 'myco-note' }, [
				Object.keys(decision.evidence).map((key) => `${key} ${decision.evidence[key]}`).join(' · ')
			])
		]),
		_('Nothing has been decided yet.')) ]);
}

function picture([ status, list, policy ]) {
	// No daemon, or one whose plane is off, which has neither history nor directions.
	if (status.history === undefined)
		return [ E('div', { 'class': 'alert-message notice' }, [
			_('MycoFlow does not run. Switch it on under Settings; “logread -e mycoflow” tells why it does not.')
		]) ].concat(alerts(status));
	return [ heading(status) ].concat(alerts(status), [
		tiles(status),
		charts(status),
		E('div', { 'class': 'myco-cards' }, [
			tins(_('Tins, download'), status.download, COLOURS.download),
			tins(_('Tins, upload'), status.upload, COLOURS.upload)
		]),
		flows(list, policy),
		E('div', { 'style': 'height:.8em' }),
		decisions(status.decisions)
	]);
}

/** Shows fresh answers where the old ones were, each list scrolled as far as before. */
function refresh(body, answers) {
	const lists = () => Array.from(body.querySelectorAll('.myco-scroll'));
	const offsets = lists().map((list) => list.scrollTop);
	dom.content(body, picture(answers));
	lists().forEach((list, index) => { list.scrollTop = offsets[index] || 0; });
}

function ask() {
	return Promise.all([ callStatus(), callFlows(FLOWS_MAX), callPolicy() ]);
}

return view.extend({
	load: ask,

	render: function(answers) {
		const body = E('div', { 'class': 'myco' }, picture(answers));
		poll.add(() => ask().then((fresh) => refresh(body, fresh)), POLL_SECONDS);
		return E('div', {}, [
			E('style', {}, [ STYLE ]),
			E('h2', {}, [ _('MycoFlow') ]),
			body
		]);
	},

	handleSave: null,
	handleSaveApply: null,
	handleReset: null
});
