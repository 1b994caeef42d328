-- What init-db of version 2 made, with four partitions: a server that is upgraded.
CREATE SCHEMA spamd;
CREATE TABLE spamd.version (version int NOT NULL, node bigint NOT NULL, home text NOT NULL);
INSERT INTO spamd.version VALUES (2, 4711, '');
CREATE TABLE spamd.hosts (
  net text COLLATE "C" NOT NULL, ip text COLLATE "C" NOT NULL, kind text NOT NULL, first bigint NOT NULL, pass bigint NOT NULL, expire bigint NOT NULL, bcount bigint NOT NULL, pcount bigint NOT NULL, comment text, reset_at bigint, reset_node bigint, grant_at bigint, grant_node bigint, white_at bigint, white_node bigint, trap_at bigint, trap_node bigint, hand_at bigint, hand_node bigint, hand_pinned boolean, hand_kind text, hand_expire bigint, white_first bigint, white_pass bigint, white_expire bigint, trap_first bigint, trap_expire bigint,
  PRIMARY KEY (ip, net)
) PARTITION BY HASH (net);
CREATE INDEX trapped_hosts ON spamd.hosts (ip) WHERE kind = 'TRAPPED';
CREATE TABLE spamd.tuples (
  net text COLLATE "C" NOT NULL, ip text COLLATE "C" NOT NULL, digest uuid NOT NULL,
  helo bytea NOT NULL, sender bytea NOT NULL, recipient bytea NOT NULL, is_removed boolean NOT NULL, first bigint NOT NULL, pass bigint NOT NULL, expire bigint NOT NULL, bcount bigint NOT NULL, pcount bigint NOT NULL, last bigint, epoch_at bigint, epoch_node bigint, first_node bigint, last_node bigint,
  PRIMARY KEY (ip, digest, net)
) PARTITION BY HASH (net);
CREATE INDEX removed_hosts ON spamd.hosts (ip) WHERE kind = '-';
CREATE INDEX tuples_expire ON spamd.tuples (expire, ip) WHERE NOT is_removed;
CREATE INDEX passed_tuples ON spamd.tuples (pass, ip) WHERE pass < expire AND NOT is_removed;
CREATE INDEX removed_tuples ON spamd.tuples (ip) WHERE is_removed;
CREATE TABLE spamd.hosts_0 PARTITION OF spamd.hosts FOR VALUES WITH (MODULUS 4, REMAINDER 0) WITH (fillfactor = 85);
CREATE TABLE spamd.tuples_0 PARTITION OF spamd.tuples FOR VALUES WITH (MODULUS 4, REMAINDER 0) WITH (fillfactor = 85);
CREATE TABLE spamd.hosts_1 PARTITION OF spamd.hosts FOR VALUES WITH (MODULUS 4, REMAINDER 1) WITH (fillfactor = 85);
CREATE TABLE spamd.tuples_1 PARTITION OF spamd.tuples FOR VALUES WITH (MODULUS 4, REMAINDER 1) WITH (fillfactor = 85);
CREATE TABLE spamd.hosts_2 PARTITION OF spamd.hosts FOR VALUES WITH (MODULUS 4, REMAINDER 2) WITH (fillfactor = 85);
CREATE TABLE spamd.tuples_2 PARTITION OF spamd.tuples FOR VALUES WITH (MODULUS 4, REMAINDER 2) WITH (fillfactor = 85);
CREATE TABLE spamd.hosts_3 PARTITION OF spamd.hosts FOR VALUES WITH (MODULUS 4, REMAINDER 3) WITH (fillfactor = 85);
CREATE TABLE spamd.tuples_3 PARTITION OF spamd.tuples FOR VALUES WITH (MODULUS 4, REMAINDER 3) WITH (fillfactor = 85);
CREATE TABLE spamd.spamtraps (
  digest uuid GENERATED ALWAYS AS (md5(address)::uuid) STORED PRIMARY KEY, address bytea NOT NULL,
  is_removed boolean NOT NULL, first bigint NOT NULL, comment text, stamp_at bigint, stamp_node bigint
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
CREATE TABLE spamd.pools (network text COLLATE "C" PRIMARY KEY, is_removed boolean NOT NULL, pool text, first bigint NOT NULL, pass bigint NOT NULL, expire bigint NOT NULL, bcount bigint NOT NULL, pcount bigint NOT NULL, reset_at bigint, reset_node bigint);
CREATE INDEX pools_of_key ON spamd.pools (pool, expire) WHERE NOT is_removed;
CREATE TYPE spamd.loaded_pool AS (n int, is_removed boolean, pool text, first bigint, pass bigint, expire bigint, bcount bigint, pcount bigint, reset_at bigint, reset_node bigint);
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
CREATE TYPE spamd.loaded_host AS (n int, kind text, first bigint, pass bigint, expire bigint, bcount bigint, pcount bigint, comment text, reset_at bigint, reset_node bigint, grant_at bigint, grant_node bigint, white_at bigint, white_node bigint, trap_at bigint, trap_node bigint, hand_at bigint, hand_node bigint, hand_pinned boolean, hand_kind text, hand_expire bigint, white_first bigint, white_pass bigint, white_expire bigint, trap_first bigint, trap_expire bigint);
CREATE TYPE spamd.loaded_tuple AS (n int, is_removed boolean, first bigint, pass bigint, expire bigint, bcount bigint, pcount bigint, last bigint, epoch_at bigint, epoch_node bigint, first_node bigint, last_node bigint);
CREATE TYPE spamd.found_tuple AS (helo text, sender text, recipient text, is_removed boolean, first bigint, pass bigint, expire bigint, bcount bigint, pcount bigint, last bigint, epoch_at bigint, epoch_node bigint, first_node bigint, last_node bigint);
CREATE TYPE spamd.loaded_spamtrap AS (n int, is_removed boolean, first bigint, comment text, stamp_at bigint, stamp_node bigint);
DROP INDEX spamd.history_keys;
CREATE OR REPLACE FUNCTION spamd.load_hosts(nets text[], ips text[], is_locking boolean) RETURNS SETOF spamd.loaded_host LANGUAGE plpgsql SET search_path = spamd, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off
  SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET lock_timeout = '3s' AS $$
#variable_conflict use_column
BEGIN
IF cardinality(ips) = 1 AND is_locking THEN
    RETURN QUERY SELECT 1, h.kind, h.first, h.pass, h.expire, h.bcount, h.pcount, h.comment, h.reset_at, h.reset_node, h.grant_at, h.grant_node, h.white_at, h.white_node, h.trap_at, h.trap_node, h.hand_at, h.hand_node, h.hand_pinned, h.hand_kind, h.hand_expire, h.white_first, h.white_pass, h.white_expire, h.trap_first, h.trap_expire FROM hosts h WHERE h.net = nets[1] AND h.ip = ips[1] FOR NO KEY UPDATE OF h;
  ELSIF is_locking THEN
    RETURN QUERY SELECT k.n::int, h.kind, h.first, h.pass, h.expire, h.bcount, h.pcount, h.comment, h.reset_at, h.reset_node, h.grant_at, h.grant_node, h.white_at, h.white_node, h.trap_at, h.trap_node, h.hand_at, h.hand_node, h.hand_pinned, h.hand_kind, h.hand_expire, h.white_first, h.white_pass, h.white_expire, h.trap_first, h.trap_expire FROM unnest(nets, ips) WITH ORDINALITY k(net, ip, n)
      JOIN hosts h ON h.net = k.net AND h.ip = k.ip ORDER BY h.ip FOR NO KEY UPDATE OF h;
  ELSE
    RETURN QUERY SELECT k.n::int, h.kind, h.first, h.pass, h.expire, h.bcount, h.pcount, h.comment, h.reset_at, h.reset_node, h.grant_at, h.grant_node, h.white_at, h.white_node, h.trap_at, h.trap_node, h.hand_at, h.hand_node, h.hand_pinned, h.hand_kind, h.hand_expire, h.white_first, h.white_pass, h.white_expire, h.trap_first, h.trap_expire FROM unnest(nets, ips) WITH ORDINALITY k(net, ip, n)
      JOIN hosts h ON h.net = k.net AND h.ip = k.ip;
  END IF;
END $$;
CREATE OR REPLACE FUNCTION spamd.load_tuples(nets text[], ips text[], digests uuid[], is_locking boolean) RETURNS SETOF spamd.loaded_tuple LANGUAGE plpgsql SET search_path = spamd, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off
  SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET lock_timeout = '3s' AS $$
#variable_conflict use_column
BEGIN
IF cardinality(ips) = 1 AND is_locking THEN
    RETURN QUERY SELECT 1, t.is_removed, t.first, t.pass, t.expire, t.bcount, t.pcount, t.last, t.epoch_at, t.epoch_node, t.first_node, t.last_node FROM tuples t WHERE t.net = nets[1] AND t.ip = ips[1] AND t.digest = digests[1] FOR NO KEY UPDATE OF t;
  ELSIF is_locking THEN
    RETURN QUERY SELECT k.n::int, t.is_removed, t.first, t.pass, t.expire, t.bcount, t.pcount, t.last, t.epoch_at, t.epoch_node, t.first_node, t.last_node
      FROM unnest(nets, ips, digests) WITH ORDINALITY k(net, ip, digest, n)
      JOIN tuples t ON t.net = k.net AND t.ip = k.ip AND t.digest = k.digest ORDER BY t.ip, t.digest FOR NO KEY UPDATE OF t;
  ELSE
    RETURN QUERY SELECT k.n::int, t.is_removed, t.first, t.pass, t.expire, t.bcount, t.pcount, t.last, t.epoch_at, t.epoch_node, t.first_node, t.last_node
      FROM unnest(nets, ips, digests) WITH ORDINALITY k(net, ip, digest, n) JOIN tuples t ON t.net = k.net AND t.ip = k.ip AND t.digest = k.digest;
  END IF;
END $$;
CREATE OR REPLACE FUNCTION spamd.load_spamtraps(addresses text[], is_locking boolean) RETURNS SETOF spamd.loaded_spamtrap LANGUAGE plpgsql SET search_path = spamd, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off
  SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET lock_timeout = '3s' AS $$
#variable_conflict use_column
BEGIN
IF is_locking THEN
    RETURN QUERY SELECT k.n::int, s.is_removed, s.first, s.comment, s.stamp_at, s.stamp_node FROM unnest(addresses) WITH ORDINALITY k(address, n)
      JOIN spamtraps s ON s.digest = md5(convert_to(k.address, 'LATIN1'))::uuid ORDER BY s.digest FOR NO KEY UPDATE OF s;
  ELSE
    RETURN QUERY SELECT k.n::int, s.is_removed, s.first, s.comment, s.stamp_at, s.stamp_node FROM unnest(addresses) WITH ORDINALITY k(address, n)
      JOIN spamtraps s ON s.digest = md5(convert_to(k.address, 'LATIN1'))::uuid;
  END IF;
END $$;
CREATE OR REPLACE FUNCTION spamd.count_tuples(nets text[], ips text[]) RETURNS TABLE (n int, tuple_count bigint) LANGUAGE plpgsql SET search_path = spamd, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off
  SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET lock_timeout = '3s' AS $$
#variable_conflict use_column
BEGIN
IF cardinality(ips) = 1 THEN
    RETURN QUERY SELECT 1, count(*) FROM tuples t WHERE t.net = nets[1] AND t.ip = ips[1] AND t.is_removed::int = 0;
  ELSE
    RETURN QUERY SELECT k.n::int, count(*) FROM unnest(nets, ips) WITH ORDINALITY k(net, ip, n)
      JOIN tuples t ON t.net = k.net AND t.ip = k.ip AND t.is_removed::int = 0 GROUP BY k.n;
  END IF;
END $$;
CREATE OR REPLACE FUNCTION spamd.oldest_tuples(of_net text, of_ip text, at_most bigint) RETURNS SETOF spamd.found_tuple LANGUAGE plpgsql SET search_path = spamd, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off
  SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET lock_timeout = '3s' AS $$
#variable_conflict use_column
BEGIN
RETURN QUERY SELECT convert_from(t.helo, 'LATIN1'), convert_from(t.sender, 'LATIN1'),
    convert_from(t.recipient, 'LATIN1'), t.is_removed, t.first, t.pass, t.expire, t.bcount, t.pcount, t.last, t.epoch_at, t.epoch_node, t.first_node, t.last_node FROM tuples t
    WHERE t.net = of_net AND t.ip = of_ip AND t.is_removed::int = 0 ORDER BY t.first, t.helo, t.sender, t.recipient LIMIT at_most FOR NO KEY UPDATE OF t;
END $$;
CREATE OR REPLACE FUNCTION spamd.insert_hosts(wanted bigint, nets text[], ips text[], kind_s text[], first_s bigint[], pass_s bigint[], expire_s bigint[], bcount_s bigint[], pcount_s bigint[], comment_s text[], reset_at_s bigint[], reset_node_s bigint[], grant_at_s bigint[], grant_node_s bigint[], white_at_s bigint[], white_node_s bigint[], trap_at_s bigint[], trap_node_s bigint[], hand_at_s bigint[], hand_node_s bigint[], hand_pinned_s boolean[], hand_kind_s text[], hand_expire_s bigint[], white_first_s bigint[], white_pass_s bigint[], white_expire_s bigint[], trap_first_s bigint[], trap_expire_s bigint[]) RETURNS void LANGUAGE plpgsql SET search_path = spamd, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off
  SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET lock_timeout = '3s' AS $$
#variable_conflict use_column
BEGIN
DECLARE done bigint; BEGIN
  INSERT INTO hosts (net, ip, kind, first, pass, expire, bcount, pcount, comment, reset_at, reset_node, grant_at, grant_node, white_at, white_node, trap_at, trap_node, hand_at, hand_node, hand_pinned, hand_kind, hand_expire, white_first, white_pass, white_expire, trap_first, trap_expire)
    SELECT * FROM unnest(nets, ips, kind_s, first_s, pass_s, expire_s, bcount_s, pcount_s, comment_s, reset_at_s, reset_node_s, grant_at_s, grant_node_s, white_at_s, white_node_s, trap_at_s, trap_node_s, hand_at_s, hand_node_s, hand_pinned_s, hand_kind_s, hand_expire_s, white_first_s, white_pass_s, white_expire_s, trap_first_s, trap_expire_s) ORDER BY 2;
  GET DIAGNOSTICS done = ROW_COUNT;
  IF done <> wanted THEN RAISE EXCEPTION 'changed by another transaction' USING ERRCODE = '40001'; END IF;
  END;
END $$;
CREATE OR REPLACE FUNCTION spamd.update_hosts(wanted bigint, nets text[], ips text[], kind_s text[], first_s bigint[], pass_s bigint[], expire_s bigint[], bcount_s bigint[], pcount_s bigint[], comment_s text[], reset_at_s bigint[], reset_node_s bigint[], grant_at_s bigint[], grant_node_s bigint[], white_at_s bigint[], white_node_s bigint[], trap_at_s bigint[], trap_node_s bigint[], hand_at_s bigint[], hand_node_s bigint[], hand_pinned_s boolean[], hand_kind_s text[], hand_expire_s bigint[], white_first_s bigint[], white_pass_s bigint[], white_expire_s bigint[], trap_first_s bigint[], trap_expire_s bigint[]) RETURNS void LANGUAGE plpgsql SET search_path = spamd, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off
  SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET lock_timeout = '3s' AS $$
#variable_conflict use_column
BEGIN
DECLARE done bigint; BEGIN
  UPDATE hosts t SET (kind, first, pass, expire, bcount, pcount, comment, reset_at, reset_node, grant_at, grant_node, white_at, white_node, trap_at, trap_node, hand_at, hand_node, hand_pinned, hand_kind, hand_expire, white_first, white_pass, white_expire, trap_first, trap_expire) = ROW(k.kind, k.first, k.pass, k.expire, k.bcount, k.pcount, k.comment, k.reset_at, k.reset_node, k.grant_at, k.grant_node, k.white_at, k.white_node, k.trap_at, k.trap_node, k.hand_at, k.hand_node, k.hand_pinned, k.hand_kind, k.hand_expire, k.white_first, k.white_pass, k.white_expire, k.trap_first, k.trap_expire)
    FROM unnest(nets, ips, kind_s, first_s, pass_s, expire_s, bcount_s, pcount_s, comment_s, reset_at_s, reset_node_s, grant_at_s, grant_node_s, white_at_s, white_node_s, trap_at_s, trap_node_s, hand_at_s, hand_node_s, hand_pinned_s, hand_kind_s, hand_expire_s, white_first_s, white_pass_s, white_expire_s, trap_first_s, trap_expire_s) k(net, ip, kind, first, pass, expire, bcount, pcount, comment, reset_at, reset_node, grant_at, grant_node, white_at, white_node, trap_at, trap_node, hand_at, hand_node, hand_pinned, hand_kind, hand_expire, white_first, white_pass, white_expire, trap_first, trap_expire)
    WHERE t.net = k.net AND t.ip = k.ip;
  GET DIAGNOSTICS done = ROW_COUNT;
  IF done <> wanted THEN RAISE EXCEPTION 'changed by another transaction' USING ERRCODE = '40001'; END IF;
  END;
END $$;
CREATE OR REPLACE FUNCTION spamd.delete_hosts(wanted bigint, nets text[], ips text[]) RETURNS void LANGUAGE plpgsql SET search_path = spamd, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off
  SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET lock_timeout = '3s' AS $$
#variable_conflict use_column
BEGIN
DECLARE done bigint; BEGIN
  DELETE FROM hosts t USING unnest(nets, ips) k(net, ip) WHERE t.net = k.net AND t.ip = k.ip;
  GET DIAGNOSTICS done = ROW_COUNT;
  IF done <> wanted THEN RAISE EXCEPTION 'changed by another transaction' USING ERRCODE = '40001'; END IF;
  END;
END $$;
CREATE OR REPLACE FUNCTION spamd.insert_tuples(wanted bigint, nets text[], ips text[], digests uuid[], helos text[], senders text[], recipients text[],
  is_removed_s boolean[], first_s bigint[], pass_s bigint[], expire_s bigint[], bcount_s bigint[], pcount_s bigint[], last_s bigint[], epoch_at_s bigint[], epoch_node_s bigint[], first_node_s bigint[], last_node_s bigint[]) RETURNS void LANGUAGE plpgsql SET search_path = spamd, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off
  SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET lock_timeout = '3s' AS $$
#variable_conflict use_column
BEGIN
DECLARE done bigint; BEGIN
  INSERT INTO tuples (net, ip, digest, helo, sender, recipient, is_removed, first, pass, expire, bcount, pcount, last, epoch_at, epoch_node, first_node, last_node)
    SELECT net, ip, digest, convert_to(helo, 'LATIN1'), convert_to(sender, 'LATIN1'), convert_to(recipient, 'LATIN1'),
      is_removed, first, pass, expire, bcount, pcount, last, epoch_at, epoch_node, first_node, last_node
    FROM unnest(nets, ips, digests, helos, senders, recipients, is_removed_s, first_s, pass_s, expire_s, bcount_s, pcount_s, last_s, epoch_at_s, epoch_node_s, first_node_s, last_node_s)
      k(net, ip, digest, helo, sender, recipient, is_removed, first, pass, expire, bcount, pcount, last, epoch_at, epoch_node, first_node, last_node) ORDER BY ip, digest;
  GET DIAGNOSTICS done = ROW_COUNT;
  IF done <> wanted THEN RAISE EXCEPTION 'changed by another transaction' USING ERRCODE = '40001'; END IF;
  END;
END $$;
CREATE OR REPLACE FUNCTION spamd.update_tuples(wanted bigint, nets text[], ips text[], digests uuid[], is_removed_s boolean[], first_s bigint[], pass_s bigint[], expire_s bigint[], bcount_s bigint[], pcount_s bigint[], last_s bigint[], epoch_at_s bigint[], epoch_node_s bigint[], first_node_s bigint[], last_node_s bigint[]) RETURNS void LANGUAGE plpgsql SET search_path = spamd, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off
  SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET lock_timeout = '3s' AS $$
#variable_conflict use_column
BEGIN
DECLARE done bigint; BEGIN
  UPDATE tuples t SET (is_removed, first, pass, expire, bcount, pcount, last, epoch_at, epoch_node, first_node, last_node) = ROW(k.is_removed, k.first, k.pass, k.expire, k.bcount, k.pcount, k.last, k.epoch_at, k.epoch_node, k.first_node, k.last_node)
    FROM unnest(nets, ips, digests, is_removed_s, first_s, pass_s, expire_s, bcount_s, pcount_s, last_s, epoch_at_s, epoch_node_s, first_node_s, last_node_s) k(net, ip, digest, is_removed, first, pass, expire, bcount, pcount, last, epoch_at, epoch_node, first_node, last_node)
    WHERE t.net = k.net AND t.ip = k.ip AND t.digest = k.digest;
  GET DIAGNOSTICS done = ROW_COUNT;
  IF done <> wanted THEN RAISE EXCEPTION 'changed by another transaction' USING ERRCODE = '40001'; END IF;
  END;
END $$;
CREATE OR REPLACE FUNCTION spamd.delete_tuples(wanted bigint, nets text[], ips text[], digests uuid[]) RETURNS void LANGUAGE plpgsql SET search_path = spamd, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off
  SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET lock_timeout = '3s' AS $$
#variable_conflict use_column
BEGIN
DECLARE done bigint; BEGIN
  DELETE FROM tuples t USING unnest(nets, ips, digests) k(net, ip, digest) WHERE t.net = k.net AND t.ip = k.ip AND t.digest = k.digest;
  GET DIAGNOSTICS done = ROW_COUNT;
  IF done <> wanted THEN RAISE EXCEPTION 'changed by another transaction' USING ERRCODE = '40001'; END IF;
  END;
END $$;
CREATE OR REPLACE FUNCTION spamd.insert_spamtraps(wanted bigint, addresses text[], is_removed_s boolean[], first_s bigint[], comment_s text[], stamp_at_s bigint[], stamp_node_s bigint[]) RETURNS void LANGUAGE plpgsql SET search_path = spamd, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off
  SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET lock_timeout = '3s' AS $$
#variable_conflict use_column
BEGIN
DECLARE done bigint; BEGIN
  INSERT INTO spamtraps (address, is_removed, first, comment, stamp_at, stamp_node)
    SELECT convert_to(address, 'LATIN1'), is_removed, first, comment, stamp_at, stamp_node
    FROM unnest(addresses, is_removed_s, first_s, comment_s, stamp_at_s, stamp_node_s) k(address, is_removed, first, comment, stamp_at, stamp_node) ORDER BY 1 ON CONFLICT DO NOTHING;
  GET DIAGNOSTICS done = ROW_COUNT;
  IF done <> wanted THEN RAISE EXCEPTION 'changed by another transaction' USING ERRCODE = '40001'; END IF;
  END;
END $$;
CREATE OR REPLACE FUNCTION spamd.update_spamtraps(wanted bigint, addresses text[], is_removed_s boolean[], first_s bigint[], comment_s text[], stamp_at_s bigint[], stamp_node_s bigint[]) RETURNS void LANGUAGE plpgsql SET search_path = spamd, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off
  SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET lock_timeout = '3s' AS $$
#variable_conflict use_column
BEGIN
DECLARE done bigint; BEGIN
  UPDATE spamtraps t SET (is_removed, first, comment, stamp_at, stamp_node) = ROW(k.is_removed, k.first, k.comment, k.stamp_at, k.stamp_node)
    FROM unnest(addresses, is_removed_s, first_s, comment_s, stamp_at_s, stamp_node_s) k(address, is_removed, first, comment, stamp_at, stamp_node)
    WHERE t.digest = md5(convert_to(k.address, 'LATIN1'))::uuid;
  GET DIAGNOSTICS done = ROW_COUNT;
  IF done <> wanted THEN RAISE EXCEPTION 'changed by another transaction' USING ERRCODE = '40001'; END IF;
  END;
END $$;
CREATE OR REPLACE FUNCTION spamd.delete_spamtraps(wanted bigint, addresses text[]) RETURNS void LANGUAGE plpgsql SET search_path = spamd, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off
  SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET lock_timeout = '3s' AS $$
#variable_conflict use_column
BEGIN
DECLARE done bigint; BEGIN
  DELETE FROM spamtraps t USING unnest(addresses) k(address) WHERE t.digest = md5(convert_to(k.address, 'LATIN1'))::uuid;
  GET DIAGNOSTICS done = ROW_COUNT;
  IF done <> wanted THEN RAISE EXCEPTION 'changed by another transaction' USING ERRCODE = '40001'; END IF;
  END;
END $$;
CREATE OR REPLACE FUNCTION spamd.load_pools(networks text[], is_locking boolean) RETURNS SETOF spamd.loaded_pool LANGUAGE plpgsql SET search_path = spamd, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off
  SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET lock_timeout = '3s' AS $$
#variable_conflict use_column
BEGIN
IF is_locking THEN
    RETURN QUERY SELECT k.n::int, p.is_removed, p.pool, p.first, p.pass, p.expire, p.bcount, p.pcount, p.reset_at, p.reset_node FROM unnest(networks) WITH ORDINALITY k(network, n)
      JOIN pools p ON p.network = k.network ORDER BY p.network FOR NO KEY UPDATE OF p;
  ELSE
    RETURN QUERY SELECT k.n::int, p.is_removed, p.pool, p.first, p.pass, p.expire, p.bcount, p.pcount, p.reset_at, p.reset_node FROM unnest(networks) WITH ORDINALITY k(network, n)
      JOIN pools p ON p.network = k.network;
  END IF;
END $$;
CREATE OR REPLACE FUNCTION spamd.insert_pools(wanted bigint, networks text[], is_removed_s boolean[], pool_s text[], first_s bigint[], pass_s bigint[], expire_s bigint[], bcount_s bigint[], pcount_s bigint[], reset_at_s bigint[], reset_node_s bigint[]) RETURNS void LANGUAGE plpgsql SET search_path = spamd, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off
  SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET lock_timeout = '3s' AS $$
#variable_conflict use_column
BEGIN
DECLARE done bigint; BEGIN
  INSERT INTO pools (network, is_removed, pool, first, pass, expire, bcount, pcount, reset_at, reset_node)
    SELECT * FROM unnest(networks, is_removed_s, pool_s, first_s, pass_s, expire_s, bcount_s, pcount_s, reset_at_s, reset_node_s) ORDER BY 1 ON CONFLICT DO NOTHING;
  GET DIAGNOSTICS done = ROW_COUNT;
  IF done <> wanted THEN RAISE EXCEPTION 'changed by another transaction' USING ERRCODE = '40001'; END IF;
  END;
END $$;
CREATE OR REPLACE FUNCTION spamd.update_pools(wanted bigint, networks text[], is_removed_s boolean[], pool_s text[], first_s bigint[], pass_s bigint[], expire_s bigint[], bcount_s bigint[], pcount_s bigint[], reset_at_s bigint[], reset_node_s bigint[]) RETURNS void LANGUAGE plpgsql SET search_path = spamd, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off
  SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET lock_timeout = '3s' AS $$
#variable_conflict use_column
BEGIN
DECLARE done bigint; BEGIN
  UPDATE pools t SET (is_removed, pool, first, pass, expire, bcount, pcount, reset_at, reset_node) = ROW(k.is_removed, k.pool, k.first, k.pass, k.expire, k.bcount, k.pcount, k.reset_at, k.reset_node)
    FROM unnest(networks, is_removed_s, pool_s, first_s, pass_s, expire_s, bcount_s, pcount_s, reset_at_s, reset_node_s) k(network, is_removed, pool, first, pass, expire, bcount, pcount, reset_at, reset_node) WHERE t.network = k.network;
  GET DIAGNOSTICS done = ROW_COUNT;
  IF done <> wanted THEN RAISE EXCEPTION 'changed by another transaction' USING ERRCODE = '40001'; END IF;
  END;
END $$;
CREATE OR REPLACE FUNCTION spamd.delete_pools(wanted bigint, networks text[]) RETURNS void LANGUAGE plpgsql SET search_path = spamd, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off
  SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET lock_timeout = '3s' AS $$
#variable_conflict use_column
BEGIN
DECLARE done bigint; BEGIN
  DELETE FROM pools t USING unnest(networks) k(network) WHERE t.network = k.network;
  GET DIAGNOSTICS done = ROW_COUNT;
  IF done <> wanted THEN RAISE EXCEPTION 'changed by another transaction' USING ERRCODE = '40001'; END IF;
  END;
END $$;
CREATE OR REPLACE FUNCTION spamd.add_counts(of_slot int, of_hour bigint, names text[], labels text[], counts bigint[], tuples_change bigint, pools_change bigint,
  bytes_change bigint) RETURNS void LANGUAGE plpgsql SET search_path = spamd, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off
  SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET lock_timeout = '3s' AS $$
#variable_conflict use_column
BEGIN
INSERT INTO hourly_counts AS c (hour, slot, name, label, count)
    SELECT of_hour, of_slot, name, label, count FROM unnest(names, labels, counts) k(name, label, count) ORDER BY name, label
    ON CONFLICT (hour, slot, name, label) DO UPDATE SET count = c.count + excluded.count;
  IF tuples_change <> 0 OR pools_change <> 0 OR bytes_change <> 0 THEN
    INSERT INTO totals AS c (slot, tuple_count, pool_count, text_bytes)
      VALUES (of_slot, tuples_change, pools_change, bytes_change)
      ON CONFLICT (slot) DO UPDATE SET tuple_count = c.tuple_count + excluded.tuple_count,
        pool_count = c.pool_count + excluded.pool_count, text_bytes = c.text_bytes + excluded.text_bytes;
  END IF;
END $$;
CREATE OR REPLACE FUNCTION spamd.put_release(of_id text, from_text text, to_text text, of_network text, of_scope int, from_first bigint, to_expire bigint,
  of_used bigint, of_author text, new_at bigint, new_node bigint, old_at bigint, old_node bigint) RETURNS void LANGUAGE plpgsql SET search_path = spamd, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off
  SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET lock_timeout = '3s' AS $$
#variable_conflict use_column
BEGIN
DECLARE done bigint; wanted bigint := 1; BEGIN
  INSERT INTO releases AS r VALUES (of_id, convert_to(from_text, 'LATIN1'), convert_to(to_text, 'LATIN1'), of_network, of_scope,
    from_first, to_expire, of_used, of_author, new_at, new_node)
  ON CONFLICT (id) DO UPDATE SET expire = excluded.expire, used = excluded.used, stamp_at = excluded.stamp_at,
    stamp_node = excluded.stamp_node WHERE r.stamp_at = old_at AND r.stamp_node = old_node;
  GET DIAGNOSTICS done = ROW_COUNT;
  IF done <> wanted THEN RAISE EXCEPTION 'changed by another transaction' USING ERRCODE = '40001'; END IF;
  END;
END $$;
CREATE OR REPLACE FUNCTION spamd.evict_sources(nets text[], lows text[], highs text[], counts bigint[]) RETURNS TABLE (net text, evicted bigint, pools bigint, bytes bigint) LANGUAGE plpgsql SET search_path = spamd, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off
  SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET lock_timeout = '3s' AS $$
#variable_conflict use_column
BEGIN
DECLARE last_net text; left_count bigint; gone_count bigint; gone_pools bigint; gone_bytes bigint; BEGIN
  FOR i IN 1 .. coalesce(array_length(nets, 1), 0) LOOP
    IF nets[i] IS DISTINCT FROM last_net THEN left_count := counts[i]; END IF;
    last_net := nets[i];
    WITH gone AS (
      DELETE FROM tuples t WHERE (t.ip, t.digest, t.net) IN (
        SELECT c.ip, c.digest, c.net FROM tuples c
        WHERE c.net = nets[i] AND c.ip >= lows[i] AND c.ip < highs[i] AND c.is_removed::int = 0
        ORDER BY c.bcount > 1, c.first LIMIT left_count FOR UPDATE SKIP LOCKED)
      RETURNING octet_length(t.helo) + octet_length(t.sender) + octet_length(t.recipient) AS size, (helo = '' AND (strpos(ip, '/') > 0 OR ip LIKE 'spf:%' OR ip = 'learn')) AS is_pool)
    SELECT count(*), count(*) FILTER (WHERE is_pool), coalesce(sum(size), 0) INTO gone_count, gone_pools, gone_bytes FROM gone;
    left_count := left_count - gone_count;
    RETURN QUERY SELECT nets[i], gone_count, gone_pools, gone_bytes;
  END LOOP;
  END;
END $$;
CREATE OR REPLACE FUNCTION spamd.keep_history(day date, drop_before date) RETURNS void LANGUAGE plpgsql
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
REVOKE ALL ON FUNCTION spamd.keep_history(date, date) FROM PUBLIC;
GRANT USAGE ON SCHEMA spamd TO spamd_daemon, spamd_monitor;
GRANT SELECT ON ALL TABLES IN SCHEMA spamd TO spamd_monitor;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA spamd TO spamd_daemon;
REVOKE INSERT, UPDATE, DELETE ON spamd.version FROM spamd_daemon;
GRANT UPDATE (node, home) ON spamd.version TO spamd_daemon;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA spamd TO spamd_daemon;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA spamd TO spamd_daemon;
ALTER DEFAULT PRIVILEGES IN SCHEMA spamd GRANT SELECT ON TABLES TO spamd_monitor;
GRANT ALL ON ALL TABLES IN SCHEMA spamd TO spamd_admin; GRANT ALL ON SCHEMA spamd TO spamd_admin;
SELECT spamd.keep_history('today', 'epoch'); SELECT spamd.keep_history('tomorrow', 'epoch');
