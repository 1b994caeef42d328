/**
 * The functions on a server through which batches are loaded and stored. They are recreated at every step of
 * the schema. A function keeps its plans for a connection, also through pgbouncer, where prepared statements
 * are lost between transactions.
 */
import {
  type Columns,
  HOST_COLUMNS,
  IS_POOL_TUPLE,
  names,
  POOL_COLUMNS,
  SPAMTRAP_COLUMNS,
  TUPLE_COLUMNS,
} from './pg-schema.js'

function parameters(columns: Columns): string {
  return columns.map(([name, type]) => `${name}_s ${type}[]`).join(', ')
}

function arrays(columns: Columns): string {
  return columns.map(([name]) => `${name}_s`).join(', ')
}

/** Arrays as rows in their order, which is already that of the keys: nothing is buffered on the way to the table. */
function unnested(keys: Readonly<Record<string, string>>, columns: Columns): string {
  const all = [...Object.entries(keys), ...columns.map(([name]) => [name, `${name}_s`] as const)]
  return all.map(([name, array]) => `unnest(${array}) AS ${name}`).join(', ')
}

/**
 * Plans are made once a connection and must not depend on how full the tables were then; what waits for a lock longer than
 * the time-out of a batch fails.
 */
const SETTINGS = `SET search_path = spamd, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off
  SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET lock_timeout = '3s'`

const LATIN1 = `'LATIN1'`

const createFunction = (name: string, parameterList: string, returns: string, body: string): string =>
  `CREATE OR REPLACE FUNCTION spamd.${name}(${parameterList}) RETURNS ${returns} LANGUAGE plpgsql ${SETTINGS} AS $$
#variable_conflict use_column
BEGIN
${body}
END $$;`

/** Another transaction inserted or removed a row with the same key first: the batch is decided again. */
const CHANGED = `GET DIAGNOSTICS done = ROW_COUNT;
  IF done <> wanted THEN RAISE EXCEPTION 'changed by another transaction' USING ERRCODE = '40001'; END IF;`

const createWriter = (name: string, parameterList: string, statement: string): string =>
  createFunction(
    name,
    parameterList,
    'void',
    `DECLARE done bigint; BEGIN\n  ${statement};\n  ${CHANGED}\n  END;`,
  )

/**
 * Tuples that were not deleted, said so that no partial index fits: while a table is new and its statistics are empty, one of
 * those would be read from end to end for each key.
 */
const IS_HELD = (alias: string): string => `${alias}.is_removed::int = 0`

const TUPLE_KEY = 't.net = k.net AND t.ip = k.ip AND t.digest = k.digest'

/**
 * A single key is looked up by its values, so that the server opens only its partition. For several keys it opens all,
 * which would cost a single dialogue more than everything else.
 */
const ONE_HOST = 'FROM hosts h WHERE h.net = nets[1] AND h.ip = ips[1]'
const ONE_TUPLE = 'FROM tuples t WHERE t.net = nets[1] AND t.ip = ips[1] AND t.digest = digests[1]'

/** The columns of a tuple in a row that only counts. */
const NO_TUPLE = TUPLE_COLUMNS.map(([, type]) => `NULL::${type}`).join(', ')

/** The functions that load and store batches; created again at every step of the schema. */
export const FUNCTIONS: readonly string[] = [
  createFunction(
    'load_hosts',
    'nets text[], ips text[], is_locking boolean',
    'SETOF spamd.loaded_host',
    `IF cardinality(ips) = 1 AND is_locking THEN
    RETURN QUERY SELECT 1, ${names(HOST_COLUMNS, 'h.')} ${ONE_HOST} FOR NO KEY UPDATE OF h;
  ELSIF is_locking THEN
    RETURN QUERY SELECT k.n::int, ${names(HOST_COLUMNS, 'h.')} FROM unnest(nets, ips) WITH ORDINALITY k(net, ip, n)
      JOIN hosts h ON h.net = k.net AND h.ip = k.ip ORDER BY h.ip FOR NO KEY UPDATE OF h;
  ELSE
    RETURN QUERY SELECT k.n::int, ${names(HOST_COLUMNS, 'h.')} FROM unnest(nets, ips) WITH ORDINALITY k(net, ip, n)
      JOIN hosts h ON h.net = k.net AND h.ip = k.ip;
  END IF;`,
  ),
  // For counted addresses, each digest is looked up only if the first query found any tuple: in a flood of
  // new mail, never. Counts are separate rows.
  createFunction(
    'load_tuples',
    'nets text[], ips text[], digests uuid[], is_locking boolean, counted_nets text[], counted_ips text[]',
    'SETOF spamd.counted_tuple',
    `DECLARE known jsonb; known_ns bigint[]; held_counts bigint[]; BEGIN
  IF cardinality(counted_ips) = 1 THEN
    RETURN QUERY SELECT 1, count(*), ${NO_TUPLE} FROM tuples t
      WHERE t.net = counted_nets[1] AND t.ip = counted_ips[1] AND ${IS_HELD('t')};
  ELSIF cardinality(counted_ips) > 1 THEN
    SELECT jsonb_object_agg(c.ip, true), array_agg(c.n), array_agg(c.held_count) INTO known, known_ns, held_counts FROM (
      SELECT k.n, k.ip, count(*) FILTER (WHERE NOT t.is_removed) AS held_count
      FROM unnest(counted_nets, counted_ips) WITH ORDINALITY k(net, ip, n)
      JOIN tuples t ON t.net = k.net AND t.ip = k.ip GROUP BY k.n, k.ip) AS c;
    IF known IS NULL THEN RETURN; END IF;
    RETURN QUERY SELECT k.n::int, k.held_count, ${NO_TUPLE} FROM unnest(known_ns, held_counts) k(n, held_count);
  END IF;
  IF cardinality(ips) = 1 AND is_locking THEN
    RETURN QUERY SELECT 1, NULL::bigint, ${names(TUPLE_COLUMNS, 't.')} ${ONE_TUPLE} FOR NO KEY UPDATE OF t;
  ELSIF is_locking THEN
    RETURN QUERY SELECT k.n::int, NULL::bigint, ${names(TUPLE_COLUMNS, 't.')}
      FROM unnest(nets, ips, digests) WITH ORDINALITY k(net, ip, digest, n)
      JOIN tuples t ON ${TUPLE_KEY} WHERE known IS NULL OR known ? k.ip ORDER BY t.ip, t.digest FOR NO KEY UPDATE OF t;
  ELSE
    RETURN QUERY SELECT k.n::int, NULL::bigint, ${names(TUPLE_COLUMNS, 't.')}
      FROM unnest(nets, ips, digests) WITH ORDINALITY k(net, ip, digest, n) JOIN tuples t ON ${TUPLE_KEY};
  END IF;
  END;`,
  ),
  createFunction(
    'load_spamtraps',
    'addresses text[], is_locking boolean',
    'SETOF spamd.loaded_spamtrap',
    `IF is_locking THEN
    RETURN QUERY SELECT k.n::int, ${names(SPAMTRAP_COLUMNS, 's.')} FROM unnest(addresses) WITH ORDINALITY k(address, n)
      JOIN spamtraps s ON s.digest = md5(convert_to(k.address, ${LATIN1}))::uuid ORDER BY s.digest FOR NO KEY UPDATE OF s;
  ELSE
    RETURN QUERY SELECT k.n::int, ${names(SPAMTRAP_COLUMNS, 's.')} FROM unnest(addresses) WITH ORDINALITY k(address, n)
      JOIN spamtraps s ON s.digest = md5(convert_to(k.address, ${LATIN1}))::uuid;
  END IF;`,
  ),
  createFunction(
    'oldest_tuples',
    'of_net text, of_ip text, at_most bigint',
    'SETOF spamd.found_tuple',
    `RETURN QUERY SELECT convert_from(t.helo, ${LATIN1}), convert_from(t.sender, ${LATIN1}),
    convert_from(t.recipient, ${LATIN1}), ${names(TUPLE_COLUMNS, 't.')} FROM tuples t
    WHERE t.net = of_net AND t.ip = of_ip AND ${IS_HELD('t')} ORDER BY t.first, t.helo, t.sender, t.recipient LIMIT at_most FOR NO KEY UPDATE OF t;`,
  ),
  createWriter(
    'insert_hosts',
    `wanted bigint, nets text[], ips text[], ${parameters(HOST_COLUMNS)}`,
    `INSERT INTO hosts (net, ip, ${names(HOST_COLUMNS)}) SELECT ${unnested({ net: 'nets', ip: 'ips' }, HOST_COLUMNS)}`,
  ),
  createWriter(
    'update_hosts',
    `wanted bigint, nets text[], ips text[], ${parameters(HOST_COLUMNS)}`,
    `UPDATE hosts t SET (${names(HOST_COLUMNS)}) = ROW(${names(HOST_COLUMNS, 'k.')})
    FROM unnest(nets, ips, ${arrays(HOST_COLUMNS)}) k(net, ip, ${names(HOST_COLUMNS)})
    WHERE t.net = k.net AND t.ip = k.ip`,
  ),
  createWriter(
    'delete_hosts',
    'wanted bigint, nets text[], ips text[]',
    `DELETE FROM hosts t USING unnest(nets, ips) k(net, ip) WHERE t.net = k.net AND t.ip = k.ip`,
  ),
  createWriter(
    'insert_tuples',
    `wanted bigint, nets text[], ips text[], digests uuid[], helos text[], senders text[], recipients text[],
  ${parameters(TUPLE_COLUMNS)}`,
    `INSERT INTO tuples (net, ip, digest, helo, sender, recipient, ${names(TUPLE_COLUMNS)})
    SELECT net, ip, digest, convert_to(helo, ${LATIN1}), convert_to(sender, ${LATIN1}), convert_to(recipient, ${LATIN1}),
      ${names(TUPLE_COLUMNS)}
    FROM (SELECT ${unnested({ net: 'nets', ip: 'ips', digest: 'digests', helo: 'helos', sender: 'senders', recipient: 'recipients' }, TUPLE_COLUMNS)}) AS k`,
  ),
  createWriter(
    'update_tuples',
    `wanted bigint, nets text[], ips text[], digests uuid[], ${parameters(TUPLE_COLUMNS)}`,
    `UPDATE tuples t SET (${names(TUPLE_COLUMNS)}) = ROW(${names(TUPLE_COLUMNS, 'k.')})
    FROM unnest(nets, ips, digests, ${arrays(TUPLE_COLUMNS)}) k(net, ip, digest, ${names(TUPLE_COLUMNS)})
    WHERE ${TUPLE_KEY}`,
  ),
  createWriter(
    'delete_tuples',
    'wanted bigint, nets text[], ips text[], digests uuid[]',
    `DELETE FROM tuples t USING unnest(nets, ips, digests) k(net, ip, digest) WHERE ${TUPLE_KEY}`,
  ),
  createWriter(
    'insert_spamtraps',
    `wanted bigint, addresses text[], ${parameters(SPAMTRAP_COLUMNS)}`,
    `INSERT INTO spamtraps (address, ${names(SPAMTRAP_COLUMNS)})
    SELECT convert_to(address, ${LATIN1}), ${names(SPAMTRAP_COLUMNS)}
    FROM unnest(addresses, ${arrays(SPAMTRAP_COLUMNS)}) k(address, ${names(SPAMTRAP_COLUMNS)}) ORDER BY 1 ON CONFLICT DO NOTHING`,
  ),
  createWriter(
    'update_spamtraps',
    `wanted bigint, addresses text[], ${parameters(SPAMTRAP_COLUMNS)}`,
    `UPDATE spamtraps t SET (${names(SPAMTRAP_COLUMNS)}) = ROW(${names(SPAMTRAP_COLUMNS, 'k.')})
    FROM unnest(addresses, ${arrays(SPAMTRAP_COLUMNS)}) k(address, ${names(SPAMTRAP_COLUMNS)})
    WHERE t.digest = md5(convert_to(k.address, ${LATIN1}))::uuid`,
  ),
  createWriter(
    'delete_spamtraps',
    'wanted bigint, addresses text[]',
    `DELETE FROM spamtraps t USING unnest(addresses) k(address) WHERE t.digest = md5(convert_to(k.address, ${LATIN1}))::uuid`,
  ),
  createFunction(
    'load_pools',
    'networks text[], is_locking boolean',
    'SETOF spamd.loaded_pool',
    `IF is_locking THEN
    RETURN QUERY SELECT k.n::int, ${names(POOL_COLUMNS, 'p.')} FROM unnest(networks) WITH ORDINALITY k(network, n)
      JOIN pools p ON p.network = k.network ORDER BY p.network FOR NO KEY UPDATE OF p;
  ELSE
    RETURN QUERY SELECT k.n::int, ${names(POOL_COLUMNS, 'p.')} FROM unnest(networks) WITH ORDINALITY k(network, n)
      JOIN pools p ON p.network = k.network;
  END IF;`,
  ),
  createWriter(
    'insert_pools',
    `wanted bigint, networks text[], ${parameters(POOL_COLUMNS)}`,
    `INSERT INTO pools (network, ${names(POOL_COLUMNS)})
    SELECT * FROM unnest(networks, ${arrays(POOL_COLUMNS)}) ORDER BY 1 ON CONFLICT DO NOTHING`,
  ),
  createWriter(
    'update_pools',
    `wanted bigint, networks text[], ${parameters(POOL_COLUMNS)}`,
    `UPDATE pools t SET (${names(POOL_COLUMNS)}) = ROW(${names(POOL_COLUMNS, 'k.')})
    FROM unnest(networks, ${arrays(POOL_COLUMNS)}) k(network, ${names(POOL_COLUMNS)}) WHERE t.network = k.network`,
  ),
  createWriter(
    'delete_pools',
    'wanted bigint, networks text[]',
    'DELETE FROM pools t USING unnest(networks) k(network) WHERE t.network = k.network',
  ),
  createFunction(
    'add_counts',
    `of_slot int, of_hour bigint, names text[], labels text[], counts bigint[], tuples_change bigint, pools_change bigint,
  bytes_change bigint`,
    'void',
    `INSERT INTO hourly_counts AS c (hour, slot, name, label, count)
    SELECT of_hour, of_slot, name, label, count FROM unnest(names, labels, counts) k(name, label, count) ORDER BY name, label
    ON CONFLICT (hour, slot, name, label) DO UPDATE SET count = c.count + excluded.count;
  IF tuples_change <> 0 OR pools_change <> 0 OR bytes_change <> 0 THEN
    INSERT INTO totals AS c (slot, tuple_count, pool_count, text_bytes)
      VALUES (of_slot, tuples_change, pools_change, bytes_change)
      ON CONFLICT (slot) DO UPDATE SET tuple_count = c.tuple_count + excluded.tuple_count,
        pool_count = c.pool_count + excluded.pool_count, text_bytes = c.text_bytes + excluded.text_bytes;
  END IF;`,
  ),
  createFunction(
    'put_release',
    `of_id text, from_text text, to_text text, of_network text, of_scope int, from_first bigint, to_expire bigint,
  of_used bigint, of_author text, new_at bigint, new_node bigint, old_at bigint, old_node bigint`,
    'void',
    `DECLARE done bigint; wanted bigint := 1; BEGIN
  INSERT INTO releases AS r VALUES (of_id, convert_to(from_text, ${LATIN1}), convert_to(to_text, ${LATIN1}), of_network, of_scope,
    from_first, to_expire, of_used, of_author, new_at, new_node)
  ON CONFLICT (id) DO UPDATE SET expire = excluded.expire, used = excluded.used, stamp_at = excluded.stamp_at,
    stamp_node = excluded.stamp_node WHERE r.stamp_at = old_at AND r.stamp_node = old_node;
  ${CHANGED}
  END;`,
  ),
  // Called by older gateways, in which tuples of addresses and of pools were evicted together; see pg-limits.ts.
  createFunction(
    'evict_sources',
    'nets text[], lows text[], highs text[], counts bigint[]',
    'TABLE (net text, evicted bigint, pools bigint, bytes bigint)',
    `DECLARE last_net text; left_count bigint; gone_count bigint; gone_pools bigint; gone_bytes bigint; BEGIN
  FOR i IN 1 .. coalesce(array_length(nets, 1), 0) LOOP
    IF nets[i] IS DISTINCT FROM last_net THEN left_count := counts[i]; END IF;
    last_net := nets[i];
    WITH gone AS (
      DELETE FROM tuples t WHERE (t.ip, t.digest, t.net) IN (
        SELECT c.ip, c.digest, c.net FROM tuples c
        WHERE c.net = nets[i] AND c.ip >= lows[i] AND c.ip < highs[i] AND ${IS_HELD('c')}
        ORDER BY c.bcount > 1, c.first LIMIT left_count FOR UPDATE SKIP LOCKED)
      RETURNING octet_length(t.helo) + octet_length(t.sender) + octet_length(t.recipient) AS size, ${IS_POOL_TUPLE} AS is_pool)
    SELECT count(*), count(*) FILTER (WHERE is_pool), coalesce(sum(size), 0) INTO gone_count, gone_pools, gone_bytes FROM gone;
    left_count := left_count - gone_count;
    RETURN QUERY SELECT nets[i], gone_count, gone_pools, gone_bytes;
  END LOOP;
  END;`,
  ),
  // Partitions are created and dropped with the privileges of the owner of the tables: a daemon needs no
  // permission to change tables.
  `CREATE OR REPLACE FUNCTION spamd.keep_history(day date, drop_before date) RETURNS void LANGUAGE plpgsql
  SECURITY DEFINER SET search_path = spamd, pg_temp SET lock_timeout = '1s' AS $$
DECLARE part text := 'history_' || to_char(day, 'YYYYMMDD'); old record;
  since bigint := extract(epoch FROM day::timestamp); until bigint := extract(epoch FROM (day + 1)::timestamp);
BEGIN
  IF to_regclass('spamd.' || part) IS NULL THEN
    -- Rows of that day that are there already were kept in the rest.
    EXECUTE format('CREATE TABLE %I (LIKE history INCLUDING DEFAULTS)', part);
    LOCK TABLE history_rest IN ACCESS EXCLUSIVE MODE;
    EXECUTE format('WITH moved AS (DELETE FROM history_rest WHERE at >= %s AND at < %s RETURNING *)
      INSERT INTO %I SELECT * FROM moved', since, until, part);
    EXECUTE format('ALTER TABLE history ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)', part, since, until);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO spamd_daemon', part);
    EXECUTE format('GRANT SELECT ON %I TO spamd_monitor', part);
  END IF;
  FOR old IN SELECT relname FROM pg_inherits JOIN pg_class ON oid = inhrelid
    WHERE inhparent = 'spamd.history'::regclass AND relname < 'history_' || to_char(drop_before, 'YYYYMMDD')
      AND relname ~ '^history_[0-9]{8}$' LOOP
    EXECUTE format('DROP TABLE %I', old.relname);
  END LOOP;
END $$;
REVOKE ALL ON FUNCTION spamd.keep_history(date, date) FROM PUBLIC;`,
]
