/**
 * Transcripts of OpenBSD's spamlogd, replayed against ours: the capture stands in for the log device, as it
 * did when they were recorded. What we do differently on purpose are the rules of test/support/spamlogd/predict.ts.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { CaptureFileReader } from '../../src/codec/capture/capture-file.js'
import type { CaptureRecord } from '../../src/codec/capture/capture-record.js'
import { parseSpamlogdOptions } from '../../src/cli/spamlogd/parse-spamlogd-options.js'
import { runSpamlogdCall } from '../../src/cli/spamlogd/spamlogd-main.js'
import { runSpamlogd } from '../../src/daemon/spamlogd/run-spamlogd.js'
import type { DaemonSignal } from '../../src/daemon/daemon-signal.js'
import type { SpamlogdParts } from '../../src/daemon/spamlogd/spamlogd-parts.js'
import { openWhiteAnnouncer } from '../../src/daemon/spamlogd/white-announcer.js'
import { createDatabase, openStore } from '../../src/db/open-store.js'
import type { Entry } from '../../src/domain/entry.js'
import { AppError } from '../../src/platform/app-error.js'
import type { LiveCaptureRequest } from '../../src/platform/live-capture-source.js'
import { CaptureOpenError } from '../../src/platform/open-live-capture.js'
import { predictRun, type TranscriptCapture } from '../support/spamlogd/predict.js'
import {
  isSyncLine,
  loadTranscripts,
  recordedOutcome,
  type SpamlogdOutcome,
  type SpamlogdTranscript,
} from '../support/spamlogd/transcript.js'
import { UdpRecorder } from '../support/udp-recorder.js'

const transcripts = loadTranscripts()
/** Platform text: the recording machine's C library had no words for EFTYPE of the BSDs. */
const UNKNOWN_EFTYPE = /Unknown error 10079$/

/** As `openLiveCapture` throws it. */
const failedOpening = (reason: string): CaptureOpenError =>
  new CaptureOpenError(new AppError('ERR_CAPTURE_OPEN', reason), 'pflog0')

const scratch = mkdtempSync(join(tmpdir(), 'spamlogd-golden-'))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

const absolute = (time: number, base: number) => (Math.abs(time) < 100_000_000 ? base + time : time)

/** The entries of `put`; those that our database cannot hold are left out. */
function entriesOf(transcript: SpamlogdTranscript): Entry[] {
  const entries: Entry[] = []
  for (const [operation, key, ...values] of transcript.put) {
    if (operation === 'putraw') continue
    const [first = 0, pass = 0, expire = 0, bcount = 0, pcount = 0] = values.map(Number)
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

async function prepareDatabase(transcript: SpamlogdTranscript, path: string): Promise<void> {
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

function readRecords(transcript: SpamlogdTranscript): {
  records: CaptureRecord[]
  linkType: number
  reason?: string
} {
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
const OUR_LINE = /^(?:WARNING )?(spamlogd: hint: |no synchronisation key in )/

async function run(transcript: SpamlogdTranscript): Promise<SpamlogdOutcome> {
  const { argv, env } = transcript
  const directory = mkdtempSync(join(scratch, 'case-'))
  const dbPath = join(directory, 'db')
  await prepareDatabase(transcript, dbPath)
  const stderr: string[] = []
  const syslog: string[] = []
  const recorder = await UdpRecorder.open()
  const { port } = recorder
  const capture = readRecords(transcript)
  let request: LiveCaptureRequest | undefined
  let isDebug = false
  let hasEnded = false
  const parts: SpamlogdParts = {
    clock: { nowSec: () => transcript.time_base, monotonicMs: () => performance.now() },
    host: { indexOf: () => undefined, isOwnAddress: () => false },
    openLog: () => ({
      log: (level, message) =>
        void (isDebug ? stderr.push(message) : syslog.push(`${level.toUpperCase()} ${message}`)),
      flush: async () => {},
    }),
    writeError: (text) => void stderr.push(...text.replace(/\n$/, '').split('\n')),
    writeOut: () => expect.unreachable('spamlogd prints nothing on stdout'),
    mayCapture: () => true,
    // The deadline of a stop outlives the run, for what hangs behind it.
    endNow: () => void (hasEnded || expect.unreachable('spamlogd ends by itself')),
    openCapture: async (given) => {
      const missing = env.PFLOG_PCAP
      if (missing !== undefined) {
        throw failedOpening(`${missing}: No such file or directory`)
      }
      if (capture.reason !== undefined) throw failedOpening(capture.reason)
      request = given
      const { linkType } = capture
      return { linkType, byteOrder: 'little', reader: 'libpcap', lostCount: () => 0, close: async () => {} }
    },
    openReplay: () => expect.unreachable('no transcript replays a file'),
    openStore: (path) => openStore(path, { mode: 'write', durability: 'normal', busyTimeoutMs: 20 }),
    becomeUser: async (name) => {
      if (env.ANCHOR_NOUSER !== undefined) throw new AppError('ERR_PRIVILEGES_USER', `no such user ${name}`)
    },
    onSignal: (handler: (signal: DaemonSignal) => void) => {
      // The daemon listens now: the log passes by and ends.
      if (env.ANCHOR_NOUSER !== undefined) return () => {}
      queueMicrotask(() => {
        for (const { bytes, timeSec } of capture.records) request?.onPacket(bytes, timeSec)
        handler('stop')
      })
      return () => {}
    },
  }
  const keyPath = join(directory, 'spamd.key')
  if (env['@key'] !== undefined) writeFileSync(keyPath, env['@key'], { encoding: 'latin1', mode: 0o600 })
  const environment = { SPAMD_DB: dbPath, SPAMD_KEY: keyPath, SPAMD_SYNC_PORT: String(port) }
  const parsed = parseSpamlogdOptions(argv, environment, 'openbsd')
  let rc = 1
  if (env['@uid'] !== undefined) {
    rc = await runSpamlogdCall(argv, { ...parts, mayCapture: () => false, ...UNUSED })
  } else if (!parsed.ok) {
    parts.writeError(parsed.stderr)
  } else {
    isDebug = parsed.options.isDebug
    // Leaving the terminal is for test/transcripts.
    const options = { ...parsed.options, isForeground: true }
    rc = await runSpamlogd(options, {
      ...parts,
      openAnnouncer: (given, logger) => openWhiteAnnouncer(given, logger, parts),
    })
  }
  hasEnded = true
  const show = (lines: string[]) =>
    lines
      .filter((line) => !OUR_LINE.test(line))
      .map((line) => line.replaceAll(directory, '{DIR}').replace(`port ${port})`, 'port 8025)'))
  const shown = show(stderr)
  const sentCount = predictOurs(transcript).sent.length
  if (rc === 0) await recorder.waitFor(sentCount)
  recorder.close()
  return {
    rc,
    stderr: shown.filter((line) => !isSyncLine(line)),
    syslog: show(syslog),
    listing: await readListing(dbPath),
    syncLines: shown.filter(isSyncLine),
    sent: recorder.datagrams.map(({ bytes }) => bytes.toString('hex')),
  }
}

function captureOf(transcript: SpamlogdTranscript): TranscriptCapture {
  const { records, ...rest } = readRecords(transcript)
  return { ...rest, records: records.map(({ bytes }) => bytes) }
}

/** The outcome of the original, in the words that every system has. */
function recordedPlainly(transcript: SpamlogdTranscript): SpamlogdOutcome {
  const recorded = recordedOutcome(transcript)
  const plain = (line: string) => line.replace(UNKNOWN_EFTYPE, 'Inappropriate file type or format')
  return { ...recorded, stderr: recorded.stderr.map(plain), syslog: recorded.syslog.map(plain) }
}

/** What libpcap said of the filter that the original made of -i, when it refused it. */
function filterFaultOf(transcript: SpamlogdTranscript): string | undefined {
  const lines = [...transcript.stderr.split('\n'), ...transcript.syslog.map((line) => line.replace('ERR ', ''))]
  const fault = lines.find((line) => /parse filter|syntax error|interface names? can only|ifname/.test(line))
  return fault?.startsWith('Listening') === true ? undefined : fault
}

const predictOurs = (transcript: SpamlogdTranscript) =>
  predictRun('ours', transcript, captureOf(transcript), filterFaultOf(transcript))
const predictOriginal = (transcript: SpamlogdTranscript) =>
  predictRun('original', transcript, captureOf(transcript), filterFaultOf(transcript))

const listed = (
  JSON.parse(readFileSync('test/golden/differences.json', 'utf8')) as Record<
    string,
    Record<string, { reason: string; instead: string }>
  >
)['spamlogd.jsonl']!

/** More transcripts exist than we were given; only ours can be on the list. */
const idsAtHand = new Set(
  readFileSync('test/golden/spamlogd.jsonl', 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => (JSON.parse(line) as SpamlogdTranscript).id),
)

describe('spamlogd as recorded, but for the rules of difference', () => {
  test.each(transcripts)('$id', async (transcript) => {
    const recorded = recordedPlainly(transcript)
    const original = predictOriginal(transcript)
    const ours = predictOurs(transcript)
    const isSame = JSON.stringify(ours) === JSON.stringify(original)
    // Where ours is to differ, the rules must also explain what the original did, unless -i gave it a filter to run.
    const isFilter = ours.stderr.some((line) => line.endsWith(' is not an interface name'))
    if (!isSame && !isFilter) expect(original, 'the original').toEqual(recorded)
    expect(await run(transcript)).toEqual(isSame ? recorded : ours)
    expect(transcript.stdout).toBe('')
    if (idsAtHand.has(transcript.id)) expect(transcript.id in listed, 'on the list').toBe(!isSame)
  })
})
