/** The database: exists, is ours, is sound, has the right owner, and its disk has free space. */
import { dirname } from 'node:path'
import { formatDuration } from '../../codec/duration.js'
import { AppError } from '../../platform/app-error.js'
import { isPostgresLocation } from '../../platform/postgres-location.js'
import { openDatabase } from '../database/open-database.js'
import type { DoctorContext } from './context.js'
import type { Findings } from './finding.js'

const OTHERS = 0o007
const OTHERS_WRITE = 0o002
const STICKY = 0o1000
const MIB = 1024 * 1024
/** SQLite's log grows to 32 MiB, and an import may need as much space as the database itself. */
const SCARCE_MIB = 500
const EMPTY_MIB = 50

/** Checks `database`, `database.rights`, `database.folder`, `database.disk`. */
export async function checkDatabaseFile(context: DoctorContext, findings: Findings): Promise<void> {
  const { probe, settings } = context
  const path = settings.db
  if (isPostgresLocation(path)) {
    await checkContent(path, findings)
    return
  }
  const file = probe.stat(path)
  if (file.kind === 'missing') {
    const needed = context.daemon.kind === 'status' && context.daemon.status.mode === 'block-lists'
    if (needed) findings.info('database', `no database ${path}: spamd runs with -b and needs none`)
    else findings.error('database', `there is no database ${path}`, 'spamdctl init-db')
    await checkFolder(context, findings)
    return
  }
  if (file.kind === 'unreadable' || !probe.canRead(path)) {
    findings.info('database', `cannot read ${path}: Permission denied`, 'run doctor as root')
    return
  }
  await checkContent(path, findings)
  if (file.kind === 'found') await checkRights(context, file, findings)
  await checkFolder(context, findings)
  checkDisk(context, findings)
}

async function checkContent(path: string, findings: Findings): Promise<void> {
  try {
    const store = await openDatabase(path, 'read')
    try {
      const startedMs = performance.now()
      const { isSound, problems, counts, schemaVersion } = await store.check()
      if (!isSound) {
        findings.error(
          'database',
          `${path} is damaged: ${problems[0]}`,
          'spamdctl export > rescued.txt (see spamdctl(8), export)',
        )
        return
      }
      const texts = Object.entries(counts ?? {}).map(([kind, count]) => `${count} ${kind}`)
      const took = formatDuration(Math.round((performance.now() - startedMs) / 1000))
      findings.ok(
        'database',
        `${path} is sound (schema ${schemaVersion}, ${texts.join(', ')}; checked in ${took})`,
      )
    } finally {
      await store.close()
    }
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    const fix = error.hint ?? (isPostgresLocation(path) ? 'start the server, or correct SPAMD_DB' : undefined)
    findings.error('database', error.message, fix)
  }
}

/**
 * The database and the existing SQLite files beside it: no pattern, because names in the folder could match
 * it.
 */
function databaseFiles(probe: DoctorContext['probe'], path: string): string[] {
  const beside = [`${path}-wal`, `${path}-shm`].filter((file) => probe.stat(file).kind === 'found')
  return [path, ...beside]
}

async function checkRights(
  { probe, settings }: DoctorContext,
  file: { uid: number; mode: number },
  findings: Findings,
): Promise<void> {
  const user = await probe.findUser(settings.user)
  if (user !== undefined && file.uid !== user.uid) {
    findings.error(
      'database.rights',
      `${settings.db} belongs to user id ${file.uid}, not to ${user.name}: the daemons cannot write it`,
      `chown -h ${user.name} ${databaseFiles(probe, settings.db).join(' ')}`,
    )
  } else if ((file.mode & OTHERS) !== 0) {
    findings.warning(
      'database.rights',
      `every user may read ${(file.mode & OTHERS_WRITE) === 0 ? '' : 'or write '}${settings.db} (mode ${octal(file.mode)}): it holds the addresses of correspondents`,
      `chmod 0640 ${settings.db}`,
    )
  } else
    findings.ok('database.rights', `${settings.db} has mode ${octal(file.mode)} and belongs to the daemons`)
}

async function checkFolder({ probe, settings }: DoctorContext, findings: Findings): Promise<void> {
  const folder = dirname(settings.db)
  const facts = probe.stat(folder)
  const user = await probe.findUser(settings.user)
  if (facts.kind === 'missing') {
    findings.error(
      'database.folder',
      `there is no folder ${folder}`,
      `install -d -m 0750 -o ${settings.user} ${folder}`,
    )
    return
  }
  if (facts.kind === 'unreadable') return
  if ((facts.mode & OTHERS_WRITE) !== 0 && (facts.mode & STICKY) === 0) {
    findings.error(
      'database.folder',
      `every user may write to ${folder} and replace the database`,
      `chmod o-w ${folder}`,
    )
  } else if (user !== undefined && facts.uid !== user.uid && !mayWrite(facts, user)) {
    findings.error(
      'database.folder',
      `${user.name} may not write to ${folder}, where SQLite keeps two files beside the database`,
      `chown -h ${user.name} ${folder}`,
    )
  } else findings.ok('database.folder', `${folder} belongs to the daemons`)
}

function mayWrite(facts: { gid: number; mode: number }, user: { gid: number }): boolean {
  return (facts.gid === user.gid && (facts.mode & 0o020) !== 0) || (facts.mode & OTHERS_WRITE) !== 0
}

function checkDisk({ probe, settings }: DoctorContext, findings: Findings): void {
  const folder = dirname(settings.db)
  const space = probe.diskSpace(folder)
  if (space === undefined) return
  const freeMib = Math.floor(space.freeBytes / MIB)
  const message = `${freeMib} MiB are free in ${folder}`
  if (freeMib < EMPTY_MIB)
    findings.error('database.disk', `only ${message}: writes will fail`, `df -h ${folder}`)
  else if (freeMib < SCARCE_MIB) findings.warning('database.disk', `only ${message}`, `df -h ${folder}`)
  else findings.ok('database.disk', message)
}

function octal(mode: number): string {
  return `0${(mode & 0o7777).toString(8)}`
}
