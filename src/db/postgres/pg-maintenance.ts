/** What administrators ask for now and then: undo, and a check of what the server counts. */
import {
  decideUndo,
  NOTHING_TO_UNDO,
  refuseUndo,
  selectUndo,
  type UndoOutcome,
} from '../../domain/history.js'
import type { CheckReport } from '../store.js'
import { undoError } from '../undo.js'
import type { PgHistory } from './pg-history.js'
import type { PgLink } from './pg-link.js'
import { countOnServer } from './pg-listing.js'
import type { PgTransactions } from './pg-transactions.js'

const CHECK = `SELECT (SELECT count(*) FROM spamd.tuples WHERE NOT is_removed),
  (SELECT coalesce(sum(octet_length(helo) + octet_length(sender) + octet_length(recipient)), 0)::bigint
    FROM spamd.tuples WHERE NOT is_removed),
  (SELECT coalesce(sum(tuple_count + pool_count), 0)::bigint FROM spamd.totals),
  (SELECT coalesce(sum(text_bytes), 0)::bigint FROM spamd.totals),
  (SELECT version FROM spamd.version), pg_database_size(current_database())`

/** See `Store.check`: the server looks after its own files; what is compared is what limits rely on. */
export async function checkServer(link: PgLink): Promise<CheckReport> {
  const counts = await countOnServer(link, {})
  return link.read('check', async (statements) => {
    const [row] = await statements.rows(CHECK)
    const [count, bytes, counted, countedBytes, schemaVersion, sizeBytes] = row as number[]
    const problems: string[] = []
    if (count !== counted) problems.push(`${count} tuples are stored, but ${counted} were counted`)
    if (bytes !== countedBytes) problems.push(`tuples hold ${bytes} bytes, but ${countedBytes} were counted`)
    return {
      isSound: problems.length === 0,
      problems,
      schemaVersion: schemaVersion!,
      counts,
      sizeBytes: sizeBytes!,
    }
  })
}

/** See `Store.undo`. */
export async function undoOnServer(
  transactions: PgTransactions,
  history: PgHistory,
  wanted: number | 'last',
  options: { force: boolean; isDryRun: boolean; actor: string | undefined },
  now: number,
): Promise<UndoOutcome & { event: number }> {
  const { link } = transactions
  const { event, steps } = await link.read('undo', async (statements) => {
    const found = wanted === 'last' ? await history.lastUndoable(statements) : wanted
    if (found === undefined) throw undoError(NOTHING_TO_UNDO)
    const known = await history.stepsOf(found, statements)
    const refusal = refuseUndo(found, known)
    if (refusal !== undefined) throw undoError(refusal)
    return { event: found, steps: known.steps }
  })
  const selection = selectUndo(steps)
  if (options.isDryRun) {
    const draft = transactions.draftToRead(now)
    await link.read('undo', (statements) =>
      transactions.load(statements, selection, draft, { hosts: false, spamtraps: false }),
    )
    return { event, ...decideUndo(draft, steps, options) }
  }
  const { outcomes } = await transactions.decide(
    'undo',
    now,
    selection,
    (draft) => decideUndo(draft, steps, options),
    { locksSpamtraps: true },
  )
  return { event, ...outcomes }
}
