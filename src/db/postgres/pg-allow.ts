/** Sources of exceptions on a server; few, so they are read as a whole. */
import { type AllowEdit, type AllowSource, tellAllowEdits } from '../../domain/allow.js'
import type { PgHistory } from './pg-history.js'
import type { PgLink, Statements } from './pg-link.js'

const SOURCES = `SELECT s.name, s.first, s.expire, s.checked, s.comment,
    (SELECT string_agg(r.network, ' ' ORDER BY r.network) FROM spamd.allow_ranges r WHERE r.source = s.name)
  FROM spamd.allow_sources s ORDER BY s.name`
const PUT = `INSERT INTO spamd.allow_sources VALUES ($1, $2, $3, $4, $5)
  ON CONFLICT (name) DO UPDATE SET first = $2, expire = $3, checked = $4, comment = $5`
const PUT_RANGES = 'INSERT INTO spamd.allow_ranges SELECT $1, unnest($2::text[])'
const REMOVE = 'DELETE FROM spamd.allow_sources WHERE name = $1 RETURNING name'
const REMOVE_RANGES = 'DELETE FROM spamd.allow_ranges WHERE source = $1'

type SourceRow = [string, number, number, number, string | null, string | null]

/** See `Store.readAllowed`. */
export function readAllowed(link: PgLink): Promise<AllowSource[]> {
  return link.read('readAllowed', readSources)
}

async function readSources(statements: Statements): Promise<AllowSource[]> {
  const rows = (await statements.rows(SOURCES)) as unknown as SourceRow[]
  return rows.map(([name, first, expire, checked, comment, networks]) => ({
    name,
    first,
    expire,
    checked,
    ...(comment === null ? {} : { comment }),
    networks: networks?.split(' ') ?? [],
  }))
}

/** See `Store.editAllowed`. */
export async function editAllowed(
  link: PgLink,
  history: PgHistory,
  edits: readonly AllowEdit[],
  { now, actor }: { now: number; actor: string | undefined },
): Promise<boolean[]> {
  return link.write('editAllowed', async (statements) => {
    const known = new Map((await readSources(statements)).map((source) => [source.name, source]))
    const sent: Promise<unknown>[] = []
    const send = (sql: string, values: readonly unknown[]): void => {
      sent.push(statements.rows(sql, values))
    }
    const told = { rule: 'allow', at: now, summaries: tellAllowEdits(known, edits, now), actor } as const
    await history.appendSummaries(told, send, statements)
    await Promise.all(sent)
    const done: boolean[] = []
    for (const edit of edits) {
      const name = edit.operation === 'put' ? edit.source.name : edit.name
      await statements.rows(REMOVE_RANGES, [name])
      if (edit.operation === 'remove') {
        done.push((await statements.rows(REMOVE, [name])).length > 0)
        continue
      }
      const { first, expire, checked, comment, networks } = edit.source
      await statements.rows(PUT, [name, first, expire, checked, comment ?? null])
      await statements.rows(PUT_RANGES, [name, [...networks]])
      done.push(true)
    }
    return done
  })
}
