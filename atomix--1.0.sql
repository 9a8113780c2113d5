/* atomix--1.0.sql: the SQL objects of extension atomix */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION atomix" to load this file. \quit

--
-- Tables. Nobody but the owner touches them; people use the functions and
-- the views. Ticks are microseconds of the lease clock (CLOCK_BOOTTIME) and
-- are comparable within one clock epoch only.
--

CREATE SEQUENCE atomix.index_seq AS bigint MINVALUE 1 NO CYCLE CACHE 1;
COMMENT ON SEQUENCE atomix.index_seq IS
  'The index: session ids, tokens and the indexes of changes are drawn from it. It jumps forward at each start of the server, so that nothing is ever handed out twice.';
REVOKE ALL ON SEQUENCE atomix.index_seq FROM PUBLIC;

CREATE TABLE atomix.authority (
  system_identifier bigint NOT NULL,
  start_id bigint NOT NULL,
  index_floor bigint NOT NULL,
  grace_from bigint NOT NULL,
  grace_served bigint NOT NULL,
  served bigint NOT NULL,
  last_beat bigint,
  swept_at bigint,
  session_version bigint NOT NULL DEFAULT 0,
  history bigint NOT NULL DEFAULT 0,
  history_served bigint NOT NULL DEFAULT 0,
  safe_index bigint NOT NULL DEFAULT 0,
  next_safe_index bigint,
  next_safe_xid xid8,
  timeline integer NOT NULL,
  database oid NOT NULL,
  extension oid NOT NULL,
  epoch integer NOT NULL,
  only_row boolean NOT NULL DEFAULT true,
  CONSTRAINT authority_pkey PRIMARY KEY (only_row),
  CONSTRAINT authority_only_row CHECK (only_row)
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0,
  autovacuum_vacuum_threshold = 1000, autovacuum_analyze_scale_factor = 0,
  autovacuum_analyze_threshold = 1000000);
COMMENT ON TABLE atomix.authority IS 'Who served this database last: one row, none before the first use.';
COMMENT ON COLUMN atomix.authority.system_identifier IS 'Server that served; with timeline, database and extension the identity whose change begins a new term.';
COMMENT ON COLUMN atomix.authority.start_id IS 'Start of the server that served; another one is due for a jump of the index.';
COMMENT ON COLUMN atomix.authority.index_floor IS 'Every index drawn since the latest jump is greater.';
COMMENT ON COLUMN atomix.authority.grace_from IS 'Tick from which leases count at the earliest, where there is no shared memory.';
COMMENT ON COLUMN atomix.authority.grace_served IS 'Ticks served in all when grace began.';
COMMENT ON COLUMN atomix.authority.served IS 'Ticks served in all until the last beat.';
COMMENT ON COLUMN atomix.authority.last_beat IS 'Tick of the last sign of life; null if none since the jump.';
COMMENT ON COLUMN atomix.authority.swept_at IS 'Tick at which all ended sessions were last looked at; null if not since the jump.';
COMMENT ON COLUMN atomix.authority.session_version IS 'Greatest version given to a change of a session.';
COMMENT ON COLUMN atomix.authority.history IS 'Number of the history since the identity last changed, 0 if it never did: what was written under another value may have gone on elsewhere.';
COMMENT ON COLUMN atomix.authority.history_served IS 'Ticks served in all when it began: atomix.failover_delay counts from there.';
COMMENT ON COLUMN atomix.authority.safe_index IS 'All that was done at an index up to this one is over and can be seen wherever this row can.';
COMMENT ON COLUMN atomix.authority.next_safe_index IS 'The next value of safe_index; null: none is on its way.';
COMMENT ON COLUMN atomix.authority.next_safe_xid IS 'All transactions before that one must be over for it.';
COMMENT ON COLUMN atomix.authority.epoch IS 'Clock epoch in which ticks are counted now.';
REVOKE ALL ON TABLE atomix.authority FROM PUBLIC;

CREATE TABLE atomix.clock_epoch (
  epoch integer NOT NULL,
  boot_id text NOT NULL,
  time_namespace text NOT NULL,
  since timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  last_beat bigint,
  CONSTRAINT clock_epoch_pkey PRIMARY KEY (epoch)
);
COMMENT ON TABLE atomix.clock_epoch IS 'The clocks leases were counted on: one row for each boot of an operating system that served.';
COMMENT ON COLUMN atomix.clock_epoch.last_beat IS 'Last tick served on that clock; null while it is the current one.';
REVOKE ALL ON TABLE atomix.clock_epoch FROM PUBLIC;

CREATE TABLE atomix.partition (
  partition_id integer NOT NULL,
  term bigint NOT NULL,
  leader text NOT NULL,
  since timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  CONSTRAINT partition_pkey PRIMARY KEY (partition_id)
);
COMMENT ON TABLE atomix.partition IS 'Partitions with their current term and leader; the first appears on first use.';
REVOKE ALL ON TABLE atomix.partition FROM PUBLIC;

CREATE TABLE atomix.partition_term (
  partition_id integer NOT NULL,
  term bigint NOT NULL,
  leader text NOT NULL,
  since timestamptz NOT NULL,
  CONSTRAINT partition_term_pkey PRIMARY KEY (partition_id, term)
);
COMMENT ON TABLE atomix.partition_term IS 'Every term a partition has had, the current one included.';
REVOKE ALL ON TABLE atomix.partition_term FROM PUBLIC;

CREATE TABLE atomix.placement (
  partition_id integer NOT NULL,
  location text NOT NULL,
  since timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  CONSTRAINT placement_pkey PRIMARY KEY (partition_id)
);
COMMENT ON TABLE atomix.placement IS 'Where each partition is, the one of this database included; no rows if it is the only one.';
REVOKE ALL ON TABLE atomix.placement FROM PUBLIC;

-- No check constraints: each would be parsed anew at every open and close,
-- and nobody writes here but our own code.
CREATE TABLE atomix.session (
  session_id bigint NOT NULL,
  timeout bigint NOT NULL,
  version bigint,
  opened_at timestamptz NOT NULL,
  ended_at timestamptz,
  ended_tick bigint,
  ack_floor bigint,
  ended_epoch integer,
  partition_id integer NOT NULL,
  owner regrole NOT NULL,
  state text NOT NULL,
  cause text,
  reason text,
  name text,
  kind text,
  application_name text NOT NULL,
  client_addr inet,
  labels jsonb,
  config bytea,
  declared jsonb,
  attached jsonb,
  CONSTRAINT session_pkey PRIMARY KEY (session_id)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX session_todo ON atomix.session (state, version) WHERE version IS NULL OR state = 'closing';
COMMENT ON TABLE atomix.session IS 'Sessions. Ended ones are kept for atomix.tombstone_retention, so that closed, expired and unknown are three answers.';
COMMENT ON COLUMN atomix.session.timeout IS 'Microseconds the session lives without a renewal.';
COMMENT ON COLUMN atomix.session.state IS 'opening, opened, closing (decided to end), closed or expired.';
COMMENT ON COLUMN atomix.session.version IS 'Position of its latest change among those of all sessions; null until the worker has numbered it.';
COMMENT ON COLUMN atomix.session.owner IS 'Role that opened it; its members may use and end it.';
COMMENT ON COLUMN atomix.session.cause IS 'Why it ended: closed by its owner, expired, or ended by an administrator.';
COMMENT ON COLUMN atomix.session.declared IS 'Services it is still to open; null once it has opened all it declared.';
COMMENT ON COLUMN atomix.session.attached IS 'Services it had open when it ended; null: none, or it lives.';
COMMENT ON COLUMN atomix.session.ack_floor IS 'All command numbers up to it were acknowledged when the session ended; null while it lives, and once its outcomes are forgotten.';
REVOKE ALL ON TABLE atomix.session FROM PUBLIC;

-- Rows are only added here, so that those who use one session do not wait for
-- each other.
CREATE TABLE atomix.session_change (
  session_id bigint NOT NULL,
  xid xid8 NOT NULL DEFAULT pg_catalog.pg_current_xact_id(),
  CONSTRAINT session_change_pkey PRIMARY KEY (session_id, xid)
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
COMMENT ON TABLE atomix.session_change IS 'Sessions whose services have changed, until the worker gives that a version.';
COMMENT ON COLUMN atomix.session_change.xid IS 'Transaction that made the change.';
REVOKE ALL ON TABLE atomix.session_change FROM PUBLIC;

-- No index on what a renewal changes: it must stay a HOT update.
CREATE TABLE atomix.lease (
  session_id bigint NOT NULL,
  timeout bigint NOT NULL,
  renewed_at bigint NOT NULL,
  served bigint NOT NULL,
  check_at bigint NOT NULL,
  ack_floor bigint NOT NULL DEFAULT 0,
  epoch integer NOT NULL,
  check_epoch integer NOT NULL,
  owner oid NOT NULL,
  CONSTRAINT lease_pkey PRIMARY KEY (session_id)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05,
  autovacuum_vacuum_threshold = 500, autovacuum_vacuum_cost_delay = 0,
  autovacuum_analyze_scale_factor = 0.5);
CREATE INDEX lease_check ON atomix.lease (check_epoch, check_at, session_id);
COMMENT ON TABLE atomix.lease IS 'Leases of the sessions that live: a session that was decided to end has none.';
COMMENT ON COLUMN atomix.lease.renewed_at IS 'Tick of the last renewal that was written.';
COMMENT ON COLUMN atomix.lease.served IS 'Ticks served in all at that renewal: what a restart leaves of the timeout is counted from it.';
COMMENT ON COLUMN atomix.lease.check_at IS 'Tick before which the deadline cannot be; raised when it is reached.';
COMMENT ON COLUMN atomix.lease.ack_floor IS 'All command numbers up to it were acknowledged, or are remembered in table command.';
COMMENT ON COLUMN atomix.lease.epoch IS 'Clock epoch of renewed_at.';
COMMENT ON COLUMN atomix.lease.check_epoch IS 'Clock epoch of check_at.';
REVOKE ALL ON TABLE atomix.lease FROM PUBLIC;

--
-- Rights
--

-- Kept by the role's id on the server named, by its name where a dump has
-- brought the row to another one: see tables/grant.c.
CREATE TABLE atomix.namespace_grant (
  server bigint NOT NULL,
  role oid NOT NULL,
  is_prefix boolean NOT NULL,
  namespace text COLLATE "C" NOT NULL,
  role_name text NOT NULL,
  privileges text NOT NULL,
  CONSTRAINT namespace_grant_pkey PRIMARY KEY (namespace, is_prefix, server, role)
);
COMMENT ON TABLE atomix.namespace_grant IS 'What roles may do in namespaces. It is changed by grant_namespace and revoke_namespace, of which all processes are told.';
COMMENT ON COLUMN atomix.namespace_grant.server IS 'System identifier of the server on which role is the id of the role.';
COMMENT ON COLUMN atomix.namespace_grant.role IS 'Role that may; 0 is every role.';
COMMENT ON COLUMN atomix.namespace_grant.is_prefix IS 'The grant is about all namespaces that begin with the name.';
COMMENT ON COLUMN atomix.namespace_grant.role_name IS 'Name of the role, by which it is found on another server.';
COMMENT ON COLUMN atomix.namespace_grant.privileges IS 'read, write, or admin; each includes those before it.';
REVOKE ALL ON TABLE atomix.namespace_grant FROM PUBLIC;

CREATE TABLE atomix.namespace_limit (
  value bigint NOT NULL,
  is_default boolean NOT NULL,
  namespace text COLLATE "C" NOT NULL,
  name text NOT NULL,
  CONSTRAINT namespace_limit_pkey PRIMARY KEY (namespace, is_default, name)
);
COMMENT ON TABLE atomix.namespace_limit IS 'Limits that were set. They are changed by set_limit, of which all processes are told.';
COMMENT ON COLUMN atomix.namespace_limit.is_default IS 'It counts everywhere where none is set.';
REVOKE ALL ON TABLE atomix.namespace_limit FROM PUBLIC;

--
-- Services and the commands that sessions apply to them
--

-- Whoever changes a service's own row holds its private lock exclusive, and
-- no index is on what changes.
CREATE TABLE atomix.service (
  service_id bigint NOT NULL,
  value bigint NOT NULL DEFAULT 0,
  revision bigint NOT NULL DEFAULT 0,
  delay bigint NOT NULL DEFAULT 0,
  oldest bigint NOT NULL DEFAULT 0,
  watched_until bigint,
  history bigint NOT NULL DEFAULT 0,
  watched_epoch integer,
  partition_id integer NOT NULL,
  type text NOT NULL,
  namespace text COLLATE "C" NOT NULL,
  name text COLLATE "C" NOT NULL,
  CONSTRAINT service_pkey PRIMARY KEY (service_id),
  CONSTRAINT service_name UNIQUE (name, namespace, partition_id)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05,
  autovacuum_vacuum_threshold = 500, autovacuum_vacuum_cost_delay = 0,
  autovacuum_analyze_scale_factor = 0.5);
CREATE INDEX service_watched ON atomix.service (watched_until) WHERE watched_until IS NOT NULL;
COMMENT ON TABLE atomix.service IS 'Services: named state that sessions open and anybody may use by name. They stay until they are deleted.';
COMMENT ON COLUMN atomix.service.value IS 'State of a type that has just a number: value of a counter, permits of a semaphore, term of an election.';
COMMENT ON COLUMN atomix.service.oldest IS 'Revision after which its events are kept, while it is watched.';
COMMENT ON COLUMN atomix.service.watched_until IS 'Tick until which its events are written; null: nobody watches it.';
COMMENT ON COLUMN atomix.service.history IS 'History in which it is watched: in another nobody watches it. Revisions of a history are above its number.';
COMMENT ON COLUMN atomix.service.watched_epoch IS 'Clock epoch of watched_until.';
COMMENT ON COLUMN atomix.service.delay IS 'Ticks for which a claim of a session that expired is not granted to another.';
COMMENT ON COLUMN atomix.service.revision IS 'How often its state was changed, for types whose changes have one order.';
REVOKE ALL ON TABLE atomix.service FROM PUBLIC;

CREATE TABLE atomix.attachment (
  session_id bigint NOT NULL,
  service_id bigint NOT NULL,
  deleted boolean NOT NULL DEFAULT false,
  CONSTRAINT attachment_pkey PRIMARY KEY (session_id, service_id)
);
CREATE INDEX attachment_service ON atomix.attachment (service_id);
COMMENT ON TABLE atomix.attachment IS 'Which live session has which service open.';
COMMENT ON COLUMN atomix.attachment.deleted IS 'The service was deleted since: the session is to hear of that.';
REVOKE ALL ON TABLE atomix.attachment FROM PUBLIC;

CREATE TABLE atomix.command (
  session_id bigint NOT NULL,
  sequence_num bigint NOT NULL,
  service_id bigint NOT NULL,
  index bigint NOT NULL,
  at timestamptz NOT NULL,
  status smallint NOT NULL,
  state text NOT NULL,
  operation text NOT NULL,
  fingerprint bytea NOT NULL,
  message text,
  output bytea,
  CONSTRAINT command_pkey PRIMARY KEY (session_id, sequence_num)
) WITH (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.05,
  autovacuum_vacuum_insert_scale_factor = 1.0, autovacuum_vacuum_cost_delay = 0);
COMMENT ON TABLE atomix.command IS 'Numbered commands with their outcome, until the session has acknowledged them or ended long ago.';
COMMENT ON COLUMN atomix.command.service_id IS 'Service it was applied to; 0 for none.';
COMMENT ON COLUMN atomix.command.index IS 'Index of the answer.';
COMMENT ON COLUMN atomix.command.status IS 'Outcome in the numbering of the protocol: 1 is OK.';
COMMENT ON COLUMN atomix.command.state IS 'running, complete, canceled, or acknowledged: then only its number is kept.';
COMMENT ON COLUMN atomix.command.operation IS 'service, create, close, once, or call: a typed function.';
COMMENT ON COLUMN atomix.command.fingerprint IS 'SHA-256 of what was asked for; empty once acknowledged.';
REVOKE ALL ON TABLE atomix.command FROM PUBLIC;

CREATE TABLE atomix.entry (
  service_id bigint NOT NULL,
  index bigint NOT NULL,
  expires_at bigint,
  ttl bigint,
  expires_epoch integer,
  key text COLLATE "C" NOT NULL,
  value bytea NOT NULL,
  CONSTRAINT entry_pkey PRIMARY KEY (service_id, key)
) WITH (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX entry_expiry ON atomix.entry (expires_epoch, expires_at) WHERE expires_at IS NOT NULL;
COMMENT ON TABLE atomix.entry IS 'Entries of services that are collections, such as map.';
COMMENT ON COLUMN atomix.entry.index IS 'Index of its last change.';
COMMENT ON COLUMN atomix.entry.expires_at IS 'Tick from which it counts as gone; null: never.';
COMMENT ON COLUMN atomix.entry.ttl IS 'Ticks it had to live when it was written.';
COMMENT ON COLUMN atomix.entry.expires_epoch IS 'Clock epoch of expires_at.';
REVOKE ALL ON TABLE atomix.entry FROM PUBLIC;

CREATE TABLE atomix.claim (
  service_id bigint NOT NULL,
  position bigint NOT NULL,
  claim_id bigint NOT NULL,
  session_id bigint NOT NULL,
  sequence_num bigint NOT NULL,
  wait_until bigint,
  wait_for bigint,
  since timestamptz NOT NULL,
  weight integer NOT NULL,
  priority integer NOT NULL,
  wait_epoch integer,
  candidate text,
  queue_from bigint,
  CONSTRAINT claim_pkey PRIMARY KEY (service_id, position)
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX claim_session ON atomix.claim (session_id, service_id);
CREATE INDEX claim_due ON atomix.claim (wait_epoch, wait_until) WHERE wait_until IS NOT NULL;
COMMENT ON TABLE atomix.claim IS 'Claims of sessions on locks, semaphores and elections, granted ones and waiting ones.';
COMMENT ON COLUMN atomix.claim.position IS 'Minus the token if it is granted, else its place in the queue: the first is the least.';
COMMENT ON COLUMN atomix.claim.claim_id IS 'Index at which it was queued: the ticket.';
COMMENT ON COLUMN atomix.claim.session_id IS 'Session it belongs to; 0 for the delay after a session that expired.';
COMMENT ON COLUMN atomix.claim.sequence_num IS 'Command of the session that waits for it; 0 for none.';
COMMENT ON COLUMN atomix.claim.wait_until IS 'Tick at which it ends if it still waits, or at which a delay is over; null: never.';
COMMENT ON COLUMN atomix.claim.wait_for IS 'Ticks it had to wait when it was queued.';
COMMENT ON COLUMN atomix.claim.since IS 'When it was queued or, later, granted.';
COMMENT ON COLUMN atomix.claim.weight IS 'How much of the capacity it takes: all of it if it is exclusive.';
COMMENT ON COLUMN atomix.claim.priority IS 'Of candidates, the greater goes first.';
COMMENT ON COLUMN atomix.claim.candidate IS 'Name under which the session stands in an election.';
COMMENT ON COLUMN atomix.claim.queue_from IS 'If it is granted: position up to which nobody has waited since; null: not known.';
REVOKE ALL ON TABLE atomix.claim FROM PUBLIC;

CREATE TABLE atomix.event (
  service_id bigint NOT NULL,
  revision bigint NOT NULL,
  index bigint NOT NULL,
  tick bigint NOT NULL,
  at timestamptz NOT NULL,
  xid xid8 NOT NULL,
  epoch integer NOT NULL,
  durable boolean NOT NULL,
  type text NOT NULL,
  key text,
  value bytea,
  prev_value bytea,
  CONSTRAINT event_pkey PRIMARY KEY (service_id, revision)
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
COMMENT ON TABLE atomix.event IS 'Changes of services that somebody watches, in the order of their revisions; each is written once however many watch.';
COMMENT ON COLUMN atomix.event.revision IS 'Position among the changes of its service, without gaps.';
COMMENT ON COLUMN atomix.event.index IS 'Index of the change.';
COMMENT ON COLUMN atomix.event.tick IS 'When it was written, on the lease clock: it is kept for atomix.event_retention.';
COMMENT ON COLUMN atomix.event.xid IS 'Transaction that made the change.';
COMMENT ON COLUMN atomix.event.epoch IS 'Clock epoch of tick.';
COMMENT ON COLUMN atomix.event.durable IS 'Its transaction was on disk before anybody else could read the change.';
COMMENT ON COLUMN atomix.event.key IS 'What changed within the service; null: the service itself.';
REVOKE ALL ON TABLE atomix.event FROM PUBLIC;

CREATE TABLE atomix.event_floor (
  service_id bigint NOT NULL,
  revision bigint NOT NULL,
  CONSTRAINT event_floor_pkey PRIMARY KEY (service_id)
);
COMMENT ON TABLE atomix.event_floor IS 'How far services had come that were watched and then deleted: positions among their events must not pass for those of others made anew. The greatest is kept.';
REVOKE ALL ON TABLE atomix.event_floor FROM PUBLIC;

CREATE TABLE atomix.stream (
  session_id bigint NOT NULL,
  sequence_num bigint NOT NULL,
  service_id bigint NOT NULL,
  revision bigint NOT NULL,
  acked bigint NOT NULL DEFAULT 0,
  preface bigint NOT NULL,
  closed bigint,
  history bigint NOT NULL,
  status smallint NOT NULL,
  kind text NOT NULL,
  type text NOT NULL,
  key text,
  event text,
  reason text,
  CONSTRAINT stream_pkey PRIMARY KEY (session_id, sequence_num)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX stream_service ON atomix.stream (service_id);
COMMENT ON TABLE atomix.stream IS 'Commands of sessions whose outputs are the events of a service, with how far their clients have come.';
COMMENT ON COLUMN atomix.stream.revision IS 'Revision of the service up to which all its events are acknowledged.';
COMMENT ON COLUMN atomix.stream.acked IS 'Outputs that are acknowledged.';
COMMENT ON COLUMN atomix.stream.preface IS 'Outputs that come before events: the first, and those that tell what there was.';
COMMENT ON COLUMN atomix.stream.closed IS 'Number of the last output, which tells of the end; null: it goes on.';
COMMENT ON COLUMN atomix.stream.history IS 'History in which it goes on, as in table service: in another it is to be resumed.';
COMMENT ON COLUMN atomix.stream.status IS 'Status of its end, in the numbering of the protocol.';
COMMENT ON COLUMN atomix.stream.kind IS 'events, entries or term: how events become outputs.';
COMMENT ON COLUMN atomix.stream.type IS 'Type of the service.';
COMMENT ON COLUMN atomix.stream.key IS 'Key whose events it wants; null: of all.';
COMMENT ON COLUMN atomix.stream.event IS 'Type of the events it wants; null: all.';
COMMENT ON COLUMN atomix.stream.reason IS 'Why it was closed.';
REVOKE ALL ON TABLE atomix.stream FROM PUBLIC;

CREATE TABLE atomix.replay (
  session_id bigint NOT NULL,
  sequence_num bigint NOT NULL,
  output_num bigint NOT NULL,
  index bigint NOT NULL,
  key text,
  value bytea NOT NULL,
  CONSTRAINT replay_pkey PRIMARY KEY (session_id, sequence_num, output_num)
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
COMMENT ON TABLE atomix.replay IS 'What there was when a stream was opened that begins with that, until it is acknowledged.';
REVOKE ALL ON TABLE atomix.replay FROM PUBLIC;

CREATE TABLE atomix.intervention (
  index bigint NOT NULL,
  at timestamptz NOT NULL,
  service_id bigint NOT NULL,
  token bigint,
  ticket bigint,
  actor text NOT NULL,
  session_id bigint,
  action text NOT NULL,
  namespace text NOT NULL,
  name text NOT NULL,
  reason text,
  CONSTRAINT intervention_pkey PRIMARY KEY (index)
);
COMMENT ON TABLE atomix.intervention IS 'What administrators did to locks and elections, and why. It is kept until somebody deletes it.';
COMMENT ON COLUMN atomix.intervention.index IS 'Index at which it was done.';
COMMENT ON COLUMN atomix.intervention.actor IS 'Name of the role that did it, which may be gone where a dump is restored.';
COMMENT ON COLUMN atomix.intervention.session_id IS 'Session that lost or got the grant.';
REVOKE ALL ON TABLE atomix.intervention FROM PUBLIC;

--
-- Sessions
--

CREATE FUNCTION atomix.open_session(
  timeout interval DEFAULT NULL,
  name text DEFAULT NULL,
  kind text DEFAULT NULL,
  labels jsonb DEFAULT '{}',
  config bytea DEFAULT NULL,
  services jsonb DEFAULT '[]',
  partition_id integer DEFAULT 1)
RETURNS bigint
AS 'MODULE_PATHNAME', 'atomix_open_session'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.open_session(interval, text, text, jsonb, bytea, jsonb, integer) IS
  'Opens a session and returns its id. It lives for timeout (null: atomix.session_timeout) after each keep_alive and is never ended earlier. labels: object of strings. config: a serialised google.protobuf.Any. services: those it is going to open, as objects with type, name and perhaps namespace; until it has opened all it is opening. Errors: 22P03 config is no Any, 22023 argument out of bounds, 42704 unknown type of a service, 57P03 server not ready, 25006 read-only.';

CREATE FUNCTION atomix.keep_alive(session_id bigint)
RETURNS interval
AS 'MODULE_PATHNAME', 'atomix_keep_alive'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.keep_alive(bigint) IS
  'Renews a session, once the transaction commits, and returns how long it lives at least, counted from the call. Errors: MX001 unknown session, MX002 expired, MX003 closed, 57P03 server not ready, 25006 read-only; at commit 40001 it has ended meanwhile.';

CREATE FUNCTION atomix.keep_alive_many(session_ids bigint[])
RETURNS TABLE (session_id bigint, state text, time_left interval)
AS 'MODULE_PATHNAME', 'atomix_keep_alive_many'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.keep_alive_many(bigint[]) IS
  'Renews many sessions, once the transaction commits, waiting for none. A row for each: opened (renewed), ending (its end is being decided), closing, closed, expired, unknown; time_left where it is opened: less than the timeout only if another transaction is just writing the session''s lease. Errors: 57P03 server not ready, 25006 read-only; at commit 40001 one has ended meanwhile.';

CREATE FUNCTION atomix.close_session(session_id bigint)
RETURNS boolean
AS 'MODULE_PATHNAME', 'atomix_close_session'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.close_session(bigint) IS
  'Closes a session. False if it had already ended. Errors: MX001 unknown session, 40001 in use by another transaction, 57P03 server not ready, 25006 read-only.';

CREATE FUNCTION atomix.end_session(session_id bigint, reason text)
RETURNS boolean
AS 'MODULE_PATHNAME', 'atomix_end_session'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.end_session(bigint, text) IS
  'Ends the session of any role, for administrators. The reason is kept with it. False if it had already ended. Errors: MX001 unknown session, 57P03 server not ready, 25006 read-only.';
REVOKE ALL ON FUNCTION atomix.end_session(bigint, text) FROM PUBLIC;

CREATE FUNCTION atomix.wait_events(session_id bigint, timeout interval DEFAULT '10 s')
RETURNS boolean
AS 'MODULE_PATHNAME', 'atomix_wait_events'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.wait_events(bigint, interval) IS
  'Waits until something happens to a session, at most timeout and atomix.max_wait. True: look at it, something may have happened, it has streams with outputs that are not acknowledged, or it has ended; false: the time is over. Errors: MX001 unknown session.';

--
-- Service atomix.session.SessionService, the first generation's, and
-- operations under its headers
--

CREATE FUNCTION atomix.session_open_session(request bytea)
RETURNS bytea
AS 'MODULE_PATHNAME', 'atomix_session_open_session'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.session_open_session(bytea) IS
  'rpc atomix.session.SessionService.OpenSession: OpenSessionRequest to OpenSessionResponse. Outcomes are a status in the header. Errors: 22P03 bytes that do not decode, 54000 too large, 25006 read-only.';

CREATE FUNCTION atomix.session_keep_alive(request bytea)
RETURNS bytea
AS 'MODULE_PATHNAME', 'atomix_session_keep_alive'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.session_keep_alive(bytea) IS
  'rpc atomix.session.SessionService.KeepAlive: KeepAliveRequest to KeepAliveResponse. The header''s request_id acknowledges commands, its streams are those that go on. Outcomes are a status in the header. Errors: 22P03 bytes that do not decode, 54000 too large, 25006 read-only; at commit 40001 the session has ended meanwhile.';

CREATE FUNCTION atomix.session_close_session(request bytea)
RETURNS bytea
AS 'MODULE_PATHNAME', 'atomix_session_close_session'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.session_close_session(bytea) IS
  'rpc atomix.session.SessionService.CloseSession: CloseSessionRequest to CloseSessionResponse. With delete, the service that the header names is deleted for all. Outcomes are a status in the header. Errors: 22P03 bytes that do not decode, 54000 too large, 40001 in use by another transaction, 25006 read-only.';

CREATE FUNCTION atomix.session_command(
  header bytea,
  payload bytea,
  service_type text DEFAULT NULL,
  OUT header bytea,
  OUT payload bytea)
AS 'MODULE_PATHNAME', 'atomix_session_command'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.session_command(bytea, bytea, text) IS
  'Applies an operation to the service that the header names: RequestHeader and input to ResponseHeader and output. With service_type the service is opened first, and without a payload that is all. Outcomes are a status in the header; numbered ones are recorded and replayed. Errors: 22P03 bytes that do not decode, MX004 number already acknowledged, MX005 number of another command, 53400 a limit, 40001 concurrent change, 25006 read-only.';

CREATE FUNCTION atomix.session_fetch(header bytea, max_rows integer DEFAULT 1000)
RETURNS TABLE (header bytea, payload bytea)
AS 'MODULE_PATHNAME', 'atomix_session_fetch'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.session_fetch(bytea, integer) IS
  'Messages of streams of a session, as ResponseHeader and output, up to max_rows: of the streams that the header lists after their response_id, else of the command with its request_id, else of all. It changes nothing. Errors: 22P03 bytes that do not decode, MX004 number already acknowledged, 22023 negative max_rows, 22004 null.';

--
-- Service atomix.runtime.v1.SessionService
--

CREATE FUNCTION atomix.runtime_get_session(request bytea)
RETURNS bytea
AS 'MODULE_PATHNAME', 'atomix_runtime_get_session'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.runtime_get_session(bytea) IS
  'rpc atomix.runtime.v1.SessionService.GetSession: GetSessionRequest to GetSessionResponse, of the newest open session with that name, else of the newest. Errors: MX001 unknown session, 22P03 bytes that do not decode, 54000 too large.';

CREATE FUNCTION atomix.runtime_list_sessions(
  request bytea,
  after_version bigint DEFAULT 0,
  max_wait interval DEFAULT '0')
RETURNS bytea
AS 'MODULE_PATHNAME', 'atomix_runtime_list_sessions'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.runtime_list_sessions(bytea, bigint, interval) IS
  'rpc atomix.runtime.v1.SessionService.ListSessions: ListSessionsRequest to ListSessionsResponse, of sessions that have changed after a version. With watch it waits until there is one, at most max_wait and atomix.max_wait. The greatest version of the answer is where to go on. Errors: 22P03 bytes that do not decode, 54000 too large, 22023 argument out of bounds, 22004 null.';

--
-- Service atomix.multiraft.v1.Partition
--

CREATE FUNCTION atomix.partition_open_session(request bytea)
RETURNS bytea
AS 'MODULE_PATHNAME', 'atomix_partition_open_session'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.partition_open_session(bytea) IS
  'rpc atomix.multiraft.v1.Partition.OpenSession: OpenSessionRequest to OpenSessionResponse. Outcomes are a status in the headers. Errors: 22P03 bytes that do not decode, 54000 too large.';

CREATE FUNCTION atomix.partition_keep_alive(request bytea)
RETURNS bytea
AS 'MODULE_PATHNAME', 'atomix_partition_keep_alive'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.partition_keep_alive(bytea) IS
  'rpc atomix.multiraft.v1.Partition.KeepAlive: KeepAliveRequest (either layout of its input) to KeepAliveResponse. Outcomes are a status in the headers. Errors: 22P03 bytes that do not decode, 54000 too large.';

CREATE FUNCTION atomix.partition_close_session(request bytea)
RETURNS bytea
AS 'MODULE_PATHNAME', 'atomix_partition_close_session'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.partition_close_session(bytea) IS
  'rpc atomix.multiraft.v1.Partition.CloseSession: CloseSessionRequest to CloseSessionResponse. Outcomes are a status in the headers. Errors: 22P03 bytes that do not decode, 54000 too large.';

--
-- Services
--

CREATE FUNCTION atomix.create_service(
  session_id bigint,
  type text,
  name text,
  namespace text DEFAULT '')
RETURNS bigint
AS 'MODULE_PATHNAME', 'atomix_create_service'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.create_service(bigint, text, text, text) IS
  'Has a session open the service of that type and name, which is created if there is none, and returns its id. May be repeated. Errors: MX001 unknown session, MX002 expired, MX003 closed, 42704 unknown type, MX008 the service has another type, 53400 too many services open, 57P03 server not ready, 25006 read-only, 40001 concurrent change.';

CREATE FUNCTION atomix.close_service(
  session_id bigint,
  service_id bigint)
RETURNS boolean
AS 'MODULE_PATHNAME', 'atomix_close_service'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.close_service(bigint, bigint) IS
  'Has a session close a service; its state stays. False if it was not open. Errors: MX001 unknown session, MX002 expired, MX003 closed, 57P03 server not ready, 25006 read-only, 40001 concurrent change.';

CREATE FUNCTION atomix.delete_service(
  name text,
  namespace text DEFAULT '')
RETURNS boolean
AS 'MODULE_PATHNAME', 'atomix_delete_service'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.delete_service(text, text) IS
  'Deletes a service with all its state. Sessions that have it open are told, and MX009 answers their later use of it. False if there is none. Errors: 22023 empty name, 57P03 server not ready, 25006 read-only, 40001 concurrent change.';

--
-- Commands of sessions on services, in the encoding of the service's type
--

CREATE FUNCTION atomix.command(
  session_id bigint,
  service_id bigint,
  payload bytea,
  sequence_num bigint DEFAULT 0,
  OUT status text,
  OUT output bytea,
  OUT replayed boolean,
  OUT index bigint)
AS 'MODULE_PATHNAME', 'atomix_command'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.command(bigint, bigint, bytea, bigint) IS
  'Executes an operation of a service that the session has open, and renews the session. With a number it is executed once: repeated, it answers as the first time, also if it was refused, which is a status. Errors: 22P03 payload that does not decode, MX001 unknown session, MX002 expired, MX003 closed, MX004 number already acknowledged, MX005 number of another call, MX009 service deleted, 55000 service not open, 53400 too many numbers not acknowledged, 57P03 server not ready, 25006 read-only, 40001 concurrent change.';

CREATE FUNCTION atomix.commands(
  session_id bigint,
  service_id bigint,
  payloads bytea[],
  first_sequence_num bigint)
RETURNS TABLE (sequence_num bigint, status text, output bytea, replayed boolean)
AS 'MODULE_PATHNAME', 'atomix_commands'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.commands(bigint, bigint, bytea[], bigint) IS
  'Executes operations of one service in one go, with numbers in a row from the first (0: not numbered). One that is refused does not stop the others. Errors: as command; a number that cannot be used stops all.';

CREATE FUNCTION atomix.query(
  session_id bigint,
  service_id bigint,
  payload bytea,
  last_sequence_num bigint DEFAULT 0,
  OUT status text,
  OUT output bytea,
  OUT index bigint)
AS 'MODULE_PATHNAME', 'atomix_query'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.query(bigint, bigint, bytea, bigint) IS
  'Evaluates an operation that only reads, after the session''s commands up to last_sequence_num have been executed. Errors: 22P03 payload that does not decode, 22023 the operation would change something, MX001 unknown session, MX002 expired, MX003 closed, MX009 service deleted, 55000 service not open, 57P03 commands not executed within atomix.query_wait.';

CREATE FUNCTION atomix.outcome(
  session_id bigint,
  sequence_num bigint,
  OUT state text,
  OUT status text,
  OUT output bytea,
  OUT at timestamptz)
AS 'MODULE_PATHNAME', 'atomix_outcome'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.outcome(bigint, bigint) IS
  'What became of a number, also for atomix.outcome_retention after the session ended: complete, running, canceled, acknowledged, unknown (not executed), pending (another transaction is executing it), or forgotten (the session ended longer ago than that). Errors: 22023 number 0, MX001 unknown session.';

CREATE FUNCTION atomix.once(
  session_id bigint,
  sequence_num bigint,
  request text DEFAULT NULL)
RETURNS boolean
AS 'MODULE_PATHNAME', 'atomix_once'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.once(bigint, bigint, text) IS
  'Records a number in the caller''s transaction: true the first time, false if that has committed already, so that work done when it is true takes effect once. Another request under the same number is an error. Errors: 22023 number 0, MX001 unknown session, MX002 expired, MX003 closed, MX004 number already acknowledged, MX005 number of another call, 53400 too many numbers not acknowledged, 57P03 server not ready, 25006 read-only, 40001 concurrent change.';

CREATE FUNCTION atomix.ack(
  session_id bigint,
  sequence_num bigint,
  output_num bigint DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME', 'atomix_ack'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.ack(bigint, bigint, bigint) IS
  'Acknowledges a command: its outcome is forgotten, its number is never executed again, and if it waits or is a stream, that ends. With output_num just the outputs of a stream up to that one: what the transaction does with them and the position stand together. Errors: 22023 number 0 or no such output, MX007 the stream is to be resumed, MX001 unknown session, MX002 expired, MX003 closed, 57P03 server not ready, 25006 read-only, 40001 concurrent change.';

--
-- Watching
--

CREATE FUNCTION atomix.watch(
  name text,
  from_revision bigint DEFAULT NULL,
  key text DEFAULT NULL,
  max_rows integer DEFAULT 1000,
  namespace text DEFAULT '')
RETURNS TABLE (revision bigint, type text, key text, value bytea, prev_value bytea, index bigint, at timestamptz)
AS 'MODULE_PATHNAME', 'atomix_watch'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.watch(text, bigint, text, integer, text) IS
  'Events of a service after from_revision (null: all that are kept), in order, of one key if that is given, up to max_rows. Whoever watches a service has its events written from then on, for atomix.event_retention after the latest call. Errors: MX007 events after from_revision are no longer kept, 22023 from_revision is not reached yet or max_rows is negative, 42704 no such service, 55000 not watched, and read-only.';

CREATE FUNCTION atomix.listen_watch(name text, namespace text DEFAULT '', OUT channel text, OUT revision bigint)
AS 'MODULE_PATHNAME', 'atomix_listen_watch'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.listen_watch(text, text) IS
  'Has the connection listen for hints that a service has new events, and its events written from now on; returns the channel and the revision from which to watch. Errors: 42704 no such service, 57P03 server not ready, 25006 read-only.';

CREATE FUNCTION atomix.fetch_outputs(
  session_id bigint,
  sequence_num bigint,
  max_rows integer DEFAULT 1000)
RETURNS TABLE (output_num bigint, kind text, output bytea, index bigint)
AS 'MODULE_PATHNAME', 'atomix_fetch_outputs'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.fetch_outputs(bigint, bigint, integer) IS
  'Outputs of a command that are not acknowledged, in order, numbered 1, 2, 3 and so on, up to max_rows: of a stream open, then responses, and at its end close, with the reason as text. A number that is left out before close tells of outputs that are lost. Any other command has one, a response, or close if it was refused; none while it waits or is not executed yet. They come again until ack or a keep-alive acknowledges them. Errors: 22023 number 0 or max_rows is negative, MX001 unknown session, MX002 expired, MX003 closed, MX004 command acknowledged, MX007 the server was promoted or restored since: call resume_stream, or open a new stream.';

CREATE FUNCTION atomix.fetch_outputs_many(session_id bigint, max_rows integer DEFAULT 1000)
RETURNS TABLE (sequence_num bigint, output_num bigint, kind text, output bytea, index bigint)
AS 'MODULE_PATHNAME', 'atomix_fetch_outputs_many'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.fetch_outputs_many(bigint, integer) IS
  'As fetch_outputs, of all streams of the session, each with up to max_rows. Errors: 22023 max_rows is negative, MX001 unknown session, MX002 expired, MX003 closed, MX007 a stream is to be resumed, or cannot be, since the server was promoted or restored.';

CREATE FUNCTION atomix.take_outputs(session_id bigint, max_rows integer DEFAULT 1000)
RETURNS TABLE (sequence_num bigint, output_num bigint, kind text, output bytea, index bigint)
AS 'MODULE_PATHNAME', 'atomix_take_outputs'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.take_outputs(bigint, integer) IS
  'As fetch_outputs_many, and acknowledges what it returns: if the transaction commits they do not come again, if it fails they do. For a consumer whose effects are in the same transaction; who acts outside of it fetches, acts, then calls ack. All it returns is acknowledged, also what WHERE or LIMIT leaves out. Of several consumers each output is taken by one, and the others wait for it, or at REPEATABLE READ fail with 40001. Renews the session. Errors: 22023 max_rows is negative, MX001 unknown session, MX002 expired, MX003 closed, MX007 a stream is to be resumed, or cannot be, since the server was promoted or restored, 57P03 server not ready, 25006 read-only, 40001 concurrent change.';

CREATE FUNCTION atomix.ack_many(
  session_id bigint,
  sequence_nums bigint[],
  output_nums bigint[])
RETURNS void
AS 'MODULE_PATHNAME', 'atomix_ack_many'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.ack_many(bigint, bigint[], bigint[]) IS
  'Acknowledges outputs of several streams up to the number that stands at the same place. All of them or, if one does not exist, none. Errors: 22023 no such output or arrays of different lengths, 22004 null, MX007 a stream is to be resumed, MX001 unknown session, MX002 expired, MX003 closed, 57P03 server not ready, 25006 read-only, 40001 concurrent change.';

CREATE FUNCTION atomix.resume_stream(
  session_id bigint,
  sequence_num bigint,
  output_num bigint DEFAULT NULL,
  index bigint DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME', 'atomix_resume_stream'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.resume_stream(bigint, bigint, bigint, bigint) IS
  'Goes on with a stream after a promotion, if the server has all that its client has received: up to the output of that number, which came with that index; without them, what is acknowledged. May be repeated, and called at any time. Errors: 22023 number 0 or negative, 22004 output_num without index, MX007 what was received is lost, or what follows it: open a new stream, MX001 unknown session, MX002 expired, MX003 closed, 57P03 server not ready, 25006 read-only, 40001 concurrent change.';

CREATE FUNCTION atomix.partition_events(partition_id integer, after_term bigint DEFAULT 0)
RETURNS TABLE (term bigint, leader text, at timestamptz)
AS 'MODULE_PATHNAME', 'atomix_partition_events'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.partition_events(integer, bigint) IS
  'Terms of a partition after a term, in order, with who led. Errors: 22023 no such partition, 22004 null.';

CREATE FUNCTION atomix.session_events(after_version bigint DEFAULT 0, max_rows integer DEFAULT 1000)
RETURNS TABLE (version bigint, session_id bigint, state text, reason text, at timestamptz)
AS 'MODULE_PATHNAME', 'atomix_session_events'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.session_events(bigint, integer) IS
  'The latest change of each session of the caller''s roles after a version, in order, up to max_rows. Errors: 22023 negative argument, 22004 null.';

CREATE FUNCTION atomix.partition_watch(request bytea)
RETURNS SETOF bytea
AS 'MODULE_PATHNAME', 'atomix_partition_watch'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.partition_watch(bytea) IS
  'rpc atomix.multiraft.v1.Partition.Watch: WatchPartitionRequest to the WatchPartitionResponse of what is known now. Errors: 22P03 bytes that do not decode, 22023 no such partition.';

--
-- Service atomix.multiraft.v1: the state machine, in bytes
--

CREATE FUNCTION atomix.partition_command(
  request_headers bytea,
  input bytea,
  OUT headers bytea,
  OUT output bytea)
AS 'MODULE_PATHNAME', 'atomix_partition_command'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.partition_command(bytea, bytea) IS
  'Applies a PartitionInput: CommandRequestHeaders to CommandResponseHeaders and PartitionOutput. Outcomes are a status in the headers; numbered ones are recorded and replayed. Errors: 22P03 bytes that do not decode, MX004 number already acknowledged, MX005 number of another command, 53400 a limit, 40001 concurrent change, 25006 read-only.';

CREATE FUNCTION atomix.partition_query(
  request_headers bytea,
  input bytea,
  OUT headers bytea,
  OUT output bytea)
AS 'MODULE_PATHNAME', 'atomix_partition_query'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.partition_query(bytea, bytea) IS
  'Evaluates a PartitionInput that only reads: QueryRequestHeaders to QueryResponseHeaders and PartitionOutput. Outcomes are a status in the headers. Errors: 22P03 bytes that do not decode.';

CREATE FUNCTION atomix.partition_commands(
  request_headers bytea[],
  inputs bytea[])
RETURNS TABLE (n integer, headers bytea, output bytea)
AS 'MODULE_PATHNAME', 'atomix_partition_commands'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.partition_commands(bytea[], bytea[]) IS
  'Applies several inputs in order, in one transaction; each has its own headers and outcome, and one that is refused does not stop the others. Errors: as partition_command, which stop all; 22023 arrays of different length.';

--
-- Any method by its path
--

CREATE FUNCTION atomix.call(method text, request bytea)
RETURNS SETOF bytea
AS 'MODULE_PATHNAME', 'atomix_call'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.call(text, bytea) IS
  'Calls the method with that gRPC path, as /atomix.multiraft.v1.Partition/OpenSession, by its function of view methods: with its rights, results and errors. Errors: 42704 unknown method.';

CREATE FUNCTION atomix._methods(
  OUT path text,
  OUT request text,
  OUT response text,
  OUT function text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'atomix_methods'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION atomix._methods() IS
  'The methods of the protocol''s services, for view methods.';

--
-- Messages as JSON
--

CREATE FUNCTION atomix.message_to_json(message text, bytes bytea)
RETURNS jsonb
AS 'MODULE_PATHNAME', 'atomix_message_to_json'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION atomix.message_to_json(text, bytea) IS
  'The message of that name that the bytes hold, by the JSON mapping of protobuf: names in lowerCamelCase, 64-bit numbers as strings, bytes in base64, defaults left out; an Any is its typeUrl and value. Errors: 22P03 bytes that do not decode, or a duration or timestamp out of range; 42704 unknown message, 54000 too large, 22P05 a character that the server''s encoding lacks.';

CREATE FUNCTION atomix.message_from_json(message text, document jsonb)
RETURNS bytea
AS 'MODULE_PATHNAME', 'atomix_message_from_json'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION atomix.message_from_json(text, jsonb) IS
  'The bytes of the message of that name that the document means; the opposite of message_to_json. Takes names as the .proto files spell them, too. Errors: 22P02 a document that does not fit, with the place in the detail; 42704 unknown message, 54000 too large.';

--
-- Counters
--

CREATE FUNCTION atomix.counter_get(
  name text,
  namespace text DEFAULT '')
RETURNS bigint
AS 'MODULE_PATHNAME', 'atomix_counter_get'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.counter_get(text, text) IS
  'Value of a counter, 0 if there is none. Errors: MX008 the service has another type, 22004 null.';

CREATE FUNCTION atomix.counter_set(
  name text,
  value bigint,
  namespace text DEFAULT '',
  session_id bigint DEFAULT NULL,
  sequence_num bigint DEFAULT 0)
RETURNS bigint
AS 'MODULE_PATHNAME', 'atomix_counter_set'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.counter_set(text, bigint, text, bigint, bigint) IS
  'Assigns a counter and returns the value. With a session it needs that alive and renews it; with a number too it takes effect once, however often it is repeated. Errors: MX008 the service has another type, MX001 unknown session, MX002 expired, MX003 closed, MX004 number already acknowledged, MX005 number of another call, 57P03 server not ready, 25006 read-only, 40001 concurrent change.';

CREATE FUNCTION atomix.counter_increment(
  name text,
  delta bigint DEFAULT 1,
  namespace text DEFAULT '',
  session_id bigint DEFAULT NULL,
  sequence_num bigint DEFAULT 0)
RETURNS bigint
AS 'MODULE_PATHNAME', 'atomix_counter_increment'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.counter_increment(text, bigint, text, bigint, bigint) IS
  'Adds to a counter and returns the new value. With a session it needs that alive and renews it; with a number too it takes effect once, however often it is repeated. Errors: 22003 out of range, MX008 the service has another type, MX001 unknown session, MX002 expired, MX003 closed, MX004 number already acknowledged, MX005 number of another call, 57P03 server not ready, 25006 read-only, 40001 concurrent change.';

CREATE FUNCTION atomix.counter_decrement(
  name text,
  delta bigint DEFAULT 1,
  namespace text DEFAULT '',
  session_id bigint DEFAULT NULL,
  sequence_num bigint DEFAULT 0)
RETURNS bigint
AS 'MODULE_PATHNAME', 'atomix_counter_decrement'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.counter_decrement(text, bigint, text, bigint, bigint) IS
  'Subtracts from a counter and returns the new value. With a session it needs that alive and renews it; with a number too it takes effect once, however often it is repeated. Errors: 22003 out of range, MX008 the service has another type, MX001 unknown session, MX002 expired, MX003 closed, MX004 number already acknowledged, MX005 number of another call, 57P03 server not ready, 25006 read-only, 40001 concurrent change.';

CREATE FUNCTION atomix.counter_compare_and_set(
  name text,
  expected bigint,
  value bigint,
  namespace text DEFAULT '',
  session_id bigint DEFAULT NULL,
  sequence_num bigint DEFAULT 0)
RETURNS boolean
AS 'MODULE_PATHNAME', 'atomix_counter_compare_and_set'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.counter_compare_and_set(text, bigint, bigint, text, bigint, bigint) IS
  'Assigns a counter if its value is as expected; false if not. With a session it needs that alive and renews it; with a number too it takes effect once, however often it is repeated. Errors: MX008 the service has another type, MX001 unknown session, MX002 expired, MX003 closed, MX004 number already acknowledged, MX005 number of another call, 57P03 server not ready, 25006 read-only, 40001 concurrent change.';

--
-- Maps
--

CREATE FUNCTION atomix.map_put(
  name text,
  key text,
  value bytea,
  ttl interval DEFAULT NULL,
  prev_index bigint DEFAULT NULL,
  namespace text DEFAULT '',
  session_id bigint DEFAULT NULL,
  sequence_num bigint DEFAULT 0,
  OUT index bigint,
  OUT prev_value bytea)
AS 'MODULE_PATHNAME', 'atomix_map_put'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.map_put(text, text, bytea, interval, bigint, text, bigint, bigint) IS
  'Writes an entry, which lives for ttl (null: for ever), and returns the index of its last change and the value it replaced. An equal value keeps its index. Index null: the present entry has not prev_index. With a session it needs that alive and renews it; with a number too it takes effect once, however often it is repeated. Errors: MX008 the service has another type, 53400 key too long, MX001 unknown session, MX002 expired, MX003 closed, MX004 number already acknowledged, MX005 number of another call, 57P03 server not ready, 25006 read-only, 40001 concurrent change.';

CREATE FUNCTION atomix.map_insert(
  name text,
  key text,
  value bytea,
  ttl interval DEFAULT NULL,
  namespace text DEFAULT '',
  session_id bigint DEFAULT NULL,
  sequence_num bigint DEFAULT 0,
  OUT index bigint)
AS 'MODULE_PATHNAME', 'atomix_map_insert'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.map_insert(text, text, bytea, interval, text, bigint, bigint) IS
  'Writes an entry that is not there and returns its index; null if it is there. With a session it needs that alive and renews it; with a number too it takes effect once, however often it is repeated. Errors: MX008 the service has another type, 53400 key too long, MX001 unknown session, MX002 expired, MX003 closed, MX004 number already acknowledged, MX005 number of another call, 57P03 server not ready, 25006 read-only, 40001 concurrent change.';

CREATE FUNCTION atomix.map_update(
  name text,
  key text,
  value bytea,
  ttl interval DEFAULT NULL,
  prev_index bigint DEFAULT NULL,
  namespace text DEFAULT '',
  session_id bigint DEFAULT NULL,
  sequence_num bigint DEFAULT 0,
  OUT index bigint,
  OUT prev_value bytea)
AS 'MODULE_PATHNAME', 'atomix_map_update'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.map_update(text, text, bytea, interval, bigint, text, bigint, bigint) IS
  'Replaces an entry that is there and returns its new index and the value it replaced. Index null: there is none, or it has not prev_index. With a session it needs that alive and renews it; with a number too it takes effect once, however often it is repeated. Errors: MX008 the service has another type, 53400 key too long, MX001 unknown session, MX002 expired, MX003 closed, MX004 number already acknowledged, MX005 number of another call, 57P03 server not ready, 25006 read-only, 40001 concurrent change.';

CREATE FUNCTION atomix.map_get(
  name text,
  key text,
  namespace text DEFAULT '')
RETURNS TABLE (value bytea, index bigint, expires_at timestamptz)
AS 'MODULE_PATHNAME', 'atomix_map_get'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.map_get(text, text, text) IS
  'An entry; no row if there is none. Errors: MX008 the service has another type, 22004 null.';

CREATE FUNCTION atomix.map_entries(
  name text,
  after_key text DEFAULT NULL,
  max_rows integer DEFAULT 1000,
  namespace text DEFAULT '')
RETURNS TABLE (key text, value bytea, index bigint, expires_at timestamptz)
AS 'MODULE_PATHNAME', 'atomix_map_entries'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.map_entries(text, text, integer, text) IS
  'Entries in order of their keys'' bytes, up to max_rows after after_key (null: from the first). Errors: MX008 the service has another type, 22023 negative max_rows.';

CREATE FUNCTION atomix.map_put_text(
  name text,
  key text,
  value text,
  ttl interval DEFAULT NULL,
  prev_index bigint DEFAULT NULL,
  namespace text DEFAULT '',
  session_id bigint DEFAULT NULL,
  sequence_num bigint DEFAULT 0,
  OUT index bigint,
  OUT prev_value text)
AS 'MODULE_PATHNAME', 'atomix_map_put_text'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.map_put_text(text, text, text, interval, bigint, text, bigint, bigint) IS
  'Writes an entry, which lives for ttl (null: for ever), and returns the index of its last change and the value it replaced. An equal value keeps its index. Index null: the present entry has not prev_index. Text is kept in UTF-8. With a session it needs that alive and renews it; with a number too it takes effect once, however often it is repeated. Errors: MX008 the service has another type, 53400 key too long, MX001 unknown session, MX002 expired, MX003 closed, MX004 number already acknowledged, MX005 number of another call, 57P03 server not ready, 25006 read-only, 40001 concurrent change.';

CREATE FUNCTION atomix.map_insert_text(
  name text,
  key text,
  value text,
  ttl interval DEFAULT NULL,
  namespace text DEFAULT '',
  session_id bigint DEFAULT NULL,
  sequence_num bigint DEFAULT 0,
  OUT index bigint)
AS 'MODULE_PATHNAME', 'atomix_map_insert_text'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.map_insert_text(text, text, text, interval, text, bigint, bigint) IS
  'Writes an entry that is not there and returns its index; null if it is there. Text is kept in UTF-8. With a session it needs that alive and renews it; with a number too it takes effect once, however often it is repeated. Errors: MX008 the service has another type, 53400 key too long, MX001 unknown session, MX002 expired, MX003 closed, MX004 number already acknowledged, MX005 number of another call, 57P03 server not ready, 25006 read-only, 40001 concurrent change.';

CREATE FUNCTION atomix.map_update_text(
  name text,
  key text,
  value text,
  ttl interval DEFAULT NULL,
  prev_index bigint DEFAULT NULL,
  namespace text DEFAULT '',
  session_id bigint DEFAULT NULL,
  sequence_num bigint DEFAULT 0,
  OUT index bigint,
  OUT prev_value text)
AS 'MODULE_PATHNAME', 'atomix_map_update_text'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.map_update_text(text, text, text, interval, bigint, text, bigint, bigint) IS
  'Replaces an entry that is there and returns its new index and the value it replaced. Index null: there is none, or it has not prev_index. Text is kept in UTF-8. With a session it needs that alive and renews it; with a number too it takes effect once, however often it is repeated. Errors: MX008 the service has another type, 53400 key too long, MX001 unknown session, MX002 expired, MX003 closed, MX004 number already acknowledged, MX005 number of another call, 57P03 server not ready, 25006 read-only, 40001 concurrent change.';

CREATE FUNCTION atomix.map_get_text(
  name text,
  key text,
  namespace text DEFAULT '')
RETURNS text
AS 'MODULE_PATHNAME', 'atomix_map_get_text'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.map_get_text(text, text, text) IS
  'Value of an entry as text; null if there is none. Errors: MX008 the service has another type, 22021 it is not text, 22004 null.';

CREATE FUNCTION atomix.map_entries_text(
  name text,
  after_key text DEFAULT NULL,
  max_rows integer DEFAULT 1000,
  namespace text DEFAULT '')
RETURNS TABLE (key text, value text, index bigint, expires_at timestamptz)
AS 'MODULE_PATHNAME', 'atomix_map_entries_text'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.map_entries_text(text, text, integer, text) IS
  'Entries in order of their keys'' bytes, up to max_rows after after_key (null: from the first). Errors: MX008 the service has another type, 22023 negative max_rows, 22021 a value is not text.';

CREATE FUNCTION atomix.map_remove(
  name text,
  key text,
  prev_index bigint DEFAULT NULL,
  namespace text DEFAULT '',
  session_id bigint DEFAULT NULL,
  sequence_num bigint DEFAULT 0)
RETURNS boolean
AS 'MODULE_PATHNAME', 'atomix_map_remove'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.map_remove(text, text, bigint, text, bigint, bigint) IS
  'Removes an entry; false if there is none, or it has not prev_index. With a session it needs that alive and renews it; with a number too it takes effect once, however often it is repeated. Errors: MX008 the service has another type, 53400 key too long, MX001 unknown session, MX002 expired, MX003 closed, MX004 number already acknowledged, MX005 number of another call, 57P03 server not ready, 25006 read-only, 40001 concurrent change.';

CREATE FUNCTION atomix.map_size(
  name text,
  namespace text DEFAULT '')
RETURNS bigint
AS 'MODULE_PATHNAME', 'atomix_map_size'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.map_size(text, text) IS
  'Number of entries. Errors: MX008 the service has another type, 22004 null.';

CREATE FUNCTION atomix.map_clear(
  name text,
  namespace text DEFAULT '',
  session_id bigint DEFAULT NULL,
  sequence_num bigint DEFAULT 0)
RETURNS bigint
AS 'MODULE_PATHNAME', 'atomix_map_clear'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.map_clear(text, text, bigint, bigint) IS
  'Removes all entries and returns how many there were. With a session it needs that alive and renews it; with a number too it takes effect once, however often it is repeated. Errors: MX008 the service has another type, MX001 unknown session, MX002 expired, MX003 closed, MX004 number already acknowledged, MX005 number of another call, 57P03 server not ready, 25006 read-only, 40001 concurrent change.';

--
-- Locks and semaphores
--

CREATE FUNCTION atomix.lock_try(
  session_id bigint,
  name text,
  namespace text DEFAULT '',
  shared boolean DEFAULT false,
  OUT granted boolean,
  OUT token bigint)
AS 'MODULE_PATHNAME', 'atomix_lock_try'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.lock_try(bigint, text, text, boolean) IS
  'Acquires a lock for a session if that can be done at once. token is the fencing token: it grows from grant to grant. Asked again, it answers with the grant the session has. Errors: MX001 unknown session, MX002 expired, MX003 closed, MX008 the service has another type, 53400 too many claims, 57P03 server not ready, 25006 read-only, 40001 concurrent change.';

CREATE FUNCTION atomix.lock_acquire(
  session_id bigint,
  name text,
  timeout interval DEFAULT NULL,
  namespace text DEFAULT '',
  shared boolean DEFAULT false,
  OUT granted boolean,
  OUT token bigint,
  OUT ticket bigint)
AS 'MODULE_PATHNAME', 'atomix_lock_acquire'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.lock_acquire(bigint, text, interval, text, boolean) IS
  'Acquires a lock for a session, or queues for it for at most timeout (null: for ever) and returns a ticket to wait for with wait_ticket. Asked again, it answers with the claim the session has. Errors: 22023 negative timeout, MX001 unknown session, MX002 expired, MX003 closed, MX008 the service has another type, 53400 too many claims, 57P03 server not ready, 25006 read-only, 40001 concurrent change.';

CREATE FUNCTION atomix.lock_release(
  session_id bigint,
  name text,
  token bigint DEFAULT NULL,
  namespace text DEFAULT '')
RETURNS boolean
AS 'MODULE_PATHNAME', 'atomix_lock_release'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.lock_release(bigint, text, bigint, text) IS
  'Releases the session''s grant with that token, or all it has on the lock, and grants the next in the queue. False if it has none. Errors: MX001 unknown session, MX002 expired, MX003 closed, MX008 the service has another type, 53400 too many claims, 57P03 server not ready, 25006 read-only, 40001 concurrent change.';

CREATE FUNCTION atomix.lock_cancel(
  session_id bigint,
  name text,
  ticket bigint,
  namespace text DEFAULT '')
RETURNS boolean
AS 'MODULE_PATHNAME', 'atomix_lock_cancel'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.lock_cancel(bigint, text, bigint, text) IS
  'Stops waiting for a lock. False if the ticket does not wait any more: it may have been granted. Errors: MX001 unknown session, MX002 expired, MX003 closed, MX008 the service has another type, 53400 too many claims, 57P03 server not ready, 25006 read-only, 40001 concurrent change.';

CREATE FUNCTION atomix.semaphore_try(
  session_id bigint,
  name text,
  permits integer DEFAULT 1,
  namespace text DEFAULT '',
  OUT granted boolean,
  OUT token bigint)
AS 'MODULE_PATHNAME', 'atomix_semaphore_try'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.semaphore_try(bigint, text, integer, text) IS
  'Takes permits of a semaphore for a session if that can be done at once. A semaphore has one permit until it is resized. Errors: 22023 permits below 1, MX001 unknown session, MX002 expired, MX003 closed, MX008 the service has another type, 53400 too many claims, 57P03 server not ready, 25006 read-only, 40001 concurrent change.';

CREATE FUNCTION atomix.semaphore_acquire(
  session_id bigint,
  name text,
  permits integer DEFAULT 1,
  timeout interval DEFAULT NULL,
  namespace text DEFAULT '',
  OUT granted boolean,
  OUT token bigint,
  OUT ticket bigint)
AS 'MODULE_PATHNAME', 'atomix_semaphore_acquire'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.semaphore_acquire(bigint, text, integer, interval, text) IS
  'Takes permits of a semaphore, or queues for them, as lock_acquire does. Errors: 22023 permits below 1 or negative timeout, MX001 unknown session, MX002 expired, MX003 closed, MX008 the service has another type, 53400 too many claims, 57P03 server not ready, 25006 read-only, 40001 concurrent change.';

CREATE FUNCTION atomix.semaphore_release(
  session_id bigint,
  name text,
  token bigint DEFAULT NULL,
  namespace text DEFAULT '')
RETURNS boolean
AS 'MODULE_PATHNAME', 'atomix_semaphore_release'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.semaphore_release(bigint, text, bigint, text) IS
  'Gives back the permits that were granted with that token, or all the session has. False if it has none. Errors: MX001 unknown session, MX002 expired, MX003 closed, MX008 the service has another type, 53400 too many claims, 57P03 server not ready, 25006 read-only, 40001 concurrent change.';

CREATE FUNCTION atomix.semaphore_resize(
  name text,
  permits integer,
  namespace text DEFAULT '')
RETURNS integer
AS 'MODULE_PATHNAME', 'atomix_semaphore_resize'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.semaphore_resize(text, integer, text) IS
  'Sets how many permits a semaphore has, and returns that. Those granted beyond it stay granted. Errors: 22023 negative permits, MX008 the service has another type, 57P03 server not ready, 25006 read-only, 40001 concurrent change.';

CREATE FUNCTION atomix.wait_ticket(
  session_id bigint,
  ticket bigint,
  timeout interval DEFAULT '10 s',
  OUT granted boolean,
  OUT token bigint)
AS 'MODULE_PATHNAME', 'atomix_wait_ticket'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.wait_ticket(bigint, bigint, interval) IS
  'Waits until a claim is granted, at most timeout and atomix.max_wait. Not granted: the time is over, or the claim was canceled or timed out. Errors: MX001 unknown session, MX002 expired, MX003 closed, 55000 the ticket was taken in the same transaction.';

--
-- Elections
--

CREATE FUNCTION atomix.election_enter(
  session_id bigint,
  name text,
  candidate text DEFAULT NULL,
  priority integer DEFAULT 0,
  namespace text DEFAULT '',
  OUT is_leader boolean,
  OUT token bigint,
  OUT term bigint,
  OUT leader text,
  OUT ticket bigint)
AS 'MODULE_PATHNAME', 'atomix_election_enter'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.election_enter(bigint, text, text, integer, text) IS
  'Has a session stand in an election, by default under its own name, and says who leads. A greater priority goes before those that wait with a lesser one. Asked again, it answers with the candidate the session has; ticket null: another session stands under that name. Errors: 22023 empty candidate, MX001 unknown session, MX002 expired, MX003 closed, MX008 the service has another type, 53400 too many claims, 57P03 server not ready, 25006 read-only, 40001 concurrent change.';

CREATE FUNCTION atomix.election_withdraw(
  session_id bigint,
  name text,
  namespace text DEFAULT '')
RETURNS boolean
AS 'MODULE_PATHNAME', 'atomix_election_withdraw'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.election_withdraw(bigint, text, text) IS
  'Takes back a session''s candidate. False if it has none. Errors: MX001 unknown session, MX002 expired, MX003 closed, MX008 the service has another type, 53400 too many claims, 57P03 server not ready, 25006 read-only, 40001 concurrent change.';

CREATE FUNCTION atomix.election_anoint(
  name text,
  candidate text,
  namespace text DEFAULT '')
RETURNS boolean
AS 'MODULE_PATHNAME', 'atomix_election_anoint'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.election_anoint(text, text, text) IS
  'Makes a candidate the leader; the leader becomes the first that waits. Who did it is kept in table intervention. False if there is none of the name. Errors: MX008 the service has another type, 57P03 server not ready, 25006 read-only, 40001 concurrent change.';

CREATE FUNCTION atomix.election_promote(
  name text,
  candidate text,
  namespace text DEFAULT '')
RETURNS boolean
AS 'MODULE_PATHNAME', 'atomix_election_promote'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.election_promote(text, text, text) IS
  'Moves a candidate up by one. Who did it is kept in table intervention. False if there is none of the name. Errors: MX008 the service has another type, 57P03 server not ready, 25006 read-only, 40001 concurrent change.';

CREATE FUNCTION atomix.election_demote(
  name text,
  candidate text,
  namespace text DEFAULT '')
RETURNS boolean
AS 'MODULE_PATHNAME', 'atomix_election_demote'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.election_demote(text, text, text) IS
  'Moves a candidate down by one. Who did it is kept in table intervention. False if there is none of the name. Errors: MX008 the service has another type, 57P03 server not ready, 25006 read-only, 40001 concurrent change.';

CREATE FUNCTION atomix.election_evict(
  name text,
  candidate text,
  namespace text DEFAULT '')
RETURNS boolean
AS 'MODULE_PATHNAME', 'atomix_election_evict'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.election_evict(text, text, text) IS
  'Removes a candidate. Who did it is kept in table intervention. False if there is none of the name. Errors: MX008 the service has another type, 57P03 server not ready, 25006 read-only, 40001 concurrent change.';

CREATE FUNCTION atomix.election_leader(
  name text,
  namespace text DEFAULT '')
RETURNS TABLE (leader text, session_id bigint, token bigint, term bigint, since timestamptz)
AS 'MODULE_PATHNAME', 'atomix_election_leader'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.election_leader(text, text) IS
  'Who leads; no row if nobody does. Errors: MX008 the service has another type, 22004 null.';

--
-- Guards
--

CREATE FUNCTION atomix.assert_lock(
  name text,
  token bigint,
  namespace text DEFAULT '')
RETURNS void
AS 'MODULE_PATHNAME', 'atomix_assert_lock'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.assert_lock(text, bigint, text) IS
  'Makes sure that a lock is held with that token by a session of the caller''s role, and stays so until the transaction ends. Errors: MX006 it is not, MX008 the service has another type, 57P03 server not ready, 25006 read-only, 40001 concurrent change.';

CREATE FUNCTION atomix.assert_leader(
  name text,
  token bigint,
  namespace text DEFAULT '')
RETURNS void
AS 'MODULE_PATHNAME', 'atomix_assert_leader'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.assert_leader(text, bigint, text) IS
  'Makes sure that an election is led with that token, as assert_lock does. Errors: MX006 it is not, MX008 the service has another type, 57P03 server not ready, 25006 read-only, 40001 concurrent change.';

CREATE FUNCTION atomix.hold(
  name text,
  namespace text DEFAULT '')
RETURNS bigint
AS 'MODULE_PATHNAME', 'atomix_hold'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.hold(text, text) IS
  'Holds a lock without a session until the transaction ends, and returns a token newer than any grant''s. Waits as row locks do. Errors: 55P03 not within lock_timeout, 55000 granted in the same transaction, MX008 the service has another type, 57P03 server not ready, 25006 read-only, 40001 concurrent change.';

CREATE FUNCTION atomix.fence()
RETURNS trigger
AS 'MODULE_PATHNAME', 'atomix_fence'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.fence() IS
  'Trigger function: refuses writes whose transaction has not asserted the lock or election that the trigger names, as in atomix.fence(''name'' [, ''namespace'']). Errors: MX006 not asserted, 39P01 trigger without a name.';

--
-- Administration
--

CREATE FUNCTION atomix.lock_force_release(
  name text,
  token bigint,
  reason text,
  namespace text DEFAULT '')
RETURNS boolean
AS 'MODULE_PATHNAME', 'atomix_lock_force_release'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.lock_force_release(text, bigint, text, text) IS
  'Takes a lock away from whoever has it with that token, waiting for guards, and grants the next. What was done is kept in table intervention. False if there is no such grant. Errors: MX008 the service has another type, 57P03 server not ready, 25006 read-only, 40001 concurrent change.';
REVOKE ALL ON FUNCTION atomix.lock_force_release(text, bigint, text, text) FROM PUBLIC;

CREATE FUNCTION atomix.lock_transfer(
  name text,
  token bigint,
  ticket bigint,
  reason text,
  namespace text DEFAULT '')
RETURNS bigint
AS 'MODULE_PATHNAME', 'atomix_lock_transfer'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.lock_transfer(text, bigint, bigint, text, text) IS
  'Takes a lock away and gives it to a claim that waits; returns the new token, null if either is not there or if others share the lock and leave no room. What was done is kept in table intervention. Errors: MX008 the service has another type, 57P03 server not ready, 25006 read-only, 40001 concurrent change.';
REVOKE ALL ON FUNCTION atomix.lock_transfer(text, bigint, bigint, text, text) FROM PUBLIC;

CREATE FUNCTION atomix.set_lock_delay(
  name text,
  delay interval,
  namespace text DEFAULT '')
RETURNS void
AS 'MODULE_PATHNAME', 'atomix_set_lock_delay'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.set_lock_delay(text, interval, text) IS
  'Sets for how long after its holder''s session expired a lock is not granted to another. It does not apply to a clean release. Errors: 22023 negative delay, MX008 the service has another type, 57P03 server not ready, 25006 read-only, 40001 concurrent change.';
REVOKE ALL ON FUNCTION atomix.set_lock_delay(text, interval, text) FROM PUBLIC;

CREATE FUNCTION atomix.grant_namespace(
  namespace text,
  role text,
  privileges text,
  prefix boolean DEFAULT false)
RETURNS void
AS 'MODULE_PATHNAME', 'atomix_grant_namespace'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.grant_namespace(text, text, text, boolean) IS
  'Lets a role, or public, use a namespace, or all that begin with it if prefix is true: read; write, which includes it; admin, which includes both. It replaces what the role was granted on the same name. The caller must be allowed to administer all of it. Errors: 42501 not allowed, 42704 no such role, 22023 unknown privileges, 57P03 server not ready, 25006 read-only.';
REVOKE ALL ON FUNCTION atomix.grant_namespace(text, text, text, boolean) FROM PUBLIC;

CREATE FUNCTION atomix.revoke_namespace(
  namespace text,
  role text,
  prefix boolean DEFAULT false)
RETURNS boolean
AS 'MODULE_PATHNAME', 'atomix_revoke_namespace'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.revoke_namespace(text, text, boolean) IS
  'Takes back what grant_namespace gave with the same name and prefix; false if that was nothing. Sessions keep what they hold until they close it. Errors: 42501 not allowed, 42704 no such role, 57P03 server not ready, 25006 read-only.';
REVOKE ALL ON FUNCTION atomix.revoke_namespace(text, text, boolean) FROM PUBLIC;

CREATE FUNCTION atomix.partition_of(namespace text, name text)
RETURNS integer
AS 'MODULE_PATHNAME', 'atomix_partition_of'
LANGUAGE C STABLE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.partition_of(text, text) IS
  'The partition that services of that name belong to, here or on another server. Errors: 22023 empty name, 22004 null.';

CREATE FUNCTION atomix.place_partitions(here integer, locations text[])
RETURNS void
AS 'MODULE_PATHNAME', 'atomix_place_partitions'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.place_partitions(integer, text[]) IS
  'For administrators: says where each partition is, the first being 1, and which is that of this database. Everybody can read locations: no passwords. Errors: 55000 their number, or which is here, cannot be changed while there are services or sessions, 22023 no such partition or an empty location, 22004 null, 57P03 server not ready, 25006 read-only.';
REVOKE ALL ON FUNCTION atomix.place_partitions(integer, text[]) FROM PUBLIC;

CREATE FUNCTION atomix.set_limit(
  name text,
  value bigint DEFAULT NULL,
  namespace text DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME', 'atomix_set_limit'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.set_limit(text, bigint, text) IS
  'Sets a limit of a namespace, or, where that is null, of all that have none of their own; a null value takes it back. View limits shows which there are. What is beyond a lower limit stays. The caller must be allowed to administer all namespaces. Errors: 42704 no such limit, 22023 value out of range, or the limit is about no namespace, 42501 not allowed, 57P03 server not ready, 25006 read-only.';
REVOKE ALL ON FUNCTION atomix.set_limit(text, bigint, text) FROM PUBLIC;

CREATE FUNCTION atomix.tick()
RETURNS bigint
AS 'MODULE_PATHNAME', 'atomix_tick'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.tick() IS
  'Does once what the worker does: takes over after a start, ends sessions that are due, numbers and tells changes, forgets old ones. Returns how many sessions it ended, at most 512; call it again while it returns that many. Not allowed in a transaction block (25001).';
REVOKE ALL ON FUNCTION atomix.tick() FROM PUBLIC;

CREATE FUNCTION atomix.after_restore()
RETURNS bigint
AS 'MODULE_PATHNAME', 'atomix_after_restore'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix.after_restore() IS
  'To be called where a copy of the data has begun to serve in place of what went on elsewhere: ends all sessions, whose locks are then free, begins a new term, and has watchers begin anew. Returns how many sessions it ended. It waits for transactions that use sessions. Not within a transaction block. Errors: 57P03 atomix is disabled, 25006 read-only.';
REVOKE ALL ON FUNCTION atomix.after_restore() FROM PUBLIC;

CREATE FUNCTION atomix.extension_version(OUT sql text, OUT library text)
AS 'MODULE_PATHNAME', 'atomix_extension_version'
LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION atomix.extension_version() IS
  'Version of the installed SQL objects and of the loaded library; while they differ every other function refuses (55000).';

CREATE FUNCTION atomix._advance_clock(by interval, stalled boolean DEFAULT false)
RETURNS void
AS 'MODULE_PATHNAME', 'atomix_advance_clock'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix._advance_clock(interval, boolean) IS
  'For tests: moves the lease clock of the whole server forward, as if the workers had run meanwhile, or, if stalled, as if the machine had been suspended. Superusers only; needs preload (55000).';
REVOKE ALL ON FUNCTION atomix._advance_clock(interval, boolean) FROM PUBLIC;

CREATE FUNCTION atomix._ring(session_id bigint)
RETURNS void
AS 'MODULE_PATHNAME', 'atomix_ring'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix._ring(bigint) IS
  'For tests: rings the doorbell for a session when the transaction commits. Errors: 22004 null.';
REVOKE ALL ON FUNCTION atomix._ring(bigint) FROM PUBLIC;

CREATE FUNCTION atomix._recode(message text, bytes bytea)
RETURNS bytea
AS 'MODULE_PATHNAME', 'atomix_recode'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION atomix._recode(text, bytea) IS
  'For tests: decodes bytes as the named message and encodes it again. Errors: 22P03 bytes that do not decode, 42704 unknown message.';
REVOKE ALL ON FUNCTION atomix._recode(text, bytea) FROM PUBLIC;

CREATE FUNCTION atomix._filter_contains(filter bytea, sequence_num bigint)
RETURNS boolean
AS 'MODULE_PATHNAME', 'atomix_filter_contains'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION atomix._filter_contains(bytea, bigint) IS
  'For tests: does a keep-alive''s filter contain the number? Errors: 22P03 malformed filter.';
REVOKE ALL ON FUNCTION atomix._filter_contains(bytea, bigint) FROM PUBLIC;

--
-- Views. They show a role its own sessions, and members of pg_monitor all.
--

CREATE FUNCTION atomix._lease_times(
  session_id bigint, epoch integer, renewed_at bigint, served bigint, timeout bigint,
  OUT last_renewed_at timestamptz, OUT deadline timestamptz)
AS 'MODULE_PATHNAME', 'atomix_lease_times'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix._lease_times(bigint, integer, bigint, bigint, bigint) IS
  'For the view sessions: a lease in wall time; nulls where the lease clock is not known, as on a standby.';

CREATE FUNCTION atomix._workers(
  OUT database oid, OUT pid integer, OUT state text, OUT last_cycle timestamptz,
  OUT lag interval, OUT last_error text, OUT library text, OUT sql text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'atomix_workers'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix._workers() IS
  'For the view workers: the worker of this database, and for members of pg_monitor those of all.';

CREATE FUNCTION atomix._may(namespace text, privileges text)
RETURNS boolean
AS 'MODULE_PATHNAME', 'atomix_may'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix._may(text, text) IS
  'For the views: may the role that asks do that in the namespace? Errors: 22004 null, 22023 unknown privileges.';

CREATE FUNCTION atomix._namespace_grants(
  OUT namespace text, OUT is_prefix boolean, OUT role text, OUT privileges text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'atomix_namespace_grants'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix._namespace_grants() IS
  'For the view namespace_grants: the grants that the role that asks may see.';

CREATE FUNCTION atomix._limit(name text, namespace text DEFAULT NULL)
RETURNS bigint
AS 'MODULE_PATHNAME', 'atomix_limit'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION atomix._limit(text, text) IS
  'For the view limits: the limit in a namespace, or, where that is null, of all others; null if there is none. Errors: 22004 null, 42704 no such limit.';

CREATE VIEW atomix.sessions WITH (security_barrier) AS
  SELECT s.session_id, s.partition_id, s.name, s.kind,
    COALESCE(s.labels, '{}'::pg_catalog.jsonb) AS labels,
    s.owner, s.application_name, s.client_addr, s.opened_at,
    t.last_renewed_at, t.deadline,
    pg_catalog.make_interval(secs => s.timeout OPERATOR(pg_catalog./) 1000000.0::pg_catalog.float8) AS timeout,
    s.state, s.reason
  FROM atomix.session s
    LEFT JOIN atomix.lease l ON l.session_id OPERATOR(pg_catalog.=) s.session_id
    LEFT JOIN LATERAL atomix._lease_times(l.session_id, l.epoch, l.renewed_at, l.served, l.timeout) t
      ON l.session_id IS NOT NULL
  WHERE pg_catalog.pg_has_role(s.owner::pg_catalog.oid, 'USAGE')
    OR pg_catalog.pg_has_role('pg_monitor', 'USAGE');
COMMENT ON VIEW atomix.sessions IS
  'Sessions, also ended ones for a while. deadline is the time after which a session may be ended; it is ended at most 100 ms later while the worker runs.';
GRANT SELECT ON atomix.sessions TO PUBLIC;

CREATE VIEW atomix.partitions WITH (security_barrier) AS
  SELECT COALESCE(p.partition_id, l.partition_id) AS partition_id, p.term, p.leader, p.since, l.location
  FROM atomix.partition p
    FULL JOIN atomix.placement l ON l.partition_id OPERATOR(pg_catalog.=) p.partition_id;
COMMENT ON VIEW atomix.partitions IS
  'Partitions: the term rises with each change of the server that leads. Of those that are on other servers only the location is known.';
GRANT SELECT ON atomix.partitions TO PUBLIC;

CREATE VIEW atomix.workers WITH (security_barrier) AS
  SELECT d.datname AS database, w.pid, w.state, w.last_cycle, w.lag,
    w.last_error, w.library, w.sql
  FROM atomix._workers() w
    JOIN pg_catalog.pg_database d ON d.oid OPERATOR(pg_catalog.=) w.database;
COMMENT ON VIEW atomix.workers IS
  'The worker of this database, and for members of pg_monitor those of all: running, idle (disabled, of another version, or nothing to serve), starting, or waiting to be started. lag: how late the latest batch of expired sessions came. last_error is for members of pg_monitor.';
GRANT SELECT ON atomix.workers TO PUBLIC;

CREATE VIEW atomix.methods WITH (security_barrier) AS
  SELECT m.path, m.request, m.response, m.function, p.proretset AS server_streaming
  FROM atomix._methods() m
    JOIN pg_catalog.pg_proc p ON p.proname OPERATOR(pg_catalog.=) m.function::pg_catalog.name
      AND p.pronamespace OPERATOR(pg_catalog.=) 'atomix'::pg_catalog.regnamespace::pg_catalog.oid;
COMMENT ON VIEW atomix.methods IS
  'Methods that call() knows, by their gRPC paths: the messages they take and return, the function that serves them, and whether that returns several.';
GRANT SELECT ON atomix.methods TO PUBLIC;

CREATE VIEW atomix.services WITH (security_barrier) AS
  SELECT s.service_id, s.partition_id, s.type, s.namespace, s.name, s.revision,
    (SELECT pg_catalog.count(*) FROM atomix.attachment a
      WHERE a.service_id OPERATOR(pg_catalog.=) s.service_id) AS sessions,
    (SELECT pg_catalog.count(*) FROM atomix.entry e
      WHERE e.service_id OPERATOR(pg_catalog.=) s.service_id) AS entries
  FROM atomix.service s
  WHERE (atomix._may(s.namespace, 'read') OR pg_catalog.pg_has_role('pg_monitor', 'USAGE'));
COMMENT ON VIEW atomix.services IS
  'Services: how many sessions have each open, and how many entries it has, with those whose time to live is over but that nobody has removed yet.';
GRANT SELECT ON atomix.services TO PUBLIC;

CREATE VIEW atomix.attachments WITH (security_barrier) AS
  SELECT a.session_id, a.service_id, v.type, v.namespace, v.name, a.deleted
  FROM atomix.attachment a
    JOIN atomix.session s ON s.session_id OPERATOR(pg_catalog.=) a.session_id
    LEFT JOIN atomix.service v ON v.service_id OPERATOR(pg_catalog.=) a.service_id
      AND (atomix._may(v.namespace, 'read') OR pg_catalog.pg_has_role('pg_monitor', 'USAGE'))
  WHERE pg_catalog.pg_has_role(s.owner::pg_catalog.oid, 'USAGE')
    OR pg_catalog.pg_has_role('pg_monitor', 'USAGE');
COMMENT ON VIEW atomix.attachments IS
  'Which session has which service open; deleted: the service was deleted since. What the role may not read (any more) is shown by its id only.';
GRANT SELECT ON atomix.attachments TO PUBLIC;

CREATE VIEW atomix.counters WITH (security_barrier) AS
  SELECT s.namespace, s.name,
    CASE WHEN atomix._may(s.namespace, 'read') THEN s.value END AS value, s.service_id
  FROM atomix.service s
  WHERE s.type OPERATOR(pg_catalog.=) 'counter'
    AND (atomix._may(s.namespace, 'read') OR pg_catalog.pg_has_role('pg_monitor', 'USAGE'));
COMMENT ON VIEW atomix.counters IS 'Counters with their values; these are null for members of pg_monitor who may not read the namespace.';
GRANT SELECT ON atomix.counters TO PUBLIC;

CREATE VIEW atomix.maps WITH (security_barrier) AS
  SELECT s.namespace, s.name,
    (SELECT pg_catalog.count(*) FROM atomix.entry e
      WHERE e.service_id OPERATOR(pg_catalog.=) s.service_id) AS entries,
    s.service_id
  FROM atomix.service s
  WHERE s.type OPERATOR(pg_catalog.=) 'map'
    AND (atomix._may(s.namespace, 'read') OR pg_catalog.pg_has_role('pg_monitor', 'USAGE'));
COMMENT ON VIEW atomix.maps IS
  'Maps with the number of their entries, as in view services.';
GRANT SELECT ON atomix.maps TO PUBLIC;

CREATE VIEW atomix.locks WITH (security_barrier) AS
  SELECT s.service_id, s.namespace, s.name, c.session_id,
    c.position OPERATOR(pg_catalog.<) 0 AS granted,
    CASE WHEN c.position OPERATOR(pg_catalog.<) 0 THEN OPERATOR(pg_catalog.-) c.position END AS token,
    c.claim_id AS ticket, c.weight OPERATOR(pg_catalog.=) 1 AS shared, c.since,
    e.owner, e.name AS session_name, e.application_name, e.client_addr
  FROM atomix.service s
    LEFT JOIN atomix.claim c ON c.service_id OPERATOR(pg_catalog.=) s.service_id
    LEFT JOIN atomix.session e ON e.session_id OPERATOR(pg_catalog.=) c.session_id
      AND (pg_catalog.pg_has_role(e.owner::pg_catalog.oid, 'USAGE')
        OR pg_catalog.pg_has_role('pg_monitor', 'USAGE'))
  WHERE s.type OPERATOR(pg_catalog.=) 'lock'
    AND (atomix._may(s.namespace, 'read') OR pg_catalog.pg_has_role('pg_monitor', 'USAGE'));
COMMENT ON VIEW atomix.locks IS
  'Locks: a row for each claim, granted or waiting, and one with nulls if there is none. Session 0: the delay after a session that expired. What is known of the session is shown to members of its owner''s role and of pg_monitor.';
GRANT SELECT ON atomix.locks TO PUBLIC;

CREATE VIEW atomix.semaphores WITH (security_barrier) AS
  SELECT s.service_id, s.namespace, s.name, s.value AS capacity, c.session_id,
    c.position OPERATOR(pg_catalog.<) 0 AS granted,
    CASE WHEN c.position OPERATOR(pg_catalog.<) 0 THEN OPERATOR(pg_catalog.-) c.position END AS token,
    c.claim_id AS ticket, c.weight AS permits, c.since,
    e.owner, e.name AS session_name, e.application_name, e.client_addr
  FROM atomix.service s
    LEFT JOIN atomix.claim c ON c.service_id OPERATOR(pg_catalog.=) s.service_id
    LEFT JOIN atomix.session e ON e.session_id OPERATOR(pg_catalog.=) c.session_id
      AND (pg_catalog.pg_has_role(e.owner::pg_catalog.oid, 'USAGE')
        OR pg_catalog.pg_has_role('pg_monitor', 'USAGE'))
  WHERE s.type OPERATOR(pg_catalog.=) 'semaphore'
    AND (atomix._may(s.namespace, 'read') OR pg_catalog.pg_has_role('pg_monitor', 'USAGE'));
COMMENT ON VIEW atomix.semaphores IS
  'Semaphores: a row for each claim, granted or waiting, and one with nulls if there is none. What is known of the session is shown as in view locks.';
GRANT SELECT ON atomix.semaphores TO PUBLIC;

CREATE VIEW atomix.elections WITH (security_barrier) AS
  SELECT s.service_id, s.namespace, s.name, s.value AS term, c.session_id, c.candidate,
    c.position OPERATOR(pg_catalog.<) 0 AS granted,
    CASE WHEN c.position OPERATOR(pg_catalog.<) 0 THEN OPERATOR(pg_catalog.-) c.position END AS token,
    c.claim_id AS ticket, c.priority,
    CASE WHEN c.position OPERATOR(pg_catalog.>) 0 THEN c.position END AS queue_position, c.since, e.owner
  FROM atomix.service s
    LEFT JOIN atomix.claim c ON c.service_id OPERATOR(pg_catalog.=) s.service_id
    LEFT JOIN atomix.session e ON e.session_id OPERATOR(pg_catalog.=) c.session_id
      AND (pg_catalog.pg_has_role(e.owner::pg_catalog.oid, 'USAGE')
        OR pg_catalog.pg_has_role('pg_monitor', 'USAGE'))
  WHERE s.type OPERATOR(pg_catalog.=) 'election'
    AND (atomix._may(s.namespace, 'read') OR pg_catalog.pg_has_role('pg_monitor', 'USAGE'));
COMMENT ON VIEW atomix.elections IS
  'Elections: a row for each candidate, who leads is granted, the others follow in order of queue_position; one with nulls if there is none. The owner is shown as in view locks.';
GRANT SELECT ON atomix.elections TO PUBLIC;

CREATE VIEW atomix.streams WITH (security_barrier) AS
  SELECT t.session_id, t.sequence_num, t.service_id, t.type, v.namespace, v.name, t.kind, t.key,
    t.acked AS acked_output, t.revision AS acked_revision,
    CASE WHEN t.closed IS NULL THEN v.revision OPERATOR(pg_catalog.-) t.revision END AS behind,
    t.closed IS NOT NULL AS closed, t.reason
  FROM atomix.stream t
    JOIN atomix.session s ON s.session_id OPERATOR(pg_catalog.=) t.session_id
    LEFT JOIN atomix.service v ON v.service_id OPERATOR(pg_catalog.=) t.service_id
      AND (atomix._may(v.namespace, 'read') OR pg_catalog.pg_has_role('pg_monitor', 'USAGE'))
  WHERE pg_catalog.pg_has_role(s.owner::pg_catalog.oid, 'USAGE')
    OR pg_catalog.pg_has_role('pg_monitor', 'USAGE');
COMMENT ON VIEW atomix.streams IS
  'Streams: how far each is acknowledged, and how many revisions its service is ahead of that.';
GRANT SELECT ON atomix.streams TO PUBLIC;

CREATE VIEW atomix.namespace_grants WITH (security_barrier) AS
  SELECT namespace, is_prefix, role, privileges FROM atomix._namespace_grants();
COMMENT ON VIEW atomix.namespace_grants IS
  'What roles were granted on namespaces, or, where is_prefix is true, on all that begin with the name: those of the roles one is a member of, those of namespaces one may administer, and all for members of pg_monitor.';
GRANT SELECT ON atomix.namespace_grants TO PUBLIC;

CREATE VIEW atomix.limits WITH (security_barrier) AS
  SELECT l.name, l.namespace, atomix._limit(l.name, l.namespace) AS value, l.used
  FROM (
    SELECT n.name, NULL::pg_catalog.text AS namespace, NULL::pg_catalog.int8 AS used
    FROM (VALUES ('name_length'), ('key_length'), ('value_size'), ('services'), ('entries'),
      ('bytes'), ('claims'), ('labels_size')) AS n (name)
    UNION ALL SELECT 'sessions', NULL, (SELECT pg_catalog.count(*) FROM atomix.lease
      WHERE pg_catalog.pg_has_role('pg_monitor', 'USAGE'))
    UNION ALL SELECT 'role_sessions', NULL, (SELECT pg_catalog.count(*) FROM atomix.lease t
      WHERE t.owner OPERATOR(pg_catalog.=) (SELECT r.oid FROM pg_catalog.pg_roles r
        WHERE r.rolname OPERATOR(pg_catalog.=) CURRENT_USER))
    UNION ALL SELECT 'session_services', NULL, (SELECT pg_catalog.max(k.n) FROM (
      SELECT pg_catalog.count(*) AS n FROM atomix.attachment t
        JOIN atomix.session s ON s.session_id OPERATOR(pg_catalog.=) t.session_id
      WHERE (pg_catalog.pg_has_role(s.owner::pg_catalog.oid, 'USAGE') OR pg_catalog.pg_has_role('pg_monitor', 'USAGE')) GROUP BY t.session_id) k)
    UNION ALL SELECT 'session_commands', NULL, (SELECT pg_catalog.max(k.n) FROM (
      SELECT pg_catalog.count(*) AS n FROM atomix.command t
        JOIN atomix.session s ON s.session_id OPERATOR(pg_catalog.=) t.session_id
      WHERE (pg_catalog.pg_has_role(s.owner::pg_catalog.oid, 'USAGE') OR pg_catalog.pg_has_role('pg_monitor', 'USAGE')) GROUP BY t.session_id) k)
    UNION ALL SELECT 'session_output', NULL, (SELECT pg_catalog.max(k.n) FROM (
      SELECT COALESCE(pg_catalog.sum(pg_catalog.octet_length(t.output)), 0)::pg_catalog.int8 AS n FROM atomix.command t
        JOIN atomix.session s ON s.session_id OPERATOR(pg_catalog.=) t.session_id
      WHERE (pg_catalog.pg_has_role(s.owner::pg_catalog.oid, 'USAGE') OR pg_catalog.pg_has_role('pg_monitor', 'USAGE')) GROUP BY t.session_id) k)
    UNION ALL SELECT 'session_streams', NULL, (SELECT pg_catalog.max(k.n) FROM (
      SELECT pg_catalog.count(*) AS n FROM atomix.stream t
        JOIN atomix.session s ON s.session_id OPERATOR(pg_catalog.=) t.session_id
      WHERE (pg_catalog.pg_has_role(s.owner::pg_catalog.oid, 'USAGE') OR pg_catalog.pg_has_role('pg_monitor', 'USAGE')) GROUP BY t.session_id) k)
    UNION ALL SELECT 'session_claims', NULL, (SELECT pg_catalog.max(k.n) FROM (
      SELECT pg_catalog.count(*) AS n FROM atomix.claim t
        JOIN atomix.session s ON s.session_id OPERATOR(pg_catalog.=) t.session_id
      WHERE (pg_catalog.pg_has_role(s.owner::pg_catalog.oid, 'USAGE') OR pg_catalog.pg_has_role('pg_monitor', 'USAGE')) GROUP BY t.session_id) k)
    UNION ALL SELECT u.name, v.namespace, u.used
    FROM (SELECT a.namespace, pg_catalog.count(a.service_id) AS services FROM (
        SELECT s.namespace, s.service_id FROM atomix.service s
        UNION ALL SELECT t.namespace, NULL FROM atomix.namespace_limit t WHERE NOT t.is_default) a
      WHERE atomix._may(a.namespace, 'read') OR pg_catalog.pg_has_role('pg_monitor', 'USAGE')
      GROUP BY a.namespace) v
    LEFT JOIN LATERAL (SELECT pg_catalog.count(*) AS entries,
        COALESCE(pg_catalog.sum(pg_catalog.octet_length(e.key)
          OPERATOR(pg_catalog.+) pg_catalog.octet_length(e.value)), 0)::pg_catalog.int8 AS bytes
      FROM atomix.service s JOIN atomix.entry e ON e.service_id OPERATOR(pg_catalog.=) s.service_id
      WHERE s.namespace OPERATOR(pg_catalog.=) v.namespace) c ON true
    LEFT JOIN LATERAL (SELECT pg_catalog.max(k.n) AS claims FROM (
        SELECT pg_catalog.count(*) AS n
        FROM atomix.service s JOIN atomix.claim t ON t.service_id OPERATOR(pg_catalog.=) s.service_id
        WHERE s.namespace OPERATOR(pg_catalog.=) v.namespace GROUP BY s.service_id) k) q ON true
    CROSS JOIN LATERAL (VALUES ('name_length', NULL), ('key_length', NULL), ('value_size', NULL),
      ('services', v.services), ('entries', c.entries), ('bytes', c.bytes),
      ('claims', q.claims)) AS u (name, used)
  ) l;
COMMENT ON VIEW atomix.limits IS
  'Limits with what is used of them, counted as one looks: those of each namespace that one may read, and, where namespace is null, those of sessions and what counts in other namespaces. value null: no limit. Of sessions, used is the most that one of those has that one may see.';
GRANT SELECT ON atomix.limits TO PUBLIC;

--
-- Dump: what outlives the server. Sessions and leases do not.
--

SELECT pg_catalog.pg_extension_config_dump('atomix.index_seq', '');
SELECT pg_catalog.pg_extension_config_dump('atomix.authority', '');
SELECT pg_catalog.pg_extension_config_dump('atomix.clock_epoch', '');
SELECT pg_catalog.pg_extension_config_dump('atomix.partition', '');
SELECT pg_catalog.pg_extension_config_dump('atomix.partition_term', '');
SELECT pg_catalog.pg_extension_config_dump('atomix.placement', '');
SELECT pg_catalog.pg_extension_config_dump('atomix.service', '');
SELECT pg_catalog.pg_extension_config_dump('atomix.entry', '');
SELECT pg_catalog.pg_extension_config_dump('atomix.intervention', '');
SELECT pg_catalog.pg_extension_config_dump('atomix.namespace_grant', '');
SELECT pg_catalog.pg_extension_config_dump('atomix.namespace_limit', '');
