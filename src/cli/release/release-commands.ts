/** `spamdctl release` and its subcommands, on given parts: tests provide their own output and clock. */
import { useDatabase } from '../../app/database/open-database.js'
import {
  cancelRelease,
  countWaiting,
  makeRelease,
  planRelease,
  releasesInForce,
} from '../../app/release/release-mail.js'
import { describeTerms, parseReleaseTerms, releaseFields } from '../../app/release/release-terms.js'
import { formatDuration } from '../../codec/duration.js'
import { escapeControl } from '../../codec/escape.js'
import { isInForce, type Release } from '../../domain/release.js'
import type { OptionValues } from '../option-reader.js'
import { parseFor } from './release-options.js'

export interface ReleaseParts {
  dbPath: string
  nowSec: number
  actor: string | undefined
}

/** Creates a release, or shows what it would match; returns the text to print. */
export async function runRelease(
  options: OptionValues,
  { dbPath, nowSec, actor }: ReleaseParts,
): Promise<string> {
  const terms = parseReleaseTerms({
    from: options.last('from'),
    to: options.last('to'),
    ip: options.last('ip'),
  })
  const forSec = parseFor(options.last('for'))
  const isDryRun = options.has('dry-run')
  return await useDatabase(dbPath, isDryRun ? 'read' : 'write', async (store) => {
    const release = planRelease(
      { terms, scope: options.has('pool') ? 'pool' : 'address', forSec, actor },
      nowSec,
    )
    if (!isDryRun) await makeRelease(store, release, nowSec)
    const waiting = await countWaiting(store, terms)
    if (options.has('json')) {
      const { id, ...fields } = releaseFields(release) as { id: string }
      return `${JSON.stringify({ ...(isDryRun ? {} : { id }), ...fields, waiting })}\n`
    }
    const mails = waiting === 1 ? '1 matching mail is waiting' : `${waiting} matching mails are waiting`
    const name = isDryRun ? 'would be released' : release.id
    const what = `${name}: ${describeTerms(release)} passes at the second try from now, for ${formatDuration(forSec)}`
    return `${escapeControl(what)}; ${mails} now\n`
  })
}

/** Lists those in force, with --all also those that have ended. */
export async function runReleaseList(
  options: OptionValues,
  { dbPath, nowSec }: ReleaseParts,
): Promise<string> {
  const releases = await useDatabase(dbPath, 'read', (store) =>
    options.has('all') ? store.readReleases() : releasesInForce(store, nowSec),
  )
  if (options.has('json')) {
    const rows = releases.map((release) => ({
      ...releaseFields(release),
      inForce: isInForce(release, nowSec),
    }))
    return `${JSON.stringify(rows, undefined, 2)}\n`
  }
  if (releases.length === 0) return 'no releases are in force\n'
  return releases.map((release) => `${escapeControl(describeRelease(release, nowSec))}\n`).join('')
}

/** Cancels a release. */
export async function runReleaseCancel(
  id: string,
  options: OptionValues,
  { dbPath, nowSec, actor }: ReleaseParts,
): Promise<string> {
  await useDatabase(dbPath, 'write', (store) => cancelRelease(store, id, nowSec, actor))
  return options.has('json') ? `${JSON.stringify({ id, cancelled: true })}\n` : `${id}: cancelled\n`
}

/** One line about a release, not yet escaped. */
export function describeRelease(release: Release, nowSec: number): string {
  const { id, expire, used, author } = release
  const left = isInForce(release, nowSec)
    ? `for another ${formatDuration(expire - nowSec)}`
    : expire <= nowSec
      ? `ended ${formatDuration(nowSec - expire)} ago`
      : 'used up'
  const by = author === undefined ? '' : `, by ${author}`
  const times = used === 1 ? 'once' : `${used} times`
  return `${id}: ${describeTerms(release)}, ${left}, used ${times}${by}`
}
