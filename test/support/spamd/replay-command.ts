/** Replays a transcript in which spamd ends at start: wrong options, missing files, missing permission. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { formatFailure } from '../../../src/cli/report-error.js'
import { parseSpamdOptions } from '../../../src/cli/spamd/parse-spamd-options.js'
import { SPAMD_OPTIONS } from '../../../src/cli/spamd/spamd-options.js'
import { checkPrivileges } from '../../../src/daemon/process/check-privileges.js'
import { spamdUser } from '../../../src/daemon/process/spamd-parent-main.js'
import { ManualClock } from '../manual-clock.js'
import type { SpamdRecord } from './record.js'
import { expandTools } from './replay.js'
import { createTestDaemon, daemonEnvironment } from './test-daemon.js'

/** Limit of open files on the recording machine. */
const MAX_FILES = 7030
/** -B unless given. */
const DEFAULT_MAX_BLACK = 800
/** A user that no machine has. */
const MISSING_USER = '_no_such_user_'

/** What our spamd prints before the usage where the original prints only the usage. */
const USAGE_REASON = /^spamd: -[BGSs] /
const STRAY_WORD = /^spamd: unexpected argument ".*"$/

interface Outcome {
  isAlive: boolean
  stderr: string
  syslog: string[]
}

/** Fails with an assertion; resolves with the names of the differences that applied. */
export async function replayCommand(record: SpamdRecord, folder: string): Promise<string[]> {
  const [started] = record.steps
  const longName = record.argv.find((word) => /^--./.test(word))?.slice(2)
  const isRefused = started!.out?.[0] === 'spamd: unknown option -- -'
  if (isRefused && SPAMD_OPTIONS.some(({ long }) => long !== undefined && long === longName?.split('=')[0])) {
    const parsed = parseSpamdOptions(record.argv.map(expandTools), {
      hostname: 'host.example',
      maxFiles: MAX_FILES,
      environment: daemonEnvironment(folder),
    })
    expect(parsed.ok || !parsed.stderr.startsWith('spamd: unknown option'), record.id).toBe(true)
    return ['long-option']
  }
  const ours = await run(record, folder)
  if (record.env.ANCHOR_NOSERVICE !== undefined || record.env.PFDEV !== undefined) {
    // Our spamd has default ports and uses pfctl(8), so it runs.
    expect(ours).toMatchObject({ isAlive: true, stderr: '' })
    return [record.env.PFDEV === undefined ? 'default-ports' : 'no-pf-device']
  }
  const [firstLine = '', ...otherLines] = ours.stderr.split('\n')
  if (STRAY_WORD.test(firstLine)) {
    expect(otherLines[0], record.id).toMatch(/^usage: /)
    return ['stray-word']
  }
  if (started!.out?.[0]?.startsWith('usage: ') === true && USAGE_REASON.test(firstLine)) {
    expect(
      otherLines.filter((line) => line !== ''),
      record.id,
    ).toEqual(started!.out)
    return ['usage-reason']
  }
  if (ours.isAlive && lowersMaxconAlone(record.argv)) {
    // In this case the original refuses its own default of -B.
    expect(ours).toMatchObject({ isAlive: true, stderr: '' })
    expect(started!.out?.[0], record.id).toMatch(/^usage: /)
    return ['maxblack-follows']
  }
  const syncReason = ownSyncLine(started!.out ?? [])
  if (ours.isAlive && syncReason === 'multicast interface does not match') {
    expect(ours).toMatchObject({ isAlive: true, stderr: '' })
    const [send, receive] = ['-Y', '-y'].map((flag) => record.argv[record.argv.lastIndexOf(flag) + 1])
    expect(send?.split(':')[0], record.id).toBe(receive?.split(':')[0])
    return ['sync-interface']
  }
  if (
    ours.isAlive &&
    record.argv.some((word, index) => record.argv[index - 1] === '-l' && word.includes(':'))
  ) {
    expect(started!.out?.[0], record.id).toMatch(/^spamd: (getaddrinfo|bind): /)
    return ['ipv6']
  }
  expect(ours.isAlive, record.id).toBe(false)
  const lines = ours.stderr.split('\n').filter((line) => line !== '' && !line.startsWith('spamd: hint: '))
  if (record.env['@db'] !== undefined) {
    expect(ours.syslog.map(withoutReason), record.id).toEqual(
      (started!.syslog ?? []).map((line) => withoutReason(expandDir(line, folder))),
    )
    expect(lines.map(withoutReason), record.id).toEqual(
      ours.syslog.map((line) => `spamd: ${withoutReason(line.slice(4))}`),
    )
    return ['says-on-stderr']
  }
  if (syncReason !== undefined) {
    expect(lines, record.id).toEqual([`spamd: sync init: ${syncReason}`])
    return ['sync-start-line']
  }
  // Our spamd names the peers only once it is certain to start.
  const recorded = (started!.out ?? []).filter((line) => !line.startsWith('added spam sync host '))
  if (recorded[0] === 'spamd: unknown option -- -') {
    expect(lines, record.id).toEqual([`spamd: unknown option -- ${longName}`, ...recorded.slice(1)])
    return ['long-name']
  }
  if (isUndefined(record)) {
    // The reason is a text of the C library.
    expect(lines.map(untilReason), record.id).toEqual(recorded.map(untilReason))
  } else expect(lines.map(commonText), record.id).toEqual(recorded.map(commonText))
  return []
}

async function run(record: SpamdRecord, folder: string): Promise<Outcome> {
  const isRoot = record.env['@uid'] === undefined
  const environment = { ...daemonEnvironment(folder), ...(isRoot ? {} : { SPAMD_FIREWALL: 'pf' }) }
  prepareDatabase(record.env['@db'], join(folder, 'db'))
  const parsed = parseSpamdOptions(record.argv.map(expandTools), {
    hostname: 'host.example',
    maxFiles: MAX_FILES,
    environment,
  })
  if (!parsed.ok) return { isAlive: false, stderr: parsed.stderr, syslog: [] }
  const daemon = createTestDaemon(parsed.config, new ManualClock(), { followsChanges: false })
  try {
    checkPrivileges(parsed.config, { isRoot, hasNetAdmin: false })
    if (record.env.ANCHOR_NOUSER !== undefined) await spamdUser(MISSING_USER)
    await daemon.service.start()
    return { isAlive: true, stderr: '', syslog: [] }
  } catch (error) {
    return {
      isAlive: false,
      stderr: (formatFailure('spamd', error) ?? String(error)).replaceAll(MISSING_USER, '_spamd'),
      syslog: daemon.logger.lines.map(({ level, message }) => `${level.toUpperCase()} ${message}`),
    }
  } finally {
    await daemon.service.stop()
  }
}

/** What is in place of the database; undefined: nothing. */
function prepareDatabase(state: string | undefined, path: string): void {
  if (state === 'dir') mkdirSync(path)
  else if (state === 'short') writeFileSync(path, 'short')
  else if (state !== undefined) writeFileSync(path, 'this is no database\n'.repeat(300))
}

/** -c below the default of -B, and no -B. */
function lowersMaxconAlone(argv: readonly string[]): boolean {
  const maxcon = argv.findLast((_word, index) => argv[index - 1] === '-c')
  return (
    maxcon !== undefined && Number(maxcon) < DEFAULT_MAX_BLACK && !argv.some((word) => word.startsWith('-B'))
  )
}

/**
 * What the original prints if synchronisation cannot start, before `spamd: sync init: ` and an errno text, with or
 * without a line feed between.
 */
function ownSyncLine(out: readonly string[]): string | undefined {
  const said =
    /^((?:multicast interface does not match|invalid multicast ttl |failed to ).*?)\n?spamd: sync init: /m
  return said.exec(out.join('\n'))?.[1]
}

/** True if the result depends on a text of the platform. */
function isUndefined(record: SpamdRecord): boolean {
  return Boolean(record.ub)
}

function expandDir(text: string, folder: string): string {
  return text.replace('{DIR}', folder)
}

function withoutReason(text: string): string {
  return text.replace(/ \(.*\)$/, ' (REASON)')
}

function untilReason(text: string): string {
  return text.split(': ').slice(0, 2).join(': ')
}

/** strerror(3) of OpenBSD and glibc use different words; TLS libraries have their own texts. */
function commonText(text: string): string {
  return text
    .replace("Can't assign requested address", 'Cannot assign requested address')
    .replace(/^(spamd: failed to configure TLS) - .*/, '$1')
}
