/** Releases on a server, of which there are few: each batch of attempts reads all of them. */
import type { Draft } from '../../domain/draft.js'
import { type HeldRelease, RELEASE_SCOPES, type Release } from '../../domain/release.js'
import { packStamp, unpackStamp } from '../tables/marks-codec.js'
import type { Row, Statements } from './pg-link.js'
import { wireText } from './pg-rows.js'
import type { Send } from './pg-writes.js'

const SELECT = `SELECT id, convert_from(sender, 'LATIN1'), convert_from(recipient, 'LATIN1'), network, scope, first, expire, used,
  author, stamp_at, stamp_node FROM spamd.releases ORDER BY first, id COLLATE "C"`
/** Releases are not locked: a change names the state that it was based on. */
const PUT = `SELECT spamd.put_release($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`
const DELETE = 'DELETE FROM spamd.releases WHERE id = $1'

/** All releases, the oldest first; also those that ended and are still kept. */
export async function readReleases(
  statements: Statements,
): Promise<{ entry: Release; stamp: NonNullable<HeldRelease['stamp']> }[]> {
  return (await statements.rows(SELECT)).map(releaseOf)
}

function releaseOf(row: Row): { entry: Release; stamp: NonNullable<HeldRelease['stamp']> } {
  const [id, from, to, network, scope, first, expire, used, author, at, node] = row as [
    string,
    string | null,
    string | null,
    string | null,
    number,
    number,
    number,
    number,
    string | null,
    number,
    number,
  ]
  return {
    entry: {
      kind: 'RELEASE',
      id,
      ...(from === null ? {} : { from }),
      ...(to === null ? {} : { to }),
      ...(network === null ? {} : { network }),
      scope: RELEASE_SCOPES[scope] ?? 'address',
      first,
      expire,
      used,
      ...(author === null ? {} : { author }),
    },
    stamp: unpackStamp(at, node),
  }
}

/** Sends what became of the releases of a draft. */
export function sendReleases(draft: Draft, send: Send): void {
  for (const { first, last } of draft.touched) {
    if (first.key.kind !== 'release') continue
    const before = first.before as HeldRelease
    const { entry, stamp } = last.after as HeldRelease
    if (entry === undefined || stamp === undefined) {
      send(DELETE, [first.key.id])
      continue
    }
    const text = (value: string | undefined): string | null => (value === undefined ? null : wireText(value))
    const { id, from, to, network, scope, used, author } = entry
    send(PUT, [
      id,
      text(from),
      text(to),
      network ?? null,
      RELEASE_SCOPES.indexOf(scope),
      entry.first,
      entry.expire,
      used,
      author ?? null,
      packStamp(stamp),
      stamp.node,
      before.stamp === undefined ? null : packStamp(before.stamp),
      before.stamp?.node ?? null,
    ])
  }
}
