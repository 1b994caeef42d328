/** Networks opened by pools of senders, on a server. */
import type { Draft, Selection } from '../../domain/draft.js'
import { NO_POOL } from '../../domain/held.js'
import { networksAround } from '../../domain/pool-key.js'
import { isInNetwork, parseCidr } from '../../ip/cidr.js'
import { textRangesOf } from '../../ip/text-ranges.js'
import type { Statements } from './pg-link.js'
import { heldPoolOfRow, wireText } from './pg-rows.js'
import { names, POOL_COLUMNS } from './pg-schema.js'

const LOAD = `SELECT n, ${names(POOL_COLUMNS)} FROM spamd.load_pools($1, $2)`
const TRAPS = `SELECT k.n, h.ip FROM unnest($1::text[], $2::text[]) WITH ORDINALITY k(low, high, n)
  JOIN spamd.hosts h ON h.kind = 'TRAPPED' AND h.ip >= k.low AND h.ip < k.high`
/** What keys have opened, and when the last of it ends that is not loaded. */
const OPENED = `SELECT (SELECT count(*) FROM spamd.pools p WHERE p.pool = k.pool AND NOT p.is_removed),
    (SELECT coalesce(max(expire), 0) FROM spamd.pools p
      WHERE p.pool = k.pool AND NOT p.is_removed AND p.network <> ALL ($2::text[]))
  FROM unnest($1::text[]) WITH ORDINALITY k(pool, n) ORDER BY k.n`

/** Puts what a selection wants of pools into a draft. */
export async function loadPools(
  statements: Statements,
  { pools, poolsAround, trapsIn, poolCounts }: Selection,
  draft: Draft,
  locks: { hosts: boolean },
): Promise<void> {
  const networks = [...new Set([...pools, ...[...poolsAround].flatMap(networksAround)])]
  const parsed = [...trapsIn].map((network) => parseCidr(network)!)
  const ranges = parsed.flatMap((network) =>
    textRangesOf(network).ranges.map((range) => ({ network, ...range })),
  )
  const counted = [...poolCounts]
  const [poolRows, trapRows, countRows] = await Promise.all([
    networks.length === 0 ? [] : statements.rows(LOAD, [networks.map(wireText), locks.hosts]),
    ranges.length === 0
      ? []
      : statements.rows(TRAPS, [ranges.map(({ low }) => low), ranges.map(({ high }) => high)]),
    counted.length === 0 ? [] : statements.rows(OPENED, [counted.map(wireText), networks.map(wireText)]),
  ])
  for (const row of poolRows) {
    const network = networks[(row[0] as number) - 1]!
    const held = heldPoolOfRow(network, row, 1)
    if (held.reset !== undefined) draft.observe(held.reset)
    draft.holdPool(network, held)
  }
  for (const network of networks) draft.holdPool(network, NO_POOL)
  const wanted = [...trapsIn]
  for (const [n, ip] of trapRows as unknown as [number, string][]) {
    const { network } = ranges[n - 1]!
    if (isInNetwork(ip, network)) draft.holdTrapIn(wanted[parsed.indexOf(network)]!, ip)
  }
  for (const [index, [count, lastExpire]] of countRows.entries()) {
    draft.holdOpened(counted[index]!, { count: count as number, lastExpire: lastExpire as number })
  }
}
