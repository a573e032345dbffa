// Every bound of the program, in one place, checked against each other below. A queue, table
// or cache elsewhere takes its size from here.

import { assert } from "./assert.ts";

/** Bytes of a mesh packet: below every link's MTU, so that none is ever fragmented. */
export const PACKET_BYTES = 1024;
export const HEADER_BYTES = 48;
/** Poly1305's tag. */
export const TAG_BYTES = 16;
export const PAYLOAD_BYTES = PACKET_BYTES - HEADER_BYTES - TAG_BYTES;

/** Ed25519. */
export const SIGNATURE_BYTES = 64;
export const PUBLIC_KEY_BYTES = 32;

/** The longest encoded slot, signature included; one fits a packet beside its frame's head. */
export const RECORD_BYTES_MAX = 900;
/** What precedes a slot's body: kind, key, stamp, author and a two-byte length. */
export const RECORD_HEAD_BYTES_MAX = 27;
export const SLOT_BODY_BYTES_MAX = RECORD_BYTES_MAX - RECORD_HEAD_BYTES_MAX - SIGNATURE_BYTES;

/** Services one node may run at a time: their claims fit its node slot. */
export const CLAIMS_MAX = 48;
export const ENDPOINTS_MAX = 6;
/** Encoded certificate: version, key, zone, roles, not-after, block, signature. */
export const CERTIFICATE_BYTES_MAX = 128;

/** Services placed on one node that it keeps ready to run; of more, those of the lowest slots. */
export const PLACED_HERE_MAX = 4 * CLAIMS_MAX;

/** What one claim takes in a node slot. */
export const CLAIM_BYTES = 9;
/** A node slot less its certificate, its claims and their field heads: hostname, endpoints, labels, devices. */
export const NODE_FACTS_BYTES_MAX =
  SLOT_BODY_BYTES_MAX - CERTIFICATE_BYTES_MAX - CLAIMS_MAX * CLAIM_BYTES - 8;

/** One text of a service: flake, program, argument, value or path, in UTF-8. */
export const TEXT_BYTES_MAX = 400;
export const ARGS_MAX = 32;
export const ENV_MAX = 32;
export const PORTS_MAX = 16;
export const DEVICES_MAX = 8;
export const LABELS_MAX = 16;
export const LABEL_VALUE_BYTES_MAX = 63;
export const REPLICAS_MAX = 1_000;
/** Secrets one service is handed as credentials. */
export const SECRETS_MAX = 16;
/** Files that fill one service's environment. */
export const ENVIRONMENT_FILES_MAX = 8;
/** Processes and threads one service may ask for. */
export const SERVICE_TASKS_MAX = 32_768;
/** Services of one manifest. */
export const MANIFEST_SERVICES_MAX = 64;
/** Objects and lists inside each other in a JSON or YAML document people write. */
export const DOCUMENT_DEPTH_MAX = 16;
/** The daemon's configuration file. */
export const CONFIGURATION_BYTES_MAX = 64 * 1024;
/** Nodes named in the configuration to join the cluster through. */
export const SEED_PEERS_MAX = 32;

/** Nodes of a cluster, the dead included. */
export const MEMBERS_MAX = 1_100;
/** Slots of all kinds. */
export const SLOTS_MAX = 8_192;
/** Bytes of all slots' records together. */
export const ARENA_BYTES = 2 * 1024 * 1024;

/** Packets waiting for one peer; the oldest makes room. */
export const PEER_QUEUE_PACKETS = 5;
/** Packets waiting for the socket, all peers together; the oldest makes room. */
export const OUTBOX_PACKETS = 256;
/** Packets handed to the sockets and not yet taken by the kernel; more wait in the outbox. */
export const SENDS_IN_FLIGHT_MAX = 64;
/** Datagrams looked at between two ticks, all sockets together; more are dropped unread. */
export const DATAGRAMS_PER_TICK_MAX = 2_048;
/** What is asked of the kernel for datagrams that wait to be read; it may grant less. */
export const UDP_RECEIVE_BUFFER_BYTES = 512 * 1024;
/** Peers a node keeps keys with; the least recently heard makes room. */
export const SESSIONS_MAX = 32;
/** Local writes waiting for the log; more are refused. */
export const PENDING_WRITES_MAX = 256;
/** Half-open handshakes; above half of it a cookie is asked for. */
export const HANDSHAKES_MAX = 16;
/** How long a handshake cookie's secret is the newest; it is accepted for as long again. */
export const COOKIE_ROTATION_MS = 2 * 60_000;
/** Counters below the highest one received that may still come, one bit each. */
export const REPLAY_WINDOW_PACKETS = 2_016;
/** Age and packets after which the initiator makes new keys. */
export const SESSION_REKEY_MS = 10 * 60_000;
export const SESSION_REKEY_PACKETS = 2 ** 32;
/** How much later the responder does, when the initiator has not. */
export const SESSION_REKEY_SLACK_MS = 60_000;
/** Age and packets after which a session neither seals nor opens. */
export const SESSION_EXPIRY_MS = 15 * 60_000;
export const SESSION_PACKETS_MAX = 2 ** 33;
/** Public keys kept imported for verifying; the least recently used makes room. */
export const VERIFY_KEYS_MAX = 64;

/** The log's file; a snapshot takes its place before it grows beyond. */
export const LOG_BYTES_MAX = 8 * 1024 * 1024;
/** Bytes of one group commit; records wait in memory meanwhile. */
export const LOG_BATCH_BYTES = 256 * 1024;
/** One record of the log: a slot, or a local note of this node's own. */
export const LOG_RECORD_BYTES_MAX = 1_024;
/** A log smaller than this is never worth a snapshot. */
export const LOG_SNAPSHOT_BYTES_MIN = 64 * 1024;

/** An API request's body. */
export const API_BODY_BYTES_MAX = 64 * 1024;
/** An API answer the commands read: a full table as JSON, with room to spare. */
export const API_ANSWER_BYTES_MAX = 32 * 1024 * 1024;
/** The token of `myco cluster join`, as text. */
export const JOIN_TOKEN_CHARACTERS_MAX = 2_048;
/** Members a token names, for the new machine to dial. */
export const JOIN_TOKEN_SEEDS_MAX = 8;
/** A file the commands read whole: a key, a manifest. */
export const COMMAND_FILE_BYTES_MAX = 64 * 1024;
/** An API request's line and headers. */
export const API_HEADER_BYTES_MAX = 8 * 1024;
/** Connections to the unix socket; one more is closed at once. */
export const API_CONNECTIONS_MAX = 64;
/** Answers that go on (event streams, followed logs); one more is refused. */
export const API_FOLLOWERS_MAX = 16;
/** Lines of one request for a service's log. */
export const API_LOG_LINES_MAX = 10_000;
/** Addresses and ports of services that say what they are for. */
export const DECLARED_MAX = 4_096;
/** A file of the daemon's own state beside its log. */
export const STATE_FILE_BYTES_MAX = 256 * 1024;
/** Flows of one answer. */
export const API_FLOWS_MAX = 1_000;
/** The flight recorder's ring. */
export const FLIGHT_RECORDER_BYTES = 1024 * 1024;
/** One event in it, as a line of JSON; a longer one is cut to its kind. */
export const FLIGHT_EVENT_BYTES_MAX = 2 * 1024;
/** Recordings kept in the data folder; the oldest makes room. */
export const FLIGHT_FILES_MAX = 5;
/** Events of one kind that are logged or recorded in ten seconds; the rest are counted. */
export const EVENTS_PER_KIND_MAX = 100;
/** Units of systemd that are looked at: three for each service, and those of an earlier life. */
export const UNITS_LISTED_MAX = 8 * CLAIMS_MAX;
/** What is read of one unit file, or of one note of the systemd engine's. */
export const UNIT_FILE_BYTES_MAX = 64 * 1024;
/** Programs that follow a service's journal at a time; each takes memory of its own. */
export const JOURNALS_FOLLOWED_MAX = 4;
/** One service's captured output on disk: two files of this size. */
export const SERVICE_LOG_BYTES = 1024 * 1024;
/** A captured line; a longer one is cut in pieces of this size. */
export const SERVICE_LOG_LINE_BYTES_MAX = 8 * 1024;
/** What is read of one output stream of a service in a second; above it the service waits. */
export const SERVICE_OUTPUT_BYTES_PER_SECOND_MAX = 1024 * 1024;
/** Services whose logs are kept, those that no longer run included; the longest silent makes room. */
export const SERVICE_LOGS_MAX = 2 * CLAIMS_MAX;
/** How far back into a service's log one request for its last lines reaches. */
export const SERVICE_LOG_TAIL_BYTES_MAX = 256 * 1024;
/** What may wait for a reader of an answer that goes on: a log's tail and what follows; a slower reader is cut off. */
export const API_FOLLOWER_BACKLOG_BYTES_MAX = SERVICE_LOG_TAIL_BYTES_MAX + 64 * 1024;
/** Followers of one service's log; one more is refused. */
export const SERVICE_LOG_FOLLOWERS_MAX = 16;

/** A DNS query; a longer one is dropped unread. */
export const DNS_QUERY_BYTES_MAX = 4096;
/** A DNS answer over UDP, whatever the asker allows: below every link's MTU (DNS flag day 2020). */
export const DNS_UDP_ANSWER_BYTES_MAX = 1232;
/** Instances in one DNS answer; a busier service shows a rotating part. */
export const DNS_INSTANCES_MAX = 8;
/** DNS connections over TCP at a time; one more is closed at once. */
export const DNS_TCP_CONNECTIONS_MAX = 16;

/** Rates the line may be shaped to, kbit/s. */
export const RATE_KBIT_MIN = 100;
export const RATE_KBIT_MAX = 10_000_000;
/** Addresses in the list of reflectors. */
export const REFLECTORS_MAX = 32;
/** Baselines the controller keeps, one for each reflector and tin; the longest silent makes room. */
export const PROBE_SLOTS_MAX = 16;
/** Ticks the controller looks back. */
export const FLOW_HISTORY_TICKS = 64;
/** Resident bytes of the daemon and its children above which the controller freezes. */
export const FLOW_RESIDENT_BYTES_MAX = 128 * 1024 * 1024;
/** Samples that k-of-m remembers. */
export const VOTES_MAX = 64;

/** What is read of one child of the flow plane in a second; above it the child waits. */
export const CHILD_OUTPUT_BYTES_PER_SECOND_MAX = 4 * 1024 * 1024;
/** What is read of a polled child at a time, and how often at one poll. */
export const CHILD_POLL_BYTES = 64 * 1024;
export const CHILD_POLL_READS_MAX = 4;
/** What is read of a file of the kernel's at a time. */
export const SYSTEM_READ_BYTES = 64 * 1024;
/** Pipes of polled children, two each, those of children that are about to end included; beyond that a child is not polled. */
export const PIPES_MAX = 16;
/** What one write to a polled child may have: the kernel takes it whole or not at all (PIPE_BUF, pipe(7)). */
export const PIPE_WRITE_BYTES_MAX = 4_096;
/** What may wait to be read by one child; more is dropped. */
export const CHILD_INPUT_BYTES_MAX = 256 * 1024;
/** What is kept of either output of a command that is run to its end. */
export const RUN_OUTPUT_BYTES_MAX = 1024 * 1024;

/** Requests waiting for the one tc process; one more is refused. */
export const TC_REQUESTS_MAX = 16;
/** One answer of tc: all qdiscs of a machine with many queues. */
export const TC_LINE_BYTES_MAX = 512 * 1024;
/** How long tc may take for an answer before it is started anew. */
export const TC_ANSWER_MS_MAX = 3_000;
/** What is kept of what tc says against a request. */
export const TC_MESSAGE_CHARACTERS_MAX = 400;
/** Qdiscs of one answer, and tins of one CAKE: more is not believed. */
export const QDISCS_MAX = 1_024;
export const TINS_MAX = 8;
/** Reflectors probed at a time. */
export const REFLECTORS_ACTIVE = 4;
/** How long a probe is waited for: several seconds of queue would be a dead line to its users. */
export const PROBE_TIMEOUT_MS = 2_000;
/** Answers and losses waiting for the loop; more are dropped. */
export const PROBES_WAITING_MAX = 512;
/** Answers that lay unread for longer were held up here (a suspend, a stall), not on the line. */
export const PROBE_STALE_MS = 3_000;
/** A reflector silent for so long while another answers makes room for the next of the list. */
export const REFLECTOR_SILENT_MS = 10_000;
/** Between two changes of the reflectors: each starts the pinger anew. */
export const REFLECTOR_ROTATION_MS_MIN = 5_000;
/** A line of the pinger. */
export const PINGER_LINE_BYTES_MAX = 512;
/** Connections kept of the kernel's table; a new one takes the place of one that is idle, or is left out. */
export const CONNTRACK_FLOWS_MAX = 2_048;
/** A connection without a byte for so long may be dropped for a new one. */
export const CONNTRACK_IDLE_MS = 30_000;
/** Between two readings of the kernel's table, and what is read of it in one tick. */
export const CONNTRACK_PASS_MS = 5_000;
export const CONNTRACK_TICK_BYTES_MAX = 64 * 1024;
/** One row of it; a longer one is not believed. */
export const CONNTRACK_ROW_CHARACTERS_MAX = 1_024;
/** Addresses of connections kept as text; all are forgotten when it is full. */
export const ADDRESS_TEXTS_MAX = 2_048;
/** The kernel's routes as text; further ones are not looked at. */
export const ROUTES_BYTES_MAX = 256 * 1024;
/** Waits before a child that ended is started again: the first, the longest, and the life that ends the doubling. */
export const CHILD_RESTART_MS_MIN = 200;
export const CHILD_RESTART_MS_MAX = 30_000;
export const CHILD_STEADY_MS = 20_000;

/** Flows that are named to nftables at a time; the longest named makes room. */
export const MARKED_FLOWS_MAX = 4_096;
/** How long a flow is named there: its connection keeps the mark by itself. */
export const MARKED_FLOW_MS = 5 * 60_000;
/** When the kernel forgets it at the latest, should nobody tell it to. */
export const MARKED_FLOW_TIMEOUT_SECONDS = 3_600;
/** Changes in one call of nft, and the time between two. */
export const MARK_CHANGES_PER_BATCH = 512;
export const MARK_BATCH_EVERY_MS = 1_000;
/** How often it is looked whether the table still stands. */
export const MARK_CHECK_EVERY_MS = 30_000;
/** What the tap gets: packets of a flow each way, a second, at once, and bytes of each. */
export const TAP_PACKETS_EACH_WAY = 24;
/** Of a flow that is older than the table: for so long all, till the tap listens, then so many in the mean. */
export const TAP_OLDER_FLOWS_MS = 10_000;
export const TAP_PACKETS_OF_OLDER_FLOW = 64;
export const TAP_PACKETS_A_SECOND = 400;
export const TAP_PACKETS_BURST = 400;
export const TAP_SNAP_BYTES = 1_600;
/** One line of tcpdump's complaints. */
export const TAP_LINE_BYTES_MAX = 512;
/** Flows that the status tells of; the longest silent makes room. */
export const RECOGNISED_FLOWS_MAX = 2_048;

/** The note of what was found on the interface. */
export const FOUND_BYTES_MAX = 16 * 1024;
/** How often the flow plane looks at what it uses of the machine. */
export const FLOW_USAGE_EVERY_MS = 2_000;
/** How often it is looked whether downloads are still led to their shaper. */
export const FILTER_CHECK_EVERY_MS = 30_000;
/** One line of a recording: a sample with all the answers that may wait. */
export const RECORDING_LINE_BYTES_MAX = 64 * 1024;
/** Inputs of the loop that come while it is at another; the oldest makes room. */
export const FLOW_INPUTS_WAITING_MAX = 64;
/** Decisions that the flow plane's status shows. */
export const DECISIONS_KEPT = 64;
/** Seconds that its charts reach back. */
export const FLOW_HISTORY_SECONDS = 120;
/** How long one command of setting up or tidying up may take. */
export const SET_UP_COMMAND_MS_MAX = 30_000;

/** One file of the catalogue that a user adds. */
export const CATALOG_FILE_BYTES_MAX = 256 * 1024;
/** Files of the catalogue's folder that are read; the last of the sorted ones are left out. */
export const CATALOG_FILES_MAX = 32;
/** Names, ports or networks of one entry of the catalogue. */
export const CATALOG_ITEMS_MAX = 4_096;
/** Rules of the user's own; one more is refused. */
export const PERSONA_RULES_MAX = 256;
/** Devices whose persona is kept; the longest silent makes room. */
export const PERSONA_DEVICES_MAX = 512;

/** A ubus message, either way: ubusd ends the connection of whoever sends a longer one. */
export const UBUS_MESSAGE_BYTES_MAX = 1024 * 1024;
/** Tables and lists inside each other in one, and its fields. */
export const UBUS_DEPTH_MAX = 16;
export const UBUS_FIELDS_MAX = 16_384;
/** What may wait for ubusd to read: above the first notifications are dropped, above the second the connection. */
export const UBUS_NOTIFY_BACKLOG_BYTES_MAX = 64 * 1024;
export const UBUS_BACKLOG_BYTES_MAX = 1024 * 1024;
/** Requests of the daemon's own without an answer, those that wait for a connection included; one more is refused. */
export const UBUS_REQUESTS_MAX = 32;
/** How long such a request, and ubusd's greeting, may take: who is asked may end without a word. */
export const UBUS_REQUEST_MS_MAX = 3_000;
/** Calls the daemon answers a second and at once, of one client and of all: each `ubus call` is a new client. */
export const UBUS_CALLS_A_SECOND = 20;
export const UBUS_CALLS_BURST = 40;
export const UBUS_ALL_CALLS_A_SECOND = 50;
export const UBUS_ALL_CALLS_BURST = 100;
/** Clients whose calls are counted; the one longest silent makes room. */
export const UBUS_CLIENTS_MAX = 64;
/** Calls whose answers take time, such as a reload; one more is refused. */
export const UBUS_ANSWERS_WAITING_MAX = 4;
/** Flows of one answer over ubus: all of them fit one message many times. */
export const UBUS_FLOWS_MAX = 200;
/** How long `uci export` may take. */
export const UCI_EXPORT_MS_MAX = 3_000;

/** One packet of a capture: tcpdump's largest (pcap-savefile(5)). */
export const CAPTURE_PACKET_BYTES_MAX = 256 * 1024;
/** Interfaces of one section of a pcapng file. */
export const CAPTURE_INTERFACES_MAX = 256;
/** Flows the live tap watches; the one longest silent makes room. */
export const TAP_FLOWS_MAX = 4_096;
/** The same where a capture is read: as many as fit the heap that `myco` gives itself. */
export const CLASSIFY_FLOWS_MAX = 4_096;
/** Names learned from DNS, two entries an address; the one used least recently makes room. */
export const TAP_NAMES_MAX = 4_096;
/** First bytes of a direction that are put in order: a ClientHello with post-quantum keys, a certificate. */
export const STREAM_BYTES_MAX = 8 * 1024;
/** Directions whose first bytes wait for their order at a time; the one that waits longest makes room. */
export const TAP_STREAMS_MAX = 64;
/** A flow of the live tap that is silent for so long ends. */
export const TAP_IDLE_MS = 5 * 60_000;
/** Payloads of a direction that are tried as the beginning of TLS, HTTP or QUIC. */
export const TAP_UNDECIDED_PAYLOADS_MAX = 12;
/** QUIC Initial packets of a flow that are opened. */
export const QUIC_INITIALS_PER_FLOW_MAX = 12;
/** Records of a DNS message that are read, and addresses learned from it; the rest is passed over. */
export const DNS_RECORDS_MAX = 128;
export const DNS_ADDRESSES_MAX = 32;

/** Builds that run at a time; the others wait in the order they came. */
export const BUILDS_AT_ONCE = 1;
/** Builds that run or wait; one more is refused. */
export const BUILDS_WAITING_MAX = PLACED_HERE_MAX;
/** Flakes being resolved for deployers at a time, and how long one may take; one more is refused. */
export const FLAKE_LOCKS_AT_ONCE = 2;
export const FLAKE_LOCK_MS_MAX = 60_000;
/** One line of nix's log; a longer one is passed over. */
export const BUILD_LINE_BYTES_MAX = 8 * 1024;
/** Activities of one build that are followed; further ones are not shown. */
export const BUILD_ACTIVITIES_MAX = 64;
/** Last lines of a failed build that are kept, and what is told of them. */
export const BUILD_LAST_LINES = 10;
export const BUILD_MESSAGE_CHARACTERS_MAX = 800;
/** Folders whose git repositories may belong to another user; the oldest makes room. */
export const FOREIGN_REPOSITORIES_MAX = 64;
/** Links to what is kept from the collector that are looked at. */
export const ROOT_LINKS_MAX = 1_024;

/** One file of the audit log, and how many there are; the oldest goes. */
export const AUDIT_FILE_BYTES = 1024 * 1024;
export const AUDIT_FILES_MAX = 10;
/** One line of it. */
export const AUDIT_LINE_BYTES_MAX = 4 * 1024;
/** Lines that wait for the disk; further ones are counted, and the next line says how many. */
export const AUDIT_WAITING_MAX = 64;

assert(HEADER_BYTES + PAYLOAD_BYTES + TAG_BYTES === PACKET_BYTES, "a packet is its three parts");
assert(RECORD_BYTES_MAX + 8 <= PAYLOAD_BYTES, "a record and its frame's head fit one packet");
assert(
  CLAIMS_MAX * 9 + CERTIFICATE_BYTES_MAX < SLOT_BODY_BYTES_MAX / 1.3,
  "claims fit a node slot",
);
assert(ARENA_BYTES * 2 < LOG_BYTES_MAX, "a snapshot fits the log twice");
assert(RECORD_BYTES_MAX + 64 <= LOG_RECORD_BYTES_MAX, "a slot and its mark fit a log record");
assert(LOG_RECORD_BYTES_MAX * 64 <= LOG_BATCH_BYTES, "a group commit gathers many records");
assert(ARENA_BYTES >= SLOTS_MAX * 200, "the arena serves a full table of usual slots");
assert(
  SESSION_REKEY_MS + SESSION_REKEY_SLACK_MS < SESSION_EXPIRY_MS,
  "new keys are made before the old expire",
);
assert(SESSION_REKEY_PACKETS < SESSION_PACKETS_MAX, "new keys are made before the old run out");
assert(PEER_QUEUE_PACKETS * SESSIONS_MAX <= OUTBOX_PACKETS, "one peer cannot starve the others");
