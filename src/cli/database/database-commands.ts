/**
 * What `spamdctl import`, `export`, `backup`, `check-db` and `init-db` do, from their arguments to their exit
 * code.
 */
import { statSync } from 'node:fs'
import { addAllowedDomains } from '../../app/database/add-allowed-domains.js'
import { exportEntries } from '../../app/database/export-entries.js'
import {
  type ImportOptions,
  type ImportProblem,
  type ImportReport,
  importEntries,
} from '../../app/database/import-entries.js'
import { openImportInput } from '../../app/database/import-input.js'
import { initDatabase, openDatabase, useDatabase } from '../../app/database/open-database.js'
import { takeOverDatabase } from '../../app/database/take-over.js'
import { hasNoUnit, hintForUnit, parseDuration } from '../../codec/duration.js'
import { escapeControl } from '../../codec/escape.js'
import { ENTRY_KINDS, type EntryKind, type WireText } from '../../domain/entry.js'
import { AppError } from '../../platform/app-error.js'
import { BSD_DATABASE, FORMER_BSD_DATABASE } from '../../platform/database-place.js'
import { isPostgresLocation } from '../../platform/postgres-location.js'
import { findUser, isRoot } from '../../platform/privileges.js'
import { resolveDbPath, resolveSettings } from '../../platform/settings.js'
import type { OptionSpec } from '../getopt.js'
import { OptionProblem, type OptionValues } from '../option-reader.js'
import { EXIT } from '../report-error.js'
import type { SpamdbParts } from '../spamdb/spamdb-main.js'
import { problemOfComment } from '../spamdb/spamdb-request.js'
import { runInitServer } from './server-commands.js'

const DB_OPTION: OptionSpec = {
  long: 'db',
  isRare: true,
  value: 'FILE',
  summary: 'database to use instead of SPAMD_DB or the default',
}
const JSON_OPTION: OptionSpec = { long: 'json', summary: 'print the report as one JSON object' }

export const IMPORT_OPTIONS: readonly OptionSpec[] = [
  DB_OPTION,
  {
    long: 'kind',
    value: 'KIND',
    summary: 'read a plain list of addresses, one per line, as WHITE, TRAPPED or SPAMTRAP',
  },
  {
    long: 'expire',
    value: 'DURATION',
    summary: 'with --kind: lifetime such as 4h or 36d instead of the default, or never',
  },
  { long: 'comment', value: 'TEXT', summary: 'with --kind: note to store with each entry' },
  { long: 'if-missing', summary: 'leave existing entries unchanged' },
  { long: 'allowed-domains', value: 'FILE', summary: "append greyd's allowed domains to this file" },
  JSON_OPTION,
  { long: 'help', summary: 'show this help' },
]
export const EXPORT_OPTIONS: readonly OptionSpec[] = [
  DB_OPTION,
  {
    long: 'kind',
    value: 'KIND',
    isRepeatable: true,
    summary: 'export only WHITE, TRAPPED, SPAMTRAP or GREY (repeatable, or separated by commas)',
  },
  { long: 'help', summary: 'show this help' },
]
export const INIT_DB_OPTIONS: readonly OptionSpec[] = [
  DB_OPTION,
  {
    long: 'mode',
    value: 'MODE',
    summary: 'file mode: 0600, 0640 (default), 0644 (all users, as the original), 0660 or 0664',
  },
  {
    long: 'partitions',
    value: 'NUMBER',
    summary: 'on a server: number of partitions of addresses and tuples (default 16)',
  },
  JSON_OPTION,
  { long: 'help', summary: 'show this help' },
]
export const DATABASE_OPTIONS: readonly OptionSpec[] = [
  DB_OPTION,
  JSON_OPTION,
  { long: 'help', summary: 'show this help' },
]

/** Maximum number of problems of an import that are printed one by one. */
const MAX_SHOWN_PROBLEMS = 20

/** Imports from a file or `-`; exit code 1 when anything was invalid. */
export async function runImport(file: string, options: OptionValues, parts: SpamdbParts): Promise<number> {
  const domainsFile = options.last('allowed-domains')
  const domains: WireText[] = []
  const settings: ImportOptions = {
    ...importOptionsOf(options),
    ...(domainsFile === undefined ? {} : { onDomain: (domain) => void domains.push(domain) }),
  }
  const now = parts.clock.nowSec()
  return await useDatabase(
    resolveDbPath(options.last('db'), parts.environment),
    'write',
    async (store, asCaller) => {
      const input = await asCaller(() => openImportInput(file, parts.stdin))
      let shownCount = 0
      const onProblem = ({ place, reason }: ImportProblem): void => {
        shownCount += 1
        if (shownCount > MAX_SHOWN_PROBLEMS) return
        parts.writeError(`spamdctl: ${escapeControl(file)}: ${place}: ${reason}\n`)
      }
      const report = await importEntries(store, input, settings, now, onProblem).finally(
        () => input.type !== 'text' && asCaller(() => input.close()),
      )
      const newDomains =
        domainsFile === undefined ? undefined : await asCaller(() => addAllowedDomains(domainsFile, domains))
      if (report.bad > MAX_SHOWN_PROBLEMS) {
        const hidden = report.bad - MAX_SHOWN_PROBLEMS
        const words = hidden === 1 ? 'problem is' : 'problems are'
        parts.writeError(`spamdctl: ${hidden} more ${words} not shown\n`)
      }
      if (report.bad > 0 && input.type === 'text' && settings.list === undefined && isNothing(report)) {
        parts.writeError(
          'spamdctl: hint: import a plain list of addresses with --kind WHITE, TRAPPED or SPAMTRAP\n',
        )
      }
      const text = options.has('json')
        ? JSON.stringify({ ...report, ...(newDomains === undefined ? {} : { domains: newDomains }) })
        : formatReport(report) +
          (newDomains === undefined ? '' : `, ${newDomains} ${newDomains === 1 ? 'domain' : 'domains'}`)
      parts.writeOut(Buffer.from(`${text}\n`))
      return report.bad > 0 ? EXIT.failure : EXIT.ok
    },
  )
}

function isNothing({ added, updated, skipped }: ImportReport): boolean {
  return added + updated + skipped === 0
}

function formatReport({ added, updated, skipped, bad }: ImportReport): string {
  return `${added} added, ${updated} updated, ${skipped} skipped, ${bad} bad`
}

// eslint-disable-next-line complexity -- one check for each option, in the order of reporting
function importOptionsOf(options: OptionValues): ImportOptions {
  const kindText = options.last('kind')
  const ifMissing = options.has('if-missing')
  if (kindText === undefined) {
    for (const name of ['expire', 'comment']) {
      if (options.has(name)) throw usageError(`--${name} requires --kind`)
    }
    return { list: undefined, ifMissing }
  }
  const kind = kindOf(kindText)
  if (kind === 'GREY' || kind === 'POOL')
    throw usageError('--kind: a plain list can only be WHITE, TRAPPED or SPAMTRAP')
  const expire = options.last('expire')
  if (expire !== undefined && hasNoUnit(expire)) {
    throw usageError(`--expire: "${expire}" has no unit`, hintForUnit(expire))
  }
  const lifetime = expire === undefined || expire === 'never' ? expire : parseDuration(expire)
  if (expire !== undefined && (lifetime === undefined || lifetime === 0)) {
    throw usageError(`--expire: "${expire}" is not a duration such as 90s, 4h, 36d or 2w`)
  }
  if (kind === 'SPAMTRAP' && typeof lifetime === 'number') {
    throw usageError('--expire: a spamtrap never expires')
  }
  const comment = options.last('comment')
  const commentProblem = comment === undefined ? undefined : problemOfComment(comment)
  if (commentProblem !== undefined) throw usageError(`--comment: ${commentProblem}`)
  return {
    list: { kind, lifetime: lifetime as number | 'never' | undefined, comment },
    ifMissing,
  }
}

function kindOf(text: string): EntryKind {
  const kind = ENTRY_KINDS.find((candidate) => candidate === text.toUpperCase())
  if (kind === undefined) throw usageError(`--kind: "${text}" is not one of ${ENTRY_KINDS.join(', ')}`)
  return kind
}

function usageError(message: string, hint?: string): OptionProblem {
  return new OptionProblem(message, { hint })
}

/** Prints the database in a form that `runImport` can read; exit code 1 when damage hides a part of it. */
export async function runExport(options: OptionValues, parts: SpamdbParts): Promise<number> {
  const kinds = options.all('kind').flatMap((text) => text.split(',').map(kindOf))
  const path = resolveDbPath(options.last('db'), parts.environment)
  return await useDatabase(path, 'read', async (store) => {
    let gapCount = 0
    const onGap = (gap: string): void => {
      gapCount += 1
      parts.writeError(`spamdctl: cannot read ${escapeControl(path)}: damaged: ${escapeControl(gap)}\n`)
    }
    const wanted = kinds.length === 0 ? undefined : kinds.filter((kind) => kind !== 'POOL')
    for await (const chunk of exportEntries(store, onGap, wanted)) parts.writeOut(chunk)
    if (gapCount === 0) return EXIT.ok
    parts.writeError(
      'spamdctl: hint: everything else was exported; a file made by "spamdctl backup" may hold the rest\n',
    )
    return EXIT.failure
  })
}

/** Copies the live database to a file. */
export async function runBackup(target: string, options: OptionValues, parts: SpamdbParts): Promise<number> {
  const store = await openDatabase(resolveDbPath(options.last('db'), parts.environment), 'read')
  try {
    await store.backup(target).catch((error: unknown) => {
      if (!(error instanceof AppError)) throw error
      throw new AppError(error.code, `cannot back up to ${target}: ${error.message}`, {
        hint: error.hint,
        cause: error,
      })
    })
  } finally {
    await store.close()
  }
  const { size } = statSync(target)
  const report = { file: target, sizeBytes: size }
  const text = options.has('json') ? JSON.stringify(report) : `${escapeControl(target)}: ${size} bytes`
  parts.writeOut(Buffer.from(`${text}\n`))
  return EXIT.ok
}

/** Checks the database's integrity and counts it; exit code 1 when it is damaged. */
export async function runCheckDb(options: OptionValues, parts: SpamdbParts): Promise<number> {
  const path = resolveDbPath(options.last('db'), parts.environment)
  return await useDatabase(path, 'read', async (store) => {
    const report = await store.check()
    const { counts = null } = report
    if (options.has('json'))
      parts.writeOut(Buffer.from(`${JSON.stringify({ file: path, ...report, counts })}\n`))
    else {
      const lines = [
        `file: ${escapeControl(path)}`,
        `size: ${report.sizeBytes} bytes`,
        `schema: ${report.schemaVersion}`,
        ...ENTRY_KINDS.map((kind) => `${kind}: ${counts === null ? 'cannot be counted' : counts[kind]}`),
        `integrity: ${report.isSound ? 'ok' : 'damaged'}`,
      ]
      parts.writeOut(Buffer.from(`${lines.join('\n')}\n`))
    }
    if (report.isSound) return EXIT.ok
    for (const problem of report.problems) {
      parts.writeError(`spamdctl: ${escapeControl(path)}: ${escapeControl(problem)}\n`)
    }
    parts.writeError(
      'spamdctl: hint: save what can be read with "spamdctl export", then import it into a new database\n',
    )
    return EXIT.failure
  })
}

/**
 * Creates an empty database; an existing one is left unchanged, without an error. As root it is given to the
 * user of the daemons. One that version 0.1.0 created at its default place is taken over.
 */
export async function runInitDb(options: OptionValues, parts: SpamdbParts): Promise<number> {
  const location = resolveDbPath(options.last('db'), parts.environment)
  if (isPostgresLocation(location)) return await runInitServer(location, options, parts)
  if (options.has('partitions')) throw usageError('--partitions is only for a database on a server')
  const { user } = resolveSettings({}, parts.environment)
  const mode = modeOf(options.last('mode'))
  const owner = isRoot() ? await findUser(user) : undefined
  const found = resolveDbPath(options.last('db'), parts.environment)
  // Only if no flag and no variable names it: then the old place is used because the old file exists.
  const isFormer = found === FORMER_BSD_DATABASE && resolveDbPath(undefined, {}) === found
  const path = isFormer ? BSD_DATABASE : found
  if (isFormer) await takeOverDatabase(found, path, owner, mode)
  const isNew = await initDatabase(path, owner, mode)
  if (isNew && isRoot() && owner === undefined) {
    parts.writeError(
      `spamdctl: ${escapeControl(path)} belongs to root: there is no user ${escapeControl(user)}\nspamdctl: hint: create the user, then chown the database and its folder before the daemons start\n`,
    )
  }
  const text = options.has('json')
    ? JSON.stringify({ file: path, created: isNew, ...(isFormer && { takenOver: found }) })
    : `${escapeControl(path)}: ${isFormer ? `taken over from ${found}` : isNew ? 'created' : 'exists already'}`
  parts.writeOut(Buffer.from(`${text}\n`))
  return EXIT.ok
}

/** The owner reads and writes, nobody executes, and others never write. */
function modeOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (!/^0?(600|640|644|660|664)$/.test(text)) {
    throw new OptionProblem(`bad mode ${escapeControl(text)}`, {
      hint: 'one of 0600, 0640, 0644, 0660, 0664: the daemons write, others may read',
    })
  }
  return Number.parseInt(text, 8)
}
