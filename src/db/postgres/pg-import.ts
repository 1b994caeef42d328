/**
 * Whole entries in any number, in one transaction: they are put aside on the server in tables of this connection and then
 * merged by one statement each. Sets the same marks as decide-import.ts, whose rules this follows.
 */
import type { Entry } from '../../domain/entry.js'
import type { Stamp } from '../../domain/stamp.js'
import type { UpsertCounts } from '../store.js'
import { packStamp } from '../tables/marks-codec.js'
import { commentValue } from '../tables/wire-value.js'
import type { PgHistory } from './pg-history.js'
import { appendEverything } from './pg-journal.js'
import type { Statements } from './pg-link.js'
import { digestOf, netOf, wireText } from './pg-rows.js'
import { IS_POOL_TUPLE } from './pg-schema.js'
import type { TupleBalance } from './pg-writes.js'

const STAGE = `SET LOCAL idle_in_transaction_session_timeout = 0;
  CREATE TEMP TABLE staged_hosts (n bigint, net text COLLATE "C", ip text COLLATE "C", kind text, first bigint, pass bigint,
    expire bigint, bcount bigint, pcount bigint, comment text) ON COMMIT DROP;
  CREATE TEMP TABLE staged_spamtraps (n bigint, address bytea, first bigint, comment text) ON COMMIT DROP;
  CREATE TEMP TABLE staged_tuples (n bigint, net text COLLATE "C", ip text COLLATE "C", digest uuid, helo bytea, sender bytea,
    recipient bytea, first bigint, pass bigint, expire bigint, bcount bigint, pcount bigint) ON COMMIT DROP`
const STAGE_HOSTS = `INSERT INTO staged_hosts SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::bigint[],
  $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::text[])`
const STAGE_SPAMTRAPS = `INSERT INTO staged_spamtraps SELECT n, convert_to(address, 'LATIN1'), first, comment
  FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[]) k(n, address, first, comment)`
const STAGE_TUPLES = `INSERT INTO staged_tuples SELECT n, net, ip, digest, convert_to(helo, 'LATIN1'),
  convert_to(sender, 'LATIN1'), convert_to(recipient, 'LATIN1'), first, pass, expire, bcount, pcount
  FROM unnest($1::bigint[], $2::text[], $3::text[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::bigint[], $9::bigint[],
    $10::bigint[], $11::bigint[], $12::bigint[])
    k(n, net, ip, digest, helo, sender, recipient, first, pass, expire, bcount, pcount)`
const ANALYZE = 'ANALYZE staged_hosts; ANALYZE staged_spamtraps; ANALYZE staged_tuples'

/** The last of several with one key is used. */
const LAST_HOSTS = 'SELECT DISTINCT ON (ip, net) * FROM staged_hosts ORDER BY ip, net, n DESC'
const LAST_SPAMTRAPS = 'SELECT DISTINCT ON (address) * FROM staged_spamtraps ORDER BY address, n DESC'
const LAST_TUPLES =
  'SELECT DISTINCT ON (ip, digest, net) * FROM staged_tuples ORDER BY ip, digest, net, n DESC'

/** How many are new, and for tuples their bytes. */
const NEW_HOSTS = `SELECT count(*) FROM (${LAST_HOSTS}) s
  WHERE NOT EXISTS (SELECT 1 FROM spamd.hosts h WHERE h.net = s.net AND h.ip = s.ip AND h.kind <> '-')`
const NEW_SPAMTRAPS = `SELECT count(*) FROM (${LAST_SPAMTRAPS}) s
  WHERE NOT EXISTS (SELECT 1 FROM spamd.spamtraps t WHERE t.address = s.address AND NOT t.is_removed)`
const NEW_TUPLES = `SELECT count(*) FILTER (WHERE NOT ${IS_POOL_TUPLE}), count(*) FILTER (WHERE ${IS_POOL_TUPLE}), coalesce(sum(octet_length(helo) + octet_length(sender) + octet_length(recipient)), 0)::bigint
  FROM (${LAST_TUPLES}) s WHERE NOT EXISTS (
    SELECT 1 FROM spamd.tuples t WHERE t.net = s.net AND t.ip = s.ip AND t.digest = s.digest AND NOT t.is_removed)`

/** $1 and $2 are the stamp; $3 is true if existing entries stay. */
const MERGE_HOSTS = `INSERT INTO spamd.hosts AS h (net, ip, kind, first, pass, expire, bcount, pcount, comment, reset_at, reset_node,
    grant_at, grant_node, white_at, white_node, trap_at, trap_node, hand_at, hand_node, hand_pinned, hand_kind)
  SELECT net, ip, kind, first, pass, expire, bcount, pcount, comment, $1::bigint, $2::bigint,
    CASE WHEN kind = 'WHITE' THEN $1 END, CASE WHEN kind = 'WHITE' THEN $2 END,
    CASE WHEN kind = 'WHITE' THEN $1 END, CASE WHEN kind = 'WHITE' THEN $2 END,
    CASE WHEN kind = 'TRAPPED' THEN $1 END, CASE WHEN kind = 'TRAPPED' THEN $2 END,
    CASE WHEN is_fixed THEN $1 END, CASE WHEN is_fixed THEN $2 END,
    CASE WHEN is_fixed THEN expire = 0 END, CASE WHEN is_fixed THEN kind END
  FROM (SELECT s.net, s.ip, s.kind, s.first, s.pass, s.expire, s.bcount, s.pcount,
      coalesce(s.comment, o.comment) AS comment, s.expire = 0 OR coalesce(s.comment, o.comment) IS NOT NULL AS is_fixed
    FROM (${LAST_HOSTS}) s LEFT JOIN spamd.hosts o ON o.net = s.net AND o.ip = s.ip AND o.kind <> '-') AS k
  ON CONFLICT (ip, net) DO UPDATE SET (kind, first, pass, expire, bcount, pcount, comment, reset_at, reset_node, grant_at,
    grant_node, white_at, white_node, trap_at, trap_node, hand_at, hand_node, hand_pinned, hand_kind, hand_expire, white_first,
    white_pass, white_expire, trap_first, trap_expire) = ROW(excluded.kind, excluded.first, excluded.pass, excluded.expire,
    excluded.bcount, excluded.pcount, excluded.comment, excluded.reset_at, excluded.reset_node, excluded.grant_at,
    excluded.grant_node, excluded.white_at, excluded.white_node, excluded.trap_at, excluded.trap_node, excluded.hand_at,
    excluded.hand_node, excluded.hand_pinned, excluded.hand_kind, NULL, NULL, NULL, NULL, NULL, NULL)
  WHERE NOT $3::boolean OR h.kind = '-'`
const MERGE_SPAMTRAPS = `INSERT INTO spamd.spamtraps AS t (address, is_removed, first, comment, stamp_at, stamp_node)
  SELECT address, false, first, comment, $1::bigint, $2::bigint FROM (${LAST_SPAMTRAPS}) s
  ON CONFLICT (digest) DO UPDATE SET is_removed = false, first = excluded.first,
    comment = coalesce(excluded.comment, CASE WHEN NOT t.is_removed THEN t.comment END),
    stamp_at = excluded.stamp_at, stamp_node = excluded.stamp_node
  WHERE NOT $3::boolean OR t.is_removed`
const MERGE_TUPLES = `INSERT INTO spamd.tuples AS t (net, ip, digest, helo, sender, recipient, is_removed, first, pass, expire, bcount, pcount)
  SELECT net, ip, digest, helo, sender, recipient, false, first, pass, expire, bcount, pcount FROM (${LAST_TUPLES}) s
  ON CONFLICT (ip, digest, net) DO UPDATE SET is_removed = false, first = excluded.first, pass = excluded.pass,
    expire = excluded.expire, bcount = excluded.bcount, pcount = excluded.pcount, last = NULL, epoch_at = NULL,
    epoch_node = NULL, first_node = NULL, last_node = NULL
  WHERE NOT $1::boolean OR t.is_removed`

/** Entries that one statement puts aside. */
const CHUNK = 5000

/** See `Store.upsertAll`; within a transaction. Returns the outcome and the new tuples. */
export async function importEntries(
  statements: Statements,
  batches: AsyncIterable<readonly Entry[]> | Iterable<readonly Entry[]>,
  {
    ifMissing,
    stamp,
    now,
    history,
  }: { ifMissing: boolean; stamp: () => Stamp; now: number; history: PgHistory },
): Promise<{ counts: UpsertCounts; balance: TupleBalance }> {
  await statements.run(STAGE)
  const total = await stageAll(statements, batches)
  await statements.run(ANALYZE)
  const at = stamp()
  const marks = [packStamp(at), at.node]
  const [hosts, spamtraps, tuples] = await Promise.all([
    statements.rows(NEW_HOSTS),
    statements.rows(NEW_SPAMTRAPS),
    statements.rows(NEW_TUPLES),
    statements.rows(MERGE_HOSTS, [...marks, ifMissing]),
    statements.rows(MERGE_SPAMTRAPS, [...marks, ifMissing]),
    statements.rows(MERGE_TUPLES, [ifMissing]),
  ])
  const [newTuples, newPools, newBytes] = tuples[0] as [number, number, number]
  const added = (hosts[0]![0] as number) + (spamtraps[0]![0] as number) + newTuples + newPools
  const rest = total - added
  const counts = { added, updated: ifMissing ? 0 : rest, skipped: ifMissing ? rest : 0 }
  const sent: Promise<unknown>[] = []
  const send = (sql: string, values: readonly unknown[]): void => {
    sent.push(statements.rows(sql, values))
  }
  appendEverything('import', at, send)
  const texts = Object.entries(counts).map(([name, count]) => `${count} ${name}`)
  await history.appendSummaries(
    { rule: 'import', at: now > 0 ? now : at.time / 1000, summaries: [{ text: texts.join(', ') }] },
    send,
    statements,
  )
  await Promise.all(sent)
  return { counts, balance: { count: newTuples, pools: newPools, bytes: newBytes } }
}

async function stageAll(
  statements: Statements,
  batches: AsyncIterable<readonly Entry[]> | Iterable<readonly Entry[]>,
): Promise<number> {
  let total = 0
  let staging: Promise<unknown> = Promise.resolve()
  for await (const batch of batches) {
    for (let start = 0; start < batch.length; start += CHUNK) {
      const chunk = batch.slice(start, start + CHUNK)
      const values = stagedValues(chunk, total)
      total += chunk.length
      // One chunk is on its way while the next is read.
      await staging
      staging = Promise.all(values.map(([sql, columns]) => statements.rows(sql, columns)))
      staging.catch(() => {})
    }
  }
  await staging
  return total
}

function stagedValues(entries: readonly Entry[], startNumber: number): [sql: string, columns: unknown[][]][] {
  const hosts: unknown[][] = []
  const spamtraps: unknown[][] = []
  const tuples: unknown[][] = []
  for (const [index, entry] of entries.entries()) {
    const n = startNumber + index
    if (entry.kind === 'SPAMTRAP') {
      spamtraps.push([n, wireText(entry.address), entry.first, commentValue(entry.comment)])
      continue
    }
    // They are created by daemons and never imported.
    if (entry.kind === 'POOL') continue
    const { ip, first, pass, expire, bcount, pcount } = entry
    const times = [first, pass, expire, bcount, pcount]
    if (entry.kind === 'GREY') {
      const texts = [wireText(entry.helo), wireText(entry.from), wireText(entry.to)]
      tuples.push([n, netOf(ip), wireText(ip), digestOf(entry), ...texts, ...times])
    } else hosts.push([n, netOf(ip), wireText(ip), entry.kind, ...times, commentValue(entry.comment)])
  }
  const all: [string, unknown[][]][] = [
    [STAGE_HOSTS, hosts],
    [STAGE_SPAMTRAPS, spamtraps],
    [STAGE_TUPLES, tuples],
  ]
  return all.filter(([, rows]) => rows.length > 0).map(([sql, rows]) => [sql, transposed(rows)])
}

function transposed(rows: readonly unknown[][]): unknown[][] {
  return rows[0]!.map((_, index) => rows.map((row) => row[index]))
}
