/** What `spamdctl init-db` and `move-db` do for a database on a server. */

import { moveDatabase } from '../../app/database/move-database.js'
import { initServerDatabase, useDatabase } from '../../app/database/open-database.js'
import { countText } from '../../codec/count-text.js'
import { escapeControl } from '../../codec/escape.js'
import { resolveDbPath } from '../../platform/settings.js'
import type { OptionSpec } from '../getopt.js'
import { numberIn, OptionProblem, type OptionValues } from '../option-reader.js'
import { EXIT } from '../report-error.js'
import type { SpamdbParts } from '../spamdb/spamdb-main.js'

export const MOVE_DB_OPTIONS: readonly OptionSpec[] = [
  { long: 'json', summary: 'print the report as one JSON object' },
  { long: 'help', summary: 'show this help' },
]

const MAX_PARTITIONS = 1024

/** Creates or upgrades the tables, and prints what to grant to each gateway. */
export async function runInitServer(
  location: string,
  options: OptionValues,
  parts: SpamdbParts,
): Promise<number> {
  if (options.has('mode')) {
    throw new OptionProblem('--mode is only for a database in a file')
  }
  const { isChanged, fromVersion, version, grants } = await initServerDatabase(
    location,
    partitionsOf(options.last('partitions')),
  )
  const lines = [
    `${escapeControl(location)}: ${isChanged ? whatChanged(fromVersion) : 'exists already'} (version ${version})`,
    'grant each database user the role it needs:',
    ...grants.map((grant) => `  ${grant}`),
  ]
  const report = JSON.stringify({
    location,
    created: isChanged && fromVersion === 0,
    from_version: fromVersion,
    version,
    grants,
  })
  parts.writeOut(Buffer.from(options.has('json') ? `${report}\n` : `${lines.join('\n')}\n`))
  return EXIT.ok
}

/** Moves everything from one database into an empty one; exit code 1 when they differ afterwards. */
export async function runMoveDb(
  from: string,
  to: string,
  options: OptionValues,
  parts: SpamdbParts,
): Promise<number> {
  // The same check that a location from the environment passes.
  const [source, target] = [resolveDbPath(from, {}), resolveDbPath(to, {})]
  const report = await useDatabase(source, 'read', (fromStore) =>
    useDatabase(target, 'write', (toStore) => moveDatabase(fromStore, toStore, parts.clock.nowSec())),
  )
  const { addresses, tuples, spamtraps, pools, releases, exceptions, left, digest } = report
  const moved = [
    countText(addresses, 'address', 'addresses'),
    countText(tuples, 'tuple'),
    countText(spamtraps, 'spamtrap'),
    countText(pools, 'pool'),
    countText(releases, 'release'),
    countText(exceptions, 'exception'),
  ].join(', ')
  const text = options.has('json')
    ? JSON.stringify({ from: source, to: target, ...report })
    : `${moved} moved and verified (digest ${digest}), ${left} expired, not moved`
  parts.writeOut(Buffer.from(`${text}\n`))
  return EXIT.ok
}

function whatChanged(fromVersion: number): string {
  return fromVersion === 0 ? 'tables created' : `tables and functions upgraded from version ${fromVersion}`
}

function partitionsOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const refusal = `--partitions: "${escapeControl(text)}" is not a number from 1 to ${MAX_PARTITIONS}`
  return numberIn(text, [1, MAX_PARTITIONS], () => new OptionProblem(refusal))
}
