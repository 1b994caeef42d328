/** Sources of exceptions on a server; few, so that they are read whole. */
import type { AllowEdit, AllowSource } from '../../domain/allow.js'
import type { PgLink } from './pg-link.js'

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
export async function readAllowed(link: PgLink): Promise<AllowSource[]> {
  return link.read('readAllowed', async (statements) => {
    const rows = (await statements.rows(SOURCES)) as unknown as SourceRow[]
    return rows.map(([name, first, expire, checked, comment, networks]) => ({
      name,
      first,
      expire,
      checked,
      ...(comment === null ? {} : { comment }),
      networks: networks?.split(' ') ?? [],
    }))
  })
}

/** See `Store.editAllowed`. */
export async function editAllowed(link: PgLink, edits: readonly AllowEdit[]): Promise<boolean[]> {
  return link.write('editAllowed', async (statements) => {
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
