import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterAll, beforeEach, describe, expect, test, vi } from 'vitest'
import type { SpamlogdOptions } from '../../../../src/app/spamlogd-options.js'
import { parseSpamlogdOptions } from '../../../../src/cli/spamlogd/parse-spamlogd-options.js'
import { decodeSyncMessage, syncKeyOf } from '../../../../src/codec/sync-message.js'
import { runSpamlogd } from '../../../../src/daemon/spamlogd/run-spamlogd.js'
import { kernelFilter } from '../../../../src/daemon/spamlogd/watched-log.js'
import { openWhiteAnnouncer } from '../../../../src/daemon/spamlogd/white-announcer.js'
import { createDatabase, openStore } from '../../../../src/db/open-store.js'
import { AppError } from '../../../../src/platform/app-error.js'
import { CaptureOpenError } from '../../../../src/platform/open-live-capture.js'
import { captureFile, mailSyn, nflogRecord, pflogRecord } from '../../../support/log-records.js'
import { FakeSpamlogdParts } from '../../../support/spamlogd-parts.js'
import { UdpRecorder } from '../../../support/udp-recorder.js'

const scratch = mkdtempSync(join(tmpdir(), 'spamlogd-run-'))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

let dbPath = ''
let parts = new FakeSpamlogdParts()
beforeEach(() => {
  dbPath = join(mkdtempSync(join(scratch, 'case-')), 'spamd.sqlite')
  parts = new FakeSpamlogdParts()
})

function optionsOf(...argv: string[]): SpamlogdOptions {
  const parsed = parseSpamlogdOptions([...argv, '--db', dbPath], {}, 'openbsd')
  if (!parsed.ok) throw new Error(parsed.stderr)
  return parsed.options
}
const run = (...argv: string[]) => runSpamlogd(optionsOf(...argv), parts)

async function entries(): Promise<string[]> {
  const store = await openStore(dbPath, { mode: 'read' })
  const lines: string[] = []
  for await (const chunk of store.listText())
    lines.push(...Buffer.from(chunk).toString('latin1').trimEnd().split('\n'))
  await store.close()
  return lines
}
const white = (ip: string, timeSec: number, pcount = 0) =>
  `WHITE|${ip}|||${timeSec}|${timeSec}|${timeSec + 3110400}|1|${pcount}`
const SYN = pflogRecord(mailSyn('192.0.2.1', '198.51.100.1'))
const NOW = 1_700_000_000

/** Turns of the event loop until something holds; for work that ends by itself soon. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await nextTurn()
}

describe('watching', () => {
  test('a packet is stored when the end comes before the batch is due', async () => {
    createDatabase(dbPath)
    const running = run('-D', '--user', 'nobody')
    await parts.listening
    parts.request?.onPacket(SYN, 1)
    parts.signal('stop')
    expect(await running).toBe(0)
    expect(parts.lines).toEqual(['Listening on pflog0 for all interfaces. ', 'inbound 192.0.2.1', 'exiting'])
    expect([parts.users, parts.captureClosed]).toEqual([['nobody'], 1])
    expect(await entries()).toEqual([white('192.0.2.1', NOW)])
  })

  test('SIGUSR1 logs the counters, a kernel loss is told', async () => {
    createDatabase(dbPath)
    const running = run('-D')
    await parts.listening
    parts.request?.onPacket(SYN, 1)
    parts.request?.onPacket(new Uint8Array(3), 1)
    parts.request?.onTrouble('the kernel lost packets')
    parts.signal('statistics')
    parts.signal('stop')
    await running
    expect(parts.lines).toContain('pflog0: the kernel lost packets')
    expect(parts.lines).toContain(
      'statistics packets=2 matched=1 undecodable=1 updated=0 leftTrapped=0 pending=1 dropped=0 lostByKernel=0',
    )
  })

  test('--metrics-textfile has the counters for Prometheus; a file that cannot be written is told', async () => {
    createDatabase(dbPath)
    const file = `${dbPath}.prom`
    const running = run('-D', '--metrics-textfile', file)
    await parts.listening
    parts.request?.onPacket(SYN, 1)
    parts.request?.onPacket(new Uint8Array(3), 1)
    parts.signal('statistics')
    await until(() => existsSync(file))
    const lines = readFileSync(file, 'latin1').split('\n')
    for (const line of [
      'spamlogd_packets_total 2',
      'spamlogd_packets_matched_total 1',
      'spamlogd_packets_undecodable_total 1',
      'spamlogd_packets_lost_total 0',
    ]) {
      expect(lines).toContain(line)
    }
    rmSync(file)
    mkdirSync(file)
    parts.signal('statistics')
    await until(() => parts.lines.some((line) => line.startsWith(`cannot write ${file}: `)))
    parts.signal('stop')
    expect(await running).toBe(0)
  })

  test('a database that appears later gets everything; SIGHUP opens it anew', async () => {
    const running = run('-D')
    await parts.listening
    parts.request?.onPacket(SYN, 1)
    await until(() => parts.lines.some((line) => line.startsWith('Can not open db')))
    createDatabase(dbPath)
    parts.signal('reload')
    parts.request?.onPacket(SYN, 1)
    parts.signal('stop')
    expect(await running).toBe(0)
    expect(await entries()).toEqual([white('192.0.2.1', NOW, 1)])
  })

  test('a database that is replaced under it is opened again', async () => {
    createDatabase(dbPath)
    const running = run('-D')
    await parts.listening
    parts.request?.onPacket(SYN, 1)
    const updated = () => {
      parts.signal('statistics')
      return parts.lines.at(-1)?.includes('pending=0') === true
    }
    await until(updated)
    renameSync(dbPath, `${dbPath}.old`)
    createDatabase(dbPath)
    parts.request?.onPacket(pflogRecord(mailSyn('192.0.2.2', '198.51.100.1')), 1)
    parts.signal('stop')
    await running
    expect(await entries()).toEqual([white('192.0.2.2', NOW)])
  })

  test('a clock that jumps back stores what it says', async () => {
    createDatabase(dbPath)
    const running = run('-D')
    await parts.listening
    parts.clock.step(-7_200)
    parts.request?.onPacket(SYN, 1)
    parts.signal('stop')
    await running
    expect(await entries()).toEqual([white('192.0.2.1', NOW - 7_200)])
  })

  test('what hangs at the end is left after four and a half seconds', async () => {
    createDatabase(dbPath)
    const open = parts.openCapture
    let release = (): void => undefined
    const hanging = new Promise<void>((resolve) => {
      release = resolve
    })
    parts.openCapture = async (request) => ({ ...(await open(request)), close: () => hanging })
    const running = run('-D')
    await parts.listening
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      parts.signal('stop')
      vi.advanceTimersByTime(4_499)
      // Another signal does not begin anew.
      parts.signal('stop')
      expect(parts.endedNow).toEqual([])
      vi.advanceTimersByTime(1)
      expect(parts.endedNow).toEqual([1])
    } finally {
      vi.useRealTimers()
      release()
    }
    expect(await running).toBe(0)
  })

  test('all counters begin with nothing', async () => {
    createDatabase(dbPath)
    const running = run('-D')
    await parts.listening
    parts.signal('statistics')
    parts.signal('stop')
    await running
    expect(parts.lines).toContain(
      'statistics packets=0 matched=0 undecodable=0 updated=0 leftTrapped=0 pending=0 dropped=0 lostByKernel=0',
    )
  })

  test('a device of another link type is named and closed', async () => {
    createDatabase(dbPath)
    parts.linkType = 1
    expect(await run('-D', '-l', 'em0')).toBe(1)
    const text = 'Invalid datalink type 1 (ETHERNET), expected 117 (PFLOG) or 239 (NFLOG)'
    expect(parts.lines).toEqual(['Listening on em0 for all interfaces. ', text])
    expect(parts.stderr[0]).toBe(`spamlogd: couldn't initialize pcap: ${text}\n`)
    expect(parts.captureClosed).toBe(1)
  })

  test('a device that does not open is told with reason and hint', async () => {
    parts.captureError = new CaptureOpenError(
      new AppError('ERR_CAPTURE_OPEN', 'socket: Operation not permitted'),
      'nflog:25',
    )
    expect(await run('-D')).toBe(1)
    expect(parts.lines.at(-1)).toBe('Failed to initialize: socket: Operation not permitted')
    expect(parts.stderr).toEqual([
      "spamlogd: couldn't initialize pcap: Operation not permitted\n",
      'spamlogd: hint: nflog needs root or the capability CAP_NET_ADMIN\n',
    ])
  })

  test('as a service, a database that can never be used ends the start; a missing one is waited for', async () => {
    writeFileSync(dbPath, 'garbage '.repeat(1_000))
    expect(await run('--foreground')).toBe(1)
    expect(parts.stderr[0]).toBe(`spamlogd: Can not open db ${dbPath}: Inappropriate file type or format\n`)
    rmSync(dbPath)
    parts = new FakeSpamlogdParts()
    const pidFile = `${dbPath}.pid`
    const running = run('--foreground', '--pid-file', pidFile)
    await parts.listening
    await until(() => parts.stderr.length > 0)
    expect(parts.stderr[0]).toContain('does not exist yet')
    expect(readFileSync(pidFile, 'latin1')).toBe(`${process.pid}\n`)
    parts.signal('stop')
    expect(await running).toBe(0)
    expect(existsSync(pidFile)).toBe(false)
  })
})

test('the counters name what was told to other gateways, and what could not be', async () => {
  createDatabase(dbPath)
  const peer = await UdpRecorder.open('127.0.0.1')
  const options = optionsOf(
    '-D',
    '-Y',
    '127.0.0.1',
    '--sync-port',
    String(peer.port),
    '--key',
    `${dbPath}.key`,
  )
  parts.openAnnouncer = (given, logger) => openWhiteAnnouncer(given, logger, parts)
  const running = runSpamlogd(options, parts)
  await parts.listening
  parts.request?.onPacket(SYN, 1)
  parts.request?.onPacket(pflogRecord(mailSyn('2001:db8::1', '2001:db8::2')), 1)
  await peer.waitFor(1)
  await until(() => {
    parts.signal('statistics')
    return parts.lines.at(-1)?.endsWith(' syncSent=1 syncFailed=0 syncNotSentIpv6=1') === true
  })
  parts.signal('stop')
  expect(await running).toBe(0)
  peer.close()
})

test('-Y tells until when an address is WHITE on record: a pinned one as spamdb -Y does', async () => {
  createDatabase(dbPath)
  const store = await openStore(dbPath, { mode: 'write' })
  await store.edit([{ operation: 'add', kind: 'WHITE', ip: '192.0.2.1', options: { expire: 0 } }], NOW - 60)
  await store.close()
  const peer = await UdpRecorder.open('127.0.0.1')
  const key = `${dbPath}.key`
  writeFileSync(key, 'k', { mode: 0o600 })
  const options = optionsOf('-D', '-Y', '127.0.0.1', '--sync-port', String(peer.port), '--key', key)
  parts.openAnnouncer = (given, logger) => openWhiteAnnouncer(given, logger, parts)
  const running = runSpamlogd(options, parts)
  await parts.listening
  parts.request?.onPacket(SYN, 1)
  parts.request?.onPacket(pflogRecord(mailSyn('192.0.2.2', '198.51.100.1')), 1)
  await peer.waitFor(2)
  parts.signal('stop')
  await running
  const told = peer.datagrams.flatMap(({ bytes }) => {
    const decoded = decodeSyncMessage(bytes, syncKeyOf(Buffer.from('k')))
    return decoded.ok ? decoded.value.entries : []
  })
  expect(told).toMatchObject([
    { type: 'WHITE', ip: '192.0.2.1', expire: 2 ** 31 - 1 },
    { type: 'WHITE', ip: '192.0.2.2', expire: NOW + 3_110_400 },
  ])
  peer.close()
})

describe('a target of -Y that cannot be', () => {
  const runWithTarget = () => {
    parts.openAnnouncer = () =>
      Promise.reject(new AppError('ERR_SYNC_INIT', 'sync init: No such device', { hint: 'a hint' }))
    return runSpamlogd(optionsOf('-D', '-Y', 'nosuchif0'), parts)
  }

  test('is told when the capture is open, which is closed again', async () => {
    createDatabase(dbPath)
    expect(await runWithTarget()).toBe(1)
    expect(parts.lines).toEqual(['Listening on pflog0 for all interfaces. '])
    expect(parts.stderr).toEqual(['spamlogd: sync init: No such device\n', 'spamlogd: hint: a hint\n'])
    expect(parts.captureClosed).toBe(1)
  })

  test('comes behind a capture that cannot be opened', async () => {
    parts.captureError = new AppError('ERR_CAPTURE_OPEN', 'No such device exists')
    expect(await runWithTarget()).toBe(1)
    expect(parts.stderr).toEqual(["spamlogd: couldn't initialize pcap: No such device exists\n"])
  })
})

describe('replaying', () => {
  const replay = (file: Uint8Array, isFile = true) => {
    parts.replay = {
      chunks: (async function* () {
        for (let offset = 0; offset < file.length; offset += 50) yield file.subarray(offset, offset + 50)
      })(),
      isFile,
      abort: () => {},
    }
  }
  const summary = (text: string) => expect(parts.stdout).toEqual([`${text}\n`])

  test('updates that no database takes are lost with a hint', async () => {
    replay(captureFile([SYN]))
    expect(await run('-r', 'x')).toBe(1)
    expect(parts.stderr).toEqual(['spamlogd: hint: create it with "spamdctl init-db", or start spamd\n'])
    summary('packets=1 matched=1 undecodable=0 added=0 refreshed=0 untrapped=0 leftTrapped=0 lost=1')
  })

  test('the time of capture counts when asked for', async () => {
    createDatabase(dbPath)
    const six = pflogRecord(mailSyn('2001:db8::1', '2001:db8::2'), { direction: 'out' })
    replay(captureFile([SYN, SYN, six], { timeSec: 1_600_000_000 }))
    expect(await run('-r', 'x', '--use-capture-time')).toBe(0)
    summary('packets=3 matched=3 undecodable=0 added=2 refreshed=0 untrapped=0 leftTrapped=0 lost=0')
    expect(await entries()).toEqual([
      white('192.0.2.1', 1_600_000_000, 1),
      white('2001:db8::2', 1_600_000_000),
    ])
    expect(parts.users).toEqual([])
  })

  test('nflog through a pipe, JSON summary', async () => {
    createDatabase(dbPath)
    replay(
      captureFile([nflogRecord(mailSyn('192.0.2.9', '192.0.2.1'), { prefix: 'spamlogd-in' })], {
        linkType: 239,
      }),
      false,
    )
    expect(await run('-D', '-r', '-', '--json')).toBe(0)
    expect(JSON.parse(parts.stdout[0] ?? '')).toMatchObject({ packets: 1, matched: 1, added: 1, lost: 0 })
    expect(parts.lines).toEqual(['inbound 192.0.2.9'])
  })

  test('a TRAPPED address stays, unless the old way is asked for', async () => {
    createDatabase(dbPath)
    const store = await openStore(dbPath, { mode: 'write' })
    await store.edit([{ operation: 'add', kind: 'TRAPPED', ip: '192.0.2.1' }], NOW - 60)
    await store.close()
    replay(captureFile([SYN]))
    await run('-r', 'x')
    expect(await entries()).toEqual([`TRAPPED|192.0.2.1|${NOW - 60 + 86_400}`])
    replay(captureFile([SYN]))
    await run('-r', 'x', '--untrap')
    expect(await entries()).toEqual([`WHITE|192.0.2.1|||${NOW - 60}|${NOW}|${NOW + 3110400}|1|0`])
  })

  test('damage is reported with its offset, what came before it counts', async () => {
    createDatabase(dbPath)
    const good = captureFile([SYN])
    replay(Buffer.concat([good, good.subarray(24, 33)]))
    expect(await run('-r', 'mail.pcap')).toBe(1)
    expect(parts.stderr).toEqual([
      `spamlogd: mail.pcap: truncated dump file; tried to read 16 header bytes, only got 9 at byte ${good.length}\n`,
    ])
    expect(await entries()).toHaveLength(1)
  })

  test.each([
    [
      Uint8Array.of(0x1f, 0x8b, 8, 0),
      'unknown file format (gzip) at byte 0',
      'unpack it: gzip -dc FILE | spamlogd -r -',
    ],
    [
      captureFile([SYN], { linkType: 113 }),
      'invalid datalink type 113 (LINUX_SLL), expected 117 (PFLOG) or 239 (NFLOG)',
      'capture on the log device',
    ],
    [
      captureFile([], { linkType: 101 }),
      'invalid datalink type 101 (RAW), expected 117 (PFLOG) or 239 (NFLOG)',
      'capture on the log device',
    ],
  ])('another kind of file is named', async (file, reason, hint) => {
    createDatabase(dbPath)
    replay(file)
    expect(await run('-r', 'mail.pcap')).toBe(1)
    expect(parts.stderr[0]).toBe(`spamlogd: mail.pcap: ${reason}\n`)
    expect(parts.stderr[1]).toContain(`spamlogd: hint: ${hint}`)
  })

  test('updates that cannot be stored make the replay fail', async () => {
    replay(captureFile([SYN]))
    expect(await run('-r', 'x')).toBe(1)
    expect(parts.lines).toEqual([
      `Can not open db ${dbPath}: No such file or directory`,
      `1 addresses could not be recorded in ${dbPath}`,
    ])
    summary('packets=1 matched=1 undecodable=0 added=0 refreshed=0 untrapped=0 leftTrapped=0 lost=1')
  })

  test('a signal ends it between records, and what was read is stored', async () => {
    createDatabase(dbPath)
    const file = captureFile([SYN])
    parts.replay = {
      chunks: (async function* () {
        yield file
        parts.signal('stop')
        yield file.subarray(24)
      })(),
      isFile: false,
      abort: () => {},
    }
    expect(await run('-r', '-')).toBe(0)
    expect(await entries()).toHaveLength(1)
  })
})

test('what the kernel sorts out: nothing on nflog, IPv4 SYNs to our ports on pflog, IPv6 whole', () => {
  const { rules } = optionsOf('--port', '25', '--port', '587', '-i', 'em0')
  expect(kernelFilter('nflog:25', rules)).toBe('')
  expect(kernelFilter('pflog0', rules)).toBe(
    'action pass and on em0 and (ip6 or (ip and (dst port 25 or dst port 587) and tcp[13] & 0x12 = 0x2))',
  )
})
