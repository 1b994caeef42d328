/**
 * Transcripts of OpenBSD's spamlogd, replayed against ours: the capture stands in for the log device, as it
 * did when they were recorded. What we do differently on purpose is written as rules below.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { CaptureFileReader } from '../../src/codec/capture/capture-file.js'
import type { CaptureRecord } from '../../src/codec/capture/capture-record.js'
import { parseSpamlogdOptions } from '../../src/cli/parse-spamlogd-options.js'
import { runSpamlogdCall } from '../../src/cli/spamlogd-main.js'
import { encodeSyncMessage, syncKeyOf } from '../../src/codec/sync-message.js'
import { runSpamlogd } from '../../src/daemon/spamlogd/run-spamlogd.js'
import type { DaemonSignal } from '../../src/daemon/daemon-signal.js'
import type { SpamlogdMachine } from '../../src/daemon/spamlogd/spamlogd-machine.js'
import { openWhiteAnnouncer } from '../../src/daemon/spamlogd/white-announcer.js'
import { createDatabase, openStore } from '../../src/db/open-store.js'
import type { Entry } from '../../src/domain/entry.js'
import { AppError } from '../../src/platform/app-error.js'
import type { LiveCaptureRequest } from '../../src/platform/live-capture-source.js'
import { predictSightings } from '../support/pflog-oracle.js'
import { UdpRecorder } from '../support/udp-recorder.js'

interface Transcript {
  id: string
  desc: string
  argv: string[]
  env: Record<string, string>
  time_base: number
  db: string
  put: [operation: string, key: string, ...numbers: number[]][]
  pcap_hex: string
  rc: number
  stdout: string
  stderr: string
  syslog: string[]
  listing: string[]
  sync_sent: string[]
}

interface Outcome {
  rc: number
  stderr: string[]
  listing: string[]
  /** Chatter of the synchronisation, in order, ports replaced. */
  syncLines: string[]
  /** Synchronisation messages in hexadecimal, in order. */
  sent: string[]
}

const SYNC_LINE = /^(added spam sync host|using multicast|sync white|sending (?:multicast )?sync message)\b/

const [folder = ''] = ['../shared/golden', 'test/golden'].filter((path) => existsSync(path))
const transcripts = readFileSync(join(folder, 'spamlogd.jsonl'), 'utf8')
  .split('\n')
  .filter((line) => line !== '')
  .map((line) => JSON.parse(line) as Transcript)

/** More transcripts exist than we were given; only ours can be on the list. */
const transcriptIdsAtHand = new Set(
  readFileSync('test/golden/spamlogd.jsonl', 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => (JSON.parse(line) as Transcript).id),
)

const scratch = mkdtempSync(join(tmpdir(), 'spamlogd-golden-'))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

const absolute = (time: number, base: number) => (Math.abs(time) < 100_000_000 ? base + time : time)

/** The entries of `put`; those that our database cannot hold are left out. */
function entriesOf(transcript: Transcript): Entry[] {
  const entries: Entry[] = []
  for (const [operation, key, first = 0, pass = 0, expire = 0, bcount = 0, pcount = 0] of transcript.put) {
    if (operation === 'putraw') continue
    const base = transcript.time_base
    const times = {
      first: absolute(first, base),
      pass: absolute(pass, base),
      expire: absolute(expire, base),
      bcount,
      pcount,
    }
    const parts = key.split('\n')
    if (parts.length > 1) {
      const [ip = '', ...rest] = parts
      const [helo = '', from = '', to = ''] = rest.length === 2 ? ['', ...rest] : rest
      entries.push({ kind: 'GREY', ip, helo, from, to, ...times })
    } else if (key.includes('@')) {
      entries.push({ kind: 'SPAMTRAP', address: key, first: times.first })
    } else if (pcount !== -2) {
      entries.push({ kind: pcount === -1 ? 'TRAPPED' : 'WHITE', ip: key, ...times })
    }
  }
  return entries
}

async function prepareDatabase(transcript: Transcript, path: string): Promise<void> {
  if (transcript.db === 'missing') return
  if (transcript.db === 'dir') return void mkdirSync(path)
  if (transcript.db === 'garbage') return writeFileSync(path, 'this is no database\n'.repeat(100))
  if (transcript.db === 'short') return writeFileSync(path, 'short')
  if (transcript.db === 'empty') return writeFileSync(path, '')
  createDatabase(path)
  const store = await openStore(path, { mode: 'write', durability: 'normal' })
  await store.upsert(entriesOf(transcript), { ifMissing: false })
  await store.close()
}

async function readListing(path: string): Promise<string[]> {
  const lines: string[] = []
  const store = await openStore(path, { mode: 'read' }).catch(() => undefined)
  if (store === undefined) return []
  for await (const chunk of store.listText()) lines.push(...Buffer.from(chunk).toString('latin1').split('\n'))
  await store.close()
  return lines.filter((line) => line !== '').sort()
}

function readRecords(transcript: Transcript): { records: CaptureRecord[]; linkType: number; reason?: string } {
  const reader = new CaptureFileReader()
  reader.push(Buffer.from(transcript.pcap_hex, 'hex'))
  const records: CaptureRecord[] = []
  let item = reader.next()
  for (; item !== undefined && item.kind === 'record'; item = reader.next()) records.push(item)
  const linkType = reader.linkType ?? 0
  // A file that is damaged at its start cannot be opened; damage later on ends it.
  const damage = item ?? reader.end()
  const isUnreadable = damage !== undefined && reader.linkType === undefined
  return { records, linkType, ...(isUnreadable ? { reason: damage.reason } : {}) }
}

/** What a call without rights must not come to. */
const UNUSED = {
  showHelp: () => expect.unreachable('no transcript asks for help'),
  run: () => expect.unreachable('a call without rights ends at once'),
}

/** Lines that the original does not have. */
const OUR_LINE = /^(spamlogd: hint: |no synchronisation key in )/

async function run(transcript: Transcript): Promise<Outcome> {
  const directory = mkdtempSync(join(scratch, 'case-'))
  const dbPath = join(directory, 'db')
  await prepareDatabase(transcript, dbPath)
  const stderr: string[] = []
  const recorder = await UdpRecorder.open()
  const capture = readRecords(transcript)
  let request: LiveCaptureRequest | undefined
  const machine: SpamlogdMachine = {
    clock: { nowSec: () => transcript.time_base, monotonicMs: () => performance.now() },
    indexOf: () => undefined,
    openLog: () => ({ log: (_level, message) => void stderr.push(message), flush: async () => {} }),
    writeError: (text) => void stderr.push(...text.replace(/\n$/, '').split('\n')),
    writeOut: () => expect.unreachable('spamlogd prints nothing on stdout'),
    mayCapture: () => true,
    openCapture: async (given) => {
      const missing = transcript.env['PFLOG_PCAP']
      if (missing !== undefined) {
        throw new AppError('ERR_CAPTURE_OPEN', `${missing}: No such file or directory`)
      }
      if (capture.reason !== undefined) throw new AppError('ERR_CAPTURE_OPEN', capture.reason)
      request = given
      const { linkType } = capture
      return { linkType, byteOrder: 'little', reader: 'libpcap', lostCount: () => 0, close: async () => {} }
    },
    openReplay: () => expect.unreachable('no transcript replays a file'),
    openStore: (path) => openStore(path, { mode: 'write', durability: 'normal', busyTimeoutMs: 20 }),
    becomeUser: async () => {},
    onSignal: (handler: (signal: DaemonSignal) => void) => {
      // The daemon listens now: the log passes by and ends.
      queueMicrotask(() => {
        for (const { bytes, timeSec } of capture.records) request?.onPacket(bytes, timeSec)
        handler('stop')
      })
      return () => {}
    },
  }
  const keyPath = join(directory, 'spamd.key')
  if (transcript.env['@key'] !== undefined) writeFileSync(keyPath, transcript.env['@key'], { mode: 0o600 })
  const environment = { SPAMD_DB: dbPath, SPAMD_KEY: keyPath, SPAMD_SYNC_PORT: String(recorder.port) }
  const parsed = parseSpamlogdOptions(transcript.argv, environment, 'openbsd')
  let rc = 1
  if (transcript.env['@uid'] !== undefined) {
    rc = await runSpamlogdCall(transcript.argv, { ...machine, mayCapture: () => false, ...UNUSED })
  } else if (!parsed.ok) {
    machine.writeError(parsed.stderr)
  } else {
    rc = await runSpamlogd(parsed.options, {
      machine,
      openAnnouncer: (options, logger) => openWhiteAnnouncer(options, logger, machine),
    })
  }
  const own = stderr.filter((line) => !OUR_LINE.test(line))
  const shown = own.map((line) => line.replaceAll(directory, '{DIR}').replace(`port ${recorder.port})`, 'port 8025)'))
  const syncLines = shown.filter((line) => SYNC_LINE.test(line))
  await recorder.waitFor(syncLines.filter((line) => line.startsWith('sending')).length)
  recorder.close()
  return {
    rc,
    stderr: shown.filter((line) => !SYNC_LINE.test(line)),
    listing: await readListing(dbPath),
    syncLines,
    sent: recorder.datagrams.map(({ bytes }) => bytes.toString('hex')),
  }
}

const hours = (transcript: Transcript) => Number(transcript.argv[transcript.argv.indexOf('-W') + 1] ?? 864)
const whiteExpireSec = (transcript: Transcript) =>
  (transcript.argv.includes('-W') ? hours(transcript) : 864) * 3600

/** What ours is to do: the transcript, with the wanted differences applied. */
function expected(transcript: Transcript): Outcome & { isOrderFixed: boolean } {
  const base = transcript.time_base
  let stderr = transcript.stderr.split('\n').filter((line) => line !== '')
  let listing = transcript.listing.map((line) =>
    line.replace(/\{T([+-][0-9]+)\}/g, (_all, offset: string) => String(base + Number(offset))),
  )
  let rc = transcript.rc

  // Difference: an interface name never becomes part of a filter, so an impossible one is refused at once.
  const interfaceName = transcript.argv[transcript.argv.indexOf('-i') + 1]
  const isBadInterface =
    transcript.argv.includes('-i') && interfaceName !== undefined && !/^[^\s/]{1,15}$/.test(interfaceName)
  if (isBadInterface) {
    const line = `spamlogd: -i: ${JSON.stringify(interfaceName)} is not an interface name`
    return { rc: 1, stderr: [line], listing, syncLines: [], sent: [], isOrderFixed: true }
  }

  // Platform text: the recording machine's C library had no words for EFTYPE of the BSDs.
  stderr = stderr.map((line) => line.replace(/Unknown error 10079$/, 'Inappropriate file type or format'))

  // Difference: an unknown long option is named, since there are long options now.
  const longName = transcript.argv.find((word) => /^--./.test(word))?.slice(2)
  stderr = stderr.map((line) => line.replace(/^(spamlogd: unknown option -- )-$/, `$1${longName}`))

  // Difference: errno 0 has no text worth printing; the reason of the line before is repeated.
  const reason = /^Failed to initialize: (.*)$/m.exec(transcript.stderr)?.[1]
  stderr = stderr.map((line) => {
    if (line === 'Invalid datalink type') return `Invalid datalink type ${linkTypeText(transcript)}`
    return line === "spamlogd: couldn't initialize pcap: Undefined error: 0"
      ? `spamlogd: couldn't initialize pcap: ${reason ?? `Invalid datalink type ${linkTypeText(transcript)}`}`
      : line
  })

  // Batches are written together, so their sync lines come behind those of the packets.
  let syncLines = stderr.filter((line) => SYNC_LINE.test(line))
  stderr = stderr.filter((line) => !SYNC_LINE.test(line))
  let sent = transcript.sync_sent

  // Differences in what counts: IPv6, destination port only, impossible header lengths refused.
  let isOrderFixed = true
  const isRunning = rc === 0
  const { records } = readRecords(transcript)
  const addresses: { ip: string; change: 1 | -1 }[] = []
  for (const record of isRunning ? records : []) {
    const { original, ours } = predictSightings(record.bytes, transcript.argv)
    if (original === ours) continue
    isOrderFixed = false
    if (original !== undefined) stderr.splice(stderr.indexOf(original), 1)
    if (ours !== undefined) stderr.splice(stderr.length - 1, 0, ours)
    for (const [line, change] of [[original, -1] as const, [ours, 1] as const]) {
      const ip = /^(?:in|out)bound (.*)$/.exec(line ?? '')?.[1]
      if (ip !== undefined) addresses.push({ ip, change })
    }
  }
  const entries = entriesOf(transcript)
  const spamtrapIps = transcript.put.filter(([, , , , , , pcount]) => pcount === -2).map(([, key]) => key)
  const trappedIps = entries.flatMap((entry) => (entry.kind === 'TRAPPED' ? [entry.ip] : []))
  const whitelisted = isRunning && transcript.db === 'created'
  for (const ip of new Set([...addresses.map((item) => item.ip), ...spamtrapIps, ...trappedIps])) {
    if (!whitelisted) break
    listing = listing.filter((line) => line.startsWith('GREY|') || line.split('|')[1] !== ip)
    const line = hostLine(transcript, entries, ip, stderr)
    if (line !== undefined) listing.push(line)
  }

  // Difference: what could not be stored is said at the end, and one error a minute is enough.
  const cannotOpen = stderr.filter((line) => line.startsWith('Can not open db '))
  if (cannotOpen.length > 0) {
    const lost = new Set(stderr.flatMap((line) => /^(?:in|out)bound (.*)$/.exec(line)?.[1] ?? []))
    stderr = stderr.filter((line) => !line.startsWith('Can not open db '))
    stderr.splice(-1, 0, cannotOpen[0]!, `${lost.size} addresses could not be recorded in {DIR}/db`)
  }
  if (isRunning && (!isOrderFixed || trappedIps.length > 0)) {
    ;({ syncLines, sent } = modelSync(transcript, stderr, trappedIps, syncLines))
  }
  return { rc, stderr, listing: listing.sort(), syncLines, sent, isOrderFixed }
}

/**
 * The messages of ours where what counts differs: one for each sighting of an IPv4 address that is not TRAPPED, to
 * every target, the last one first.
 */
function modelSync(
  transcript: Transcript,
  stderr: string[],
  trappedIps: string[],
  recordedLines: string[],
): { syncLines: string[]; sent: string[] } {
  const hosts = recordedLines.filter((line) => line.startsWith('added spam sync host'))
  if (hosts.length === 0) return { syncLines: [], sent: [] }
  const seen = stderr.flatMap((line) => /^(?:in|out)bound ([0-9.]+)$/.exec(line)?.[1] ?? [])
  const key = syncKeyOf(transcript.env['@key'] === undefined ? undefined : Buffer.from(transcript.env['@key']))
  const base = transcript.time_base
  const expire = base + whiteExpireSec(transcript)
  const messages = seen.filter((ip) => !trappedIps.includes(ip))
  return {
    syncLines: [
      ...hosts,
      ...messages.flatMap((ip) => [
        `sync white ${ip}`,
        ...hosts.toReversed().map((line) => {
          const [, name, address] = /^added spam sync host (\S+) \(address (\S+),/.exec(line)!
          return `sending sync message to ${name} (${address})`
        }),
      ]),
    ],
    sent: messages.flatMap((ip, counter) => {
      const bytes = encodeSyncMessage(counter, { type: 'WHITE', timestamp: base, ip, expire }, key)!
      return hosts.map(() => Buffer.from(bytes).toString('hex'))
    }),
  }
}

/** The entry of an address after the sightings in the log lines, by the rules of the specification. */
function hostLine(transcript: Transcript, entries: Entry[], ip: string, stderr: string[]): string | undefined {
  const before = entries.find((entry) => 'ip' in entry && entry.ip === ip && entry.kind !== 'GREY')
  const count = stderr.filter((line) => line === `inbound ${ip}` || line === `outbound ${ip}`).length
  // Difference: a TRAPPED address stays as it is.
  if (before?.kind === 'TRAPPED') return `TRAPPED|${ip}|${before.expire}`
  const base = transcript.time_base
  if (before?.kind === 'WHITE') {
    const expire = count === 0 ? before.expire : base + whiteExpireSec(transcript)
    const { first, pass, bcount, pcount } = before
    return `WHITE|${ip}|||${first}|${pass}|${expire}|${bcount}|${pcount + count}`
  }
  // Difference: an address cannot be a spamtrap, so this one is simply new.
  return count === 0
    ? undefined
    : `WHITE|${ip}|||${base}|${base}|${base + whiteExpireSec(transcript)}|1|${count - 1}`
}

function linkTypeText(transcript: Transcript): string {
  const number = readRecords(transcript).linkType
  const name = { 0: 'NULL', 1: 'ETHERNET', 12: 'RAW', 101: 'RAW', 113: 'LINUX_SLL' }[number]
  return `${number}${name === undefined ? '' : ` (${name})`}, expected 117 (PFLOG) or 239 (NFLOG)`
}

const differences = JSON.parse(readFileSync('test/golden/differences.json', 'utf8')) as Record<
  string,
  Record<string, { reason: string; instead: string }>
>

/** The parts of a transcript that ours is compared with, unchanged. */
function recorded(transcript: Transcript) {
  const lines = transcript.stderr.split('\n').filter((line) => line !== '')
  const listing = transcript.listing.map((line) =>
    line.replace(/\{T([+-][0-9]+)\}/g, (_all, offset: string) => String(transcript.time_base + Number(offset))),
  )
  return { rc: transcript.rc, stderr: lines, listing: listing.sort() }
}

describe('the listed differences', () => {
  const listed = transcripts.filter(({ id }) => differences['spamlogd.jsonl']?.[id] !== undefined)
  test.each(listed)('$id is one, and the rule above says what ours does', async (transcript) => {
    const { syncLines: _syncLines, sent: _sent, isOrderFixed: _isOrderFixed, ...want } = expected(transcript)
    expect(want).not.toEqual(recorded(transcript))
  })

  test('no other transcript that we have differs, but for sync texts', () => {
    const unlisted = transcripts.filter(({ id }) => differences['spamlogd.jsonl']?.[id] === undefined)
    const known = unlisted.filter(({ argv, id }) => !argv.includes('-Y') && transcriptIdsAtHand.has(id))
    for (const transcript of known) {
      const { syncLines: _syncLines, sent: _sent, isOrderFixed: _isOrderFixed, ...want } = expected(transcript)
      expect(want, transcript.id).toEqual(recorded(transcript))
    }
  })
})

describe('spamlogd as recorded', () => {
  test.each(transcripts)('$id', async (transcript) => {
    const outcome = await run(transcript)
    const { isOrderFixed, ...want } = expected(transcript)
    const got = isOrderFixed ? outcome : { ...outcome, stderr: outcome.stderr.toSorted() }
    expect(got).toEqual(isOrderFixed ? want : { ...want, stderr: want.stderr.toSorted() })
    expect(transcript.stdout).toBe('')
  })
})
