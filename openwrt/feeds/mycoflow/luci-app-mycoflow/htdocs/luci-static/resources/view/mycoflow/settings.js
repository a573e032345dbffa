'use strict';
'require view';
'require form';

/* The options of /etc/config/mycoflow. What is left empty has the daemon's default, which is shown. */

const PERSONAS = [ 'voip', 'gaming', 'video', 'streaming', 'interactive', 'web', 'bulk', 'torrent', 'system', 'unknown' ];
const RATE = 'range(100,10000000)';

/** An option in a tab, or in the section itself where `tab` is null. */
function add(section, tab, type, name, title, description) {
	return tab === null
		? section.option(type, name, title, description)
		: section.taboption(tab, type, name, title, description);
}

/** An option that is text or a number, with its default shown while it is empty. */
function value(section, tab, name, title, description, datatype, whenEmpty) {
	const option = add(section, tab, form.Value, name, title, description);
	option.datatype = datatype;
	option.placeholder = whenEmpty;
	option.rmempty = true;
	return option;
}

function flag(section, tab, name, title, description, whenEmpty) {
	const option = add(section, tab, form.Flag, name, title, description);
	option.default = whenEmpty;
	option.rmempty = false;
	return option;
}

/** The first choice is the default. */
function choice(section, tab, name, title, description, choices) {
	const option = add(section, tab, form.ListValue, name, title, description);
	for (const [ word, text ] of choices)
		option.value(word, text);
	option.default = choices[0][0];
	return option;
}

function isDuration(leastMs, mostMs) {
	return function(sectionId, text) {
		if (text === '')
			return true;
		const [ , digits, unit ] = /^([0-9]{1,6})(ms|s)$/.exec(text) || [];
		const ms = digits * (unit === 's' ? 1000 : 1);
		return ms >= leastMs && ms <= mostMs
			? true
			: _('a time such as 10ms or 1s, from %d ms to %d ms').format(leastMs, mostMs);
	};
}

function lineSection(map) {
	const s = map.section(form.NamedSection, 'flow', 'flow', _('Line'));
	s.addremove = false;
	s.tab('general', _('General'));
	s.tab('loop', _('Loop'));
	s.tab('measuring', _('Measuring'));

	flag(s, 'general', 'enabled', _('Steer the line'), _('sqm has to leave it alone: while one of its queues shapes the same device, MycoFlow does not start.'), '0');
	choice(s, 'general', 'mode', _('Mode'), null, [
		[ 'active', _('decide and act') ],
		[ 'shadow', _('decide, and touch nothing') ],
		[ 'dummy', _('show the loop on a simulated line') ]
	]);
	value(s, 'general', 'egress_iface', _('Device'), _('The line’s device, such as eth1 or pppoe-wan.'), 'maxlength(15)', _('that of the default route'));
	flag(s, 'general', 'ingress', _('Shape downloads too'), null, '1');
	flag(s, 'general', 'nat', _('Tell the hosts behind NAT apart'), null, '1');
	choice(s, 'general', 'log_level', _('Log'), _('The least a message must matter to be written.'),
		[ 'info', 'warn', 'error', 'debug', 'trace' ].map((word) => [ word, word ]));

	value(s, 'loop', 'delay_set_point', _('Delay to steer to'), _('Above the delay of the empty line.'), null, '10ms').validate = isDuration(1, 1000);
	value(s, 'loop', 'sample_hz', _('Ticks a second'), null, 'range(1,20)', '10');
	value(s, 'loop', 'max_cpu', _('Processor, percent'), _('Of one processor; above it the loop slows down, then freezes.'), 'range(1,100)', '40');
	value(s, 'loop', 'k', _('Votes for bloat (k)'), _('Bloat is when k of the last m ticks say so.'), 'range(1,64)', '3');
	value(s, 'loop', 'm', _('Ticks that vote (m)'), null, 'range(1,64)', '6');
	value(s, 'loop', 'rho', _('Changes a second (rho)'), _('Of one direction, at most.'), 'range(1,20)', '4');
	value(s, 'loop', 'tau', _('Pause between changes (tau)'), _('Of one direction, at least.'), null, '200ms').validate = isDuration(50, 60000);
	value(s, 'loop', 'step_up', _('Largest raise, percent'), null, 'range(1,100)', '25');
	value(s, 'loop', 'step_down', _('Largest cut, percent'), null, 'range(1,95)', '80');

	const reflectors = s.taboption('measuring', form.DynamicList, 'reflectors', _('Reflectors'), _('Addresses that answer pings, best first. Empty: a list of well-known ones.'));
	reflectors.datatype = 'ipaddr';
	value(s, 'measuring', 'metrics_file', _('File of figures'), _('Gets the loop’s figures once a second.'), null, _('none'));
}

function bandwidthSection(map, name, title, defaults) {
	const s = map.section(form.NamedSection, name, 'bandwidth', title);
	s.addremove = false;
	const rate = (option, text, description, whenEmpty) =>
		value(s, null, option, text, description, RATE, whenEmpty);
	const least = rate('min', _('At worst, kbit/s'), _('Never below this rate.'), defaults[0]);
	const base = rate('base', _('To begin with, kbit/s'), _('The rate to start at and to return to when idle.'), defaults[1]);
	const most = rate('max', _('At best, kbit/s'), _('What the line carries on its best day; never above.'), defaults[2]);
	base.validate = (sectionId, text) => {
		const number = (option) => Number(option.formvalue(sectionId) || option.placeholder);
		const middle = Number(text || defaults[1]);
		return number(least) <= middle && middle <= number(most)
			? true
			: _('from %d, the worst, to %d, the best').format(number(least), number(most));
	};
}

function personaSections(map) {
	const s = map.section(form.NamedSection, 'persona', 'persona', _('What flows are for'));
	s.addremove = false;
	flag(s, null, 'enabled', _('Recognise flows'), _('And sort them into CAKE’s tins.'), '1');
	choice(s, null, 'tap', _('First packets'), _('Where they are read.'), [
		[ 'auto', _('the first way that works') ],
		[ 'nflog', _('through nftables (nflog)') ],
		[ 'pcap', _('through a filter (pcap)') ],
		[ 'off', _('not at all') ]
	]);
	value(s, null, 'catalog_dir', _('Own catalogue'), _('Folder of YAML files that add to the catalogue.'), null, '/etc/mycoflow/catalog.d');

	const treatment = map.section(form.NamedSection, 'treatment', 'treatment', _('What is done for them'), _('Boosted flows go one tin higher, throttled ones into the Bulk tin.'));
	treatment.addremove = false;
	for (const persona of PERSONAS) {
		const option = treatment.option(form.ListValue, persona, persona);
		option.value('', _('normal'));
		option.value('boost', _('boost'));
		option.value('throttle', _('throttle'));
		option.rmempty = true;
	}
}

function linkLayerSection(map) {
	const s = map.section(form.NamedSection, 'link_layer', 'link_layer', _('Link layer'), _('What the line adds to each packet; see tc-cake(8).'));
	s.addremove = false;
	choice(s, null, 'framing', _('Framing'), null, [
		[ 'none', _('none: fibre, cable, Ethernet') ],
		[ 'ptm', _('ptm: VDSL') ],
		[ 'atm', _('atm: ADSL') ]
	]);
	value(s, null, 'overhead', _('Bytes a packet'), null, 'range(-64,256)', '0');
	value(s, null, 'mpu', _('Bytes of the smallest packet'), null, 'range(0,256)', '0');
}

return view.extend({
	render: function() {
		const map = new form.Map('mycoflow', _('MycoFlow'), _('Keeps the line fast: finds out, all the time, what it carries, and tells CAKE. Set what the line carries at best and at worst, and switch it on.'));
		lineSection(map);
		bandwidthSection(map, 'download', _('Download'), [ '5000', '20000', '80000' ]);
		bandwidthSection(map, 'upload', _('Upload'), [ '5000', '20000', '35000' ]);
		personaSections(map);
		linkLayerSection(map);
		return map.render();
	}
});
