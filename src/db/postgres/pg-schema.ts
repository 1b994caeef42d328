/**
 * The tables on a server, all in the schema `spamd`. Steps as in schema.ts: never change a published one,
 * append another.
 *
 * `hosts` and `tuples` carry the client's network (`net`, the /24 or /64 of the address) in their key and are
 * partitioned by it. Texts from the wire are bytes; `digest` stands for the three of a tuple and for a
 * spamtrap, because an index does not accept a row of 3 KB. An address that has no entry but marks (a
 * deletion) keeps its row with the kind `-`, which a change locks.
 *
 * Stamps are two columns: time in milliseconds * 2048 + counter, and the node. `journal` has one row for each
 * transaction that changed addresses or spamtraps; `xid` tells who has seen it (pg-journal.ts). Counters have
 * a row for each gateway (`slot`), so that gateways do not wait for each other.
 */

/** Default number of partitions of `hosts` and of `tuples`. */
export const DEFAULT_PARTITIONS = 16

/** Columns of `hosts` after its key, with their types: the order in which rows are read and written. */
export const HOST_COLUMNS = [
  ['kind', 'text'],
  ['first', 'bigint'],
  ['pass', 'bigint'],
  ['expire', 'bigint'],
  ['bcount', 'bigint'],
  ['pcount', 'bigint'],
  ['comment', 'text'],
  ['reset_at', 'bigint'],
  ['reset_node', 'bigint'],
  ['grant_at', 'bigint'],
  ['grant_node', 'bigint'],
  ['white_at', 'bigint'],
  ['white_node', 'bigint'],
  ['trap_at', 'bigint'],
  ['trap_node', 'bigint'],
  ['hand_at', 'bigint'],
  ['hand_node', 'bigint'],
  ['hand_pinned', 'boolean'],
  ['hand_kind', 'text'],
  ['hand_expire', 'bigint'],
  ['white_first', 'bigint'],
  ['white_pass', 'bigint'],
  ['white_expire', 'bigint'],
  ['trap_first', 'bigint'],
  ['trap_expire', 'bigint'],
] as const

/** The same of `tuples`, after its key and texts. */
export const TUPLE_COLUMNS = [
  ['is_removed', 'boolean'],
  ['first', 'bigint'],
  ['pass', 'bigint'],
  ['expire', 'bigint'],
  ['bcount', 'bigint'],
  ['pcount', 'bigint'],
  ['last', 'bigint'],
  ['epoch_at', 'bigint'],
  ['epoch_node', 'bigint'],
  ['first_node', 'bigint'],
  ['last_node', 'bigint'],
] as const

/** And of `spamtraps`. */
export const SPAMTRAP_COLUMNS = [
  ['is_removed', 'boolean'],
  ['first', 'bigint'],
  ['comment', 'text'],
  ['stamp_at', 'bigint'],
  ['stamp_node', 'bigint'],
] as const

/** And of `pools`, the networks that pools of senders opened. */
export const POOL_COLUMNS = [
  ['is_removed', 'boolean'],
  ['pool', 'text'],
  ['first', 'bigint'],
  ['pass', 'bigint'],
  ['expire', 'bigint'],
  ['bcount', 'bigint'],
  ['pcount', 'bigint'],
  ['reset_at', 'bigint'],
  ['reset_node', 'bigint'],
] as const

/** SQL: a row of `tuples` counts the attempts of a pool; see poolKeyOf. */
export const IS_POOL_TUPLE = `(helo = '' AND (strpos(ip, '/') > 0 OR ip LIKE 'spf:%' OR ip = 'learn'))`

/** Columns with their types. */
export type Columns = readonly (readonly [name: string, type: string])[]

const NOT_NULL = new Set(['kind', 'first', 'pass', 'expire', 'bcount', 'pcount', 'is_removed'])

function definitions(columns: Columns): string {
  return columns.map(([name, type]) => `${name} ${type}${NOT_NULL.has(name) ? ' NOT NULL' : ''}`).join(', ')
}

/** Names of columns, each after a prefix. */
export function names(columns: Columns, prefix = ''): string {
  return columns.map(([name]) => prefix + name).join(', ')
}

/** Steps from one version of the tables to the next. */
export const MIGRATIONS: readonly ((partitionCount: number) => string)[] = [
  (partitionCount) => `
CREATE TABLE spamd.hosts (
  net text COLLATE "C" NOT NULL, ip text COLLATE "C" NOT NULL, ${definitions(HOST_COLUMNS)},
  PRIMARY KEY (ip, net)
) PARTITION BY HASH (net);
CREATE INDEX trapped_hosts ON spamd.hosts (ip) WHERE kind = 'TRAPPED';
CREATE TABLE spamd.tuples (
  net text COLLATE "C" NOT NULL, ip text COLLATE "C" NOT NULL, digest uuid NOT NULL,
  helo bytea NOT NULL, sender bytea NOT NULL, recipient bytea NOT NULL, ${definitions(TUPLE_COLUMNS)},
  PRIMARY KEY (ip, digest, net)
) PARTITION BY HASH (net);
CREATE INDEX removed_hosts ON spamd.hosts (ip) WHERE kind = '-';
CREATE INDEX tuples_expire ON spamd.tuples (expire, ip) WHERE NOT is_removed;
CREATE INDEX passed_tuples ON spamd.tuples (pass, ip) WHERE pass < expire AND NOT is_removed;
CREATE INDEX removed_tuples ON spamd.tuples (ip) WHERE is_removed;
${Array.from({ length: partitionCount }, (_, n) =>
  ['hosts', 'tuples']
    .map(
      (table) =>
        `CREATE TABLE spamd.${table}_${n} PARTITION OF spamd.${table} FOR VALUES WITH (MODULUS ${partitionCount}, REMAINDER ${n}) WITH (fillfactor = 85);`,
    )
    .join('\n'),
).join('\n')}
CREATE TABLE spamd.spamtraps (
  digest uuid GENERATED ALWAYS AS (md5(address)::uuid) STORED PRIMARY KEY, address bytea NOT NULL,
  ${definitions(SPAMTRAP_COLUMNS)}
);
CREATE TABLE spamd.journal (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  rows bytea NOT NULL
);
CREATE INDEX journal_xid ON spamd.journal (xid);
CREATE INDEX journal_at ON spamd.journal (at);
CREATE TABLE spamd.journal_readers (
  name text PRIMARY KEY, position bigint NOT NULL, snapshot text NOT NULL, timeline text NOT NULL,
  at timestamptz NOT NULL
);
CREATE TABLE spamd.history (
  seq bigint GENERATED ALWAYS AS IDENTITY, xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
  event bigint NOT NULL, at bigint NOT NULL, rule int NOT NULL, actor text, kind int NOT NULL,
  key text COLLATE "C" NOT NULL, before text, after text,
  PRIMARY KEY (seq, at)
) PARTITION BY RANGE (at);
CREATE INDEX history_keys ON spamd.history (left(key, 48), seq);
CREATE INDEX history_xid ON spamd.history (xid);
CREATE TABLE spamd.history_rest PARTITION OF spamd.history DEFAULT;
CREATE SEQUENCE spamd.history_events;
CREATE TABLE spamd.hourly_counts (
  hour bigint NOT NULL, slot int NOT NULL, name text NOT NULL, label text NOT NULL, count bigint NOT NULL,
  PRIMARY KEY (hour, slot, name, label)
);
CREATE TABLE spamd.totals (
  slot int PRIMARY KEY, tuple_count bigint NOT NULL, pool_count bigint NOT NULL, text_bytes bigint NOT NULL
) WITH (fillfactor = 50);
CREATE TABLE spamd.pools (network text COLLATE "C" PRIMARY KEY, ${definitions(POOL_COLUMNS)});
CREATE INDEX pools_of_key ON spamd.pools (pool, expire) WHERE NOT is_removed;
CREATE TYPE spamd.loaded_pool AS (n int, ${POOL_COLUMNS.map(([name, type]) => `${name} ${type}`).join(', ')});
CREATE TABLE spamd.releases (
  id text PRIMARY KEY, sender bytea, recipient bytea, network text, scope int NOT NULL, first bigint NOT NULL,
  expire bigint NOT NULL, used bigint NOT NULL, author text, stamp_at bigint NOT NULL, stamp_node bigint NOT NULL
);
CREATE TABLE spamd.allow_sources (
  name text COLLATE "C" PRIMARY KEY, first bigint NOT NULL, expire bigint NOT NULL, checked bigint NOT NULL, comment text
);
CREATE TABLE spamd.allow_ranges (
  source text COLLATE "C" NOT NULL, network text COLLATE "C" NOT NULL, PRIMARY KEY (source, network)
);
CREATE TABLE spamd.sync_peers (
  node bigint PRIMARY KEY, name text NOT NULL, position bigint NOT NULL, newest bigint NOT NULL,
  number bigint NOT NULL, heard bigint NOT NULL
);
CREATE TABLE spamd.settings (name text PRIMARY KEY, value text NOT NULL);
CREATE TABLE spamd.leases (
  name text PRIMARY KEY, holder text NOT NULL, until timestamptz NOT NULL, done timestamptz
);
CREATE TYPE spamd.loaded_host AS (n int, ${HOST_COLUMNS.map(([name, type]) => `${name} ${type}`).join(', ')});
CREATE TYPE spamd.loaded_tuple AS (n int, ${TUPLE_COLUMNS.map(([name, type]) => `${name} ${type}`).join(', ')});
CREATE TYPE spamd.found_tuple AS (helo text, sender text, recipient text, ${TUPLE_COLUMNS.map(([name, type]) => `${name} ${type}`).join(', ')});
CREATE TYPE spamd.loaded_spamtrap AS (n int, ${SPAMTRAP_COLUMNS.map(([name, type]) => `${name} ${type}`).join(', ')});`,
  // A random index page for each new tuple cost every batch a third of its history time; a search for an address
  // scans at most a million rows. This version also changes functions.
  () => 'DROP INDEX spamd.history_keys;',
  // One function finds tuples and counts those of an address, instead of two that looked up each key twice.
  () => `DROP FUNCTION IF EXISTS spamd.load_tuples(text[], text[], uuid[], boolean);
DROP FUNCTION IF EXISTS spamd.count_tuples(text[], text[]);
CREATE TYPE spamd.counted_tuple AS (n int, tuple_count bigint, ${TUPLE_COLUMNS.map(([name, type]) => `${name} ${type}`).join(', ')});
DROP TYPE spamd.loaded_tuple;`,
]

/** Version of a server that has seen every step. */
export const PG_SCHEMA_VERSION = MIGRATIONS.length

/** Roles that are groups: a gateway's own role becomes a member of one. */
export const ROLES = ['spamd_admin', 'spamd_daemon', 'spamd_monitor'] as const

/** Rights of the roles on everything in the schema; run after every step. */
export const GRANTS = `
GRANT USAGE ON SCHEMA spamd TO spamd_daemon, spamd_monitor;
GRANT SELECT ON ALL TABLES IN SCHEMA spamd TO spamd_monitor;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA spamd TO spamd_daemon;
REVOKE INSERT, UPDATE, DELETE ON spamd.version FROM spamd_daemon;
GRANT UPDATE (node, home) ON spamd.version TO spamd_daemon;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA spamd TO spamd_daemon;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA spamd TO spamd_daemon;
ALTER DEFAULT PRIVILEGES IN SCHEMA spamd GRANT SELECT ON TABLES TO spamd_monitor;`
