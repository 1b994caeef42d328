/** The SMTP server with real sockets on loopback: limits, faults, slow and silent clients, PROXY, TLS. */

import { readFileSync } from 'node:fs'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { afterEach, describe, expect, test, vi } from 'vitest'
import type { GreylistedRecipient } from '../../../../src/daemon/seams.js'
import type { SmtpOptions } from '../../../../src/daemon/smtp/connection-parts.js'
import { secureContextOf } from '../../../../src/daemon/smtp/secure-context.js'
import { SmtpServer, type SmtpServerParts } from '../../../../src/daemon/smtp/smtp-server.js'
import type { DialogueSettings } from '../../../../src/daemon/smtp/smtp-session.js'
import { parseCidr } from '../../../../src/ip/cidr.js'
import { maxOpenFiles } from '../../../../src/platform/max-open-files.js'
import { ManualClock } from '../../../support/manual-clock.js'
import { MemoryDebugOutput } from '../../../support/memory-debug-output.js'
import { MemoryLogger } from '../../../support/memory-logger.js'
import { TestClient } from '../../../support/spamd/test-client.js'
import { waitFor } from '../../../support/spamd/wait-for.js'

const OK_RCPT = '250 This is hurting you more than it is hurting me.\r\n'
const OPTIONS: SmtpOptions = {
  isBlackOnly: false,
  isVerbose: true,
  maxConnections: 800,
  maxBlack: 700,
  maxPerIp: undefined,
  maxSessionSec: 14_400,
  stutterSec: 0,
  greyStutterSec: 0,
  windowBytes: undefined,
}

const DIALOGUE: DialogueSettings = {
  hostname: 'mx.example',
  bannerName: 'spamd',
  listReplyCode: 450,
  maxRecipients: 100,
  maxCommands: 500,
}

/** The machine's time, moved forward by hand; the wheel follows it. */
class RunningClock extends ManualClock {
  readonly #startMs = performance.now()
  override monotonicMs(): number {
    return super.monotonicMs() + performance.now() - this.#startMs
  }
}

interface Running {
  server: SmtpServer
  port: number
  clock: RunningClock
  logger: MemoryLogger
  recipients: GreylistedRecipient[]
}

const running: SmtpServer[] = []
const clients: TestClient[] = []
afterEach(() => {
  for (const client of clients.splice(0)) client.close()
  for (const server of running.splice(0)) server.close()
  vi.restoreAllMocks()
})

async function start(
  options: Partial<SmtpOptions> = {},
  more: Partial<SmtpServerParts> = {},
): Promise<Running> {
  const logger = new MemoryLogger()
  const clock = new RunningClock()
  const recipients: GreylistedRecipient[] = []
  let port = 0
  const server = new SmtpServer({
    options: { ...OPTIONS, ...options },
    dialogue: DIALOGUE,
    secureContext: undefined,
    clock,
    logger,
    debug: new MemoryDebugOutput(),
    lists: {
      match: (ip) => (ip.startsWith('127.5.') ? [{ listName: 'bl', message: 'no %A' }] : []),
      overlaps: () => false,
    },
    sink: {
      submit: async (recipient) => {
        recipients.push(recipient)
      },
    },
    proxyPeers: [],
    openListeners: async () => {
      const listener = await listen(port)
      port = (listener.address() as AddressInfo).port
      return [listener]
    },
    ...more,
  })
  running.push(server)
  await server.start()
  return { server, port, clock, logger, recipients }
}

function listen(port: number): Promise<Server> {
  const server = createServer()
  return new Promise((resolve) => server.listen(port, '127.0.0.1', 4096, () => resolve(server)))
}

async function connect(port: number, localAddress = '127.0.0.1'): Promise<TestClient> {
  const client = await TestClient.open({ host: '127.0.0.1', port, localAddress })
  clients.push(client)
  return client
}

const hears = (client: TestClient, text: string): Promise<void> =>
  waitFor(
    () => client.received.includes(text),
    () => `${JSON.stringify(text)} in ${JSON.stringify(client.received.slice(-300))}`,
  )
const ends = (client: TestClient): Promise<void> =>
  waitFor(
    () => client.hasEnded,
    () => 'the end of the connection',
  )

const isTrouble = (line: string): boolean => !line.startsWith('info')

describe('limits', () => {
  test('over -c a client is closed with nothing said, counted and logged, as is crowding', async () => {
    const { port, logger, server } = await start({ maxConnections: 10 })
    const held: TestClient[] = []
    for (let index = 0; index < 10; index += 1) held.push(await connect(port))
    await Promise.all(held.map((client) => hears(client, '220 ')))
    for (let index = 0; index < 2; index += 1) {
      const refused = await connect(port)
      await ends(refused)
      expect(refused.received).toBe('')
    }
    for (const client of held.splice(0, 6)) client.close()
    await waitFor(
      () => server.counts.total === 4,
      () => 'free slots',
    )
    await hears(await connect(port), '220 ')
    expect(server.counters).toMatchObject({ accepted: 11, refusedFull: 2 })
    expect(logger.lines.map(({ level, message }) => `${level} ${message}`).filter(isTrouble)).toEqual([
      'warning crowded: 5 of 10 connections are in use',
      'notice 127.0.0.1: refused: all 10 connections are in use',
      'notice no longer crowded after 0 seconds: 4 of 10 connections are in use, 2 clients were refused',
      'warning crowded: 5 of 10 connections are in use',
    ])
  })

  test('--max-per-ip refuses one address and serves others', async () => {
    const { port, server } = await start({ maxPerIp: 2 })
    const first = await connect(port, '127.0.0.2')
    await hears(first, '220 ')
    await hears(await connect(port, '127.0.0.2'), '220 ')
    await ends(await connect(port, '127.0.0.2'))
    await hears(await connect(port, '127.0.0.3'), '220 ')
    first.close()
    await waitFor(
      () => server.counts.total === 2,
      () => 'a free slot',
    )
    await hears(await connect(port, '127.0.0.2'), '220 ')
    expect(server.counters.refusedPerIp).toBe(1)
  })

  test('BLACK clients beyond -B are not stuttered', async () => {
    const { port, server } = await start({ maxBlack: 1, stutterSec: 1, greyStutterSec: 10 })
    await connect(port, '127.5.0.1')
    await waitFor(
      () => server.counts.black === 1,
      () => 'the first BLACK client',
    )
    await hears(await connect(port, '127.5.0.2'), '\r\n')
    expect(server.snapshot().map(({ stutterSec }) => stutterSec)).toEqual([1, 0])
  })

  test('when slots run out replies are no longer stuttered', async () => {
    const { port } = await start({ maxConnections: 6, stutterSec: 1, greyStutterSec: 10 })
    await hears(await connect(port), '220 mx.example ESMTP spamd; ')
  })
})

test('-S: a greylisted client is stuttered for its first seconds, and then no more', async () => {
  const { port, clock, server } = await start({ stutterSec: 10, greyStutterSec: 1000 }, { tickMs: 5 })
  const client = await connect(port)
  for (let count = 1; count <= 5; count += 1) {
    clock.advance(10)
    await waitFor(
      () => client.received.length >= count,
      () => `byte ${count}`,
    )
  }
  expect(client.received).not.toContain('\r\n')
  expect(server.snapshot()[0]!.stutterSec).toBe(10)
  clock.advance(990)
  await hears(client, '\r\n')
  expect(server.snapshot()[0]!.stutterSec).toBe(0)
  client.send('NOOP\r\n')
  await hears(client, '250 2.0.0 OK I did nothing\r\n')
})

test('what is counted of stuttered clients: bytes, time in all and for each list, clients of each list', async () => {
  const { port, clock, server } = await start({ stutterSec: 10, greyStutterSec: 1000 }, { tickMs: 5 })
  const hearBytes = async (client: TestClient, count: number) => {
    for (let heard = 1; heard <= count; heard += 1) {
      clock.advance(10)
      await waitFor(
        () => client.received.length >= heard,
        () => `byte ${heard}`,
      )
    }
  }
  const black = await connect(port, '127.5.0.1')
  await hearBytes(black, 3)
  black.reset()
  await waitFor(
    () => server.counts.total === 0,
    () => 'the end of the first client',
  )
  const bytes = server.dialogues.stutteredBytes
  expect(bytes).toBeGreaterThanOrEqual(3)
  expect(server.dialogues).toMatchObject({
    stutterMs: bytes * 10_000,
    stutterMsByList: new Map([['bl', bytes * 10_000]]),
    unlistedStutterMs: 0,
    endedCount: { black: 1, other: 0 },
  })
  expect(server.dialogues.endedMs.black).toBeGreaterThanOrEqual(30_000)
  clock.advance(2000)
  const other = await connect(port)
  await hearBytes(other, 2)
  const unlisted = server.dialogues.stutteredBytes - bytes
  expect(unlisted).toBeGreaterThanOrEqual(2)
  expect(server.dialogues.unlistedStutterMs).toBe(unlisted * 10_000)
  expect(server.dialogues.stutterMs).toBe((bytes + unlisted) * 10_000)
  other.reset()
  await waitFor(
    () => server.dialogues.endedCount.other === 1,
    () => 'the end of the second client',
  )
  expect(server.dialogues.endedMs.other).toBeGreaterThanOrEqual(20_000)
  expect(server.dialogues.endedMs.other).toBeLessThan(1_000_000)
  await connect(port, '127.5.0.2')
  await waitFor(
    () => server.counts.black === 1,
    () => 'the second BLACK client',
  )
  expect(server.listHits).toEqual(new Map([['bl', 2]]))
  expect(server.counters).toMatchObject({ accepted: 3, blackAccepted: 2 })
})

describe('lines', () => {
  test('10,000 recipients in one burst are all answered and recorded, in order', async () => {
    const { port, recipients } = await start(
      {},
      { dialogue: { ...DIALOGUE, maxRecipients: 10_000, maxCommands: 10_003 } },
    )
    const client = await connect(port)
    const rcpts = Array.from({ length: 10_000 }, (_, index) => `RCPT TO:<u${index}@example.net>\r\n`).join('')
    client.send(`HELO a\r\nMAIL FROM:<a@b>\r\n${rcpts}DATA\r\n`)
    await ends(client)
    expect(client.received.split(OK_RCPT)).toHaveLength(10_001)
    expect(client.received.endsWith('451 Temporary failure, please try again later.\r\n')).toBe(true)
    expect(recipients.map(({ to }) => to)).toEqual(recipients.map((_, index) => `<u${index}@example.net>`))
    expect(recipients).toHaveLength(10_000)
  })

  test('a megabyte without a line end is so many unknown commands', async () => {
    const { port } = await start()
    const client = await connect(port)
    client.send('x'.repeat(1_000_000))
    await ends(client)
    expect(client.received.split('500 5.5.1')).toHaveLength(21)
    expect(client.received).toContain('451 ')
  })

  test('NUL, 8-bit bytes and bare CR are answered and logged harmlessly', async () => {
    const { port, logger } = await start()
    const client = await connect(port, '127.5.0.1')
    client.send(
      'NO\0OP\r\nHELO \xff\x1b[2J\r\nMAIL FROM:<\x07a@b>\r\nRCPT TO:<\x9bc@d>\r\nDATA\r\nSubject: \x1b]0;x\x07\r\r\n.\r\n',
    )
    await ends(client)
    expect(client.received).toContain('500 5.5.1 Command unrecognized\r\n250 Hello')
    expect(client.received.endsWith('450 no 127.5.0.1\r\n')).toBe(true)
    for (const { message } of logger.lines) expect(message).toMatch(/^[^\x00-\x1f\x7f-\x9f]*$/)
    expect(logger.lines.map(({ message }) => message)).toContain(
      '(BLACK) 127.5.0.1: <\\x07a@b> -> <\\x9bc@d>',
    )
  })

  test('the client may end its side and still reads all replies', async () => {
    const { port } = await start()
    const client = await connect(port)
    client.send('HELO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nQUIT\r\n')
    client.end()
    await ends(client)
    expect(client.received.endsWith('221 mx.example\r\n')).toBe(true)
  })
})

describe('limits of one session', () => {
  test('a recipient beyond the limit gets 452 and is not recorded', async () => {
    const { port, recipients } = await start({}, { dialogue: { ...DIALOGUE, maxRecipients: 2 } })
    const client = await connect(port)
    client.send('HELO a\r\nMAIL FROM:<a@b>\r\n')
    for (let index = 0; index < 4; index += 1) client.send(`RCPT TO:<${index}@c>\r\n`)
    client.send('RSET\r\nMAIL FROM:<a@b>\r\nRCPT TO:<4@c>\r\nDATA\r\n')
    await ends(client)
    expect(client.received.split('452 4.5.3 Too many recipients\r\n')).toHaveLength(4)
    expect(client.received.endsWith('451 Temporary failure, please try again later.\r\n')).toBe(true)
    expect(recipients.map(({ to }) => to)).toEqual(['<0@c>', '<1@c>'])
  })
  test('a command beyond the limit gets 421 and the end', async () => {
    const { port } = await start({}, { dialogue: { ...DIALOGUE, maxCommands: 3 } })
    const client = await connect(port)
    client.send('NOOP\r\n'.repeat(5))
    await ends(client)
    expect(client.received.split('250 2.0.0')).toHaveLength(4)
    expect(client.received.endsWith('421 4.7.0 mx.example Too many commands\r\n')).toBe(true)
  })
  test('endless message headers end as a message does', async () => {
    const { port } = await start({}, { dialogue: { ...DIALOGUE, maxCommands: 20 } })
    const client = await connect(port, '127.5.0.1')
    client.send(`HELO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<b@c>\r\nDATA\r\n${'Subject: x\r\n'.repeat(30)}`)
    await ends(client)
    expect(client.received.endsWith('450 no 127.5.0.1\r\n')).toBe(true)
  })
  test('a session ends when it has lasted too long, however busy it is', async () => {
    const { port, clock, server } = await start({ maxSessionSec: 1_000 })
    const client = await connect(port)
    await hears(client, '220 ')
    for (let index = 0; index < 4; index += 1) {
      clock.advance(240)
      client.send('NOOP\r\n')
      await waitFor(
        () => client.received.split('250 2.0.0').length === index + 2,
        () => 'the answer',
      )
    }
    clock.advance(60)
    await ends(client)
    expect(server.counters).toMatchObject({ overlong: 1, timedOut: 0 })
  })
})

describe('451 and the database', () => {
  test('while a tuple waits no further line of its client is looked at', async () => {
    const waiting: (() => void)[] = []
    const { port, server } = await start(
      {},
      { sink: { submit: () => new Promise((resolve) => waiting.push(resolve)) } },
    )
    const client = await connect(port)
    client.send(`HELO a\r\nMAIL FROM:<a@b>\r\n${'RCPT TO:<c@d>\r\n'.repeat(50)}`)
    const other = await connect(port)
    other.send('NOOP\r\n')
    await hears(other, '250 2.0.0')
    for (let count = 1; count <= 50; count += 1) {
      await waitFor(
        () => waiting.length === count,
        () => `recipient ${count}`,
      )
      expect(server.counters.recipients).toBe(count)
      waiting.at(-1)!()
    }
    client.send('DATA\r\n')
    await ends(client)
    expect(client.received.split(OK_RCPT)).toHaveLength(51)
  })
  test('waits until the tuple is stored', async () => {
    let stored = (): void => undefined
    const storing = new Promise<void>((resolve) => {
      stored = resolve
    })
    const { port, server } = await start({}, { sink: { submit: () => storing } })
    const client = await connect(port)
    client.send('HELO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n')
    await hears(client, OK_RCPT)
    await waitFor(
      () => server.snapshot()[0]?.state === 'storing',
      () => 'the state storing',
    )
    expect(client.received).not.toContain('451')
    stored()
    await ends(client)
    expect(client.received).toContain('451 ')
  })
})

describe('time-outs', () => {
  test('a silent client and one that sends half a line are closed after 400 s without a reply', async () => {
    const { port, clock, server } = await start()
    const silent = await connect(port)
    const slow = await connect(port)
    await Promise.all([hears(silent, '\r\n'), hears(slow, '\r\n')])
    clock.advance(399)
    slow.send('HEL')
    await waitFor(
      () => server.snapshot().some(({ bytesIn }) => bytesIn === 3),
      () => 'half a line',
    )
    clock.advance(2)
    await Promise.all([ends(silent), ends(slow)])
    expect(silent.received.split('\r\n')).toHaveLength(2)
    expect(server.counters.timedOut).toBe(2)
    expect(server.counts.total).toBe(0)
  })

  test('clients that never read are closed at their time-out and hold bounded memory', async () => {
    const { port, clock, server } = await start({}, { dialogue: { ...DIALOGUE, maxCommands: 1_000_000 } })
    const client = await connect(port)
    client.pause()
    for (let sent = 0; sent < 40; sent += 1) client.send('NOOP\r\n'.repeat(10_000))
    await waitFor(
      () => {
        const [connection] = server.snapshot()
        return connection !== undefined && connection.bytesOut > 100_000
      },
      () => 'a blocked connection',
    )
    let before = -1
    await waitFor(
      () => {
        const { bytesIn = 0 } = server.snapshot()[0] ?? {}
        const isStill = bytesIn === before
        before = bytesIn
        return isStill
      },
      () => 'reading to stop',
    )
    expect(before).toBeLessThan(2_400_000)
    clock.advance(401)
    await waitFor(
      () => server.counts.total === 0,
      () => 'the time-out',
    )
  })
})

test('5,000 clients that send and never read cost little, and end at their time-out', async () => {
  // Each takes two descriptors of this process.
  const clientCount = Math.min(5_000, Math.floor(((maxOpenFiles() ?? 20_000) - 500) / 500) * 250)
  const { port, clock, server } = await start({ maxConnections: 6000 })
  const before = process.memoryUsage().rss
  const flood = 'NOOP\r\n'.repeat(200)
  for (let count = 0; count < clientCount; count += 250) {
    const batch = await Promise.all(
      Array.from({ length: 250 }, () => connect(port, `127.1.${count / 250}.1`)),
    )
    for (const client of batch) {
      client.pause()
      client.send(flood)
    }
  }
  await waitFor(
    () => server.counts.total === clientCount,
    () => `${clientCount} connections, ${server.counts.total}`,
  )
  // Both sides live in this process: the clients' sockets count too.
  const kibEach = (process.memoryUsage().rss - before) / 1024 / clientCount
  expect(kibEach).toBeLessThan(64)
  await waitFor(
    () => {
      clock.advance(100)
      return server.counts.total === 0
    },
    () => `the time-outs, ${server.counts.total} left`,
  )
  expect(server.counters.timedOut).toBe(clientCount)
}, 60_000)

test('a stuttered client that sends far ahead is kept with 16 KiB of it', async () => {
  const { port, server, clock } = await start(
    { stutterSec: 1, greyStutterSec: 10, isBlackOnly: true },
    { tickMs: 5 },
  )
  const client = await connect(port)
  await waitFor(
    () => server.counts.total === 1,
    () => 'the client',
  )
  client.send('NOOP\r\n'.repeat(10_000))
  const tick = setInterval(() => clock.advance(1), 2)
  try {
    await hears(client, '250 2.0.0 OK I did nothing\r\n250')
  } finally {
    clearInterval(tick)
  }
  expect(server.counts.total).toBe(1)
})

describe('resets', () => {
  test('in every state end one connection and nothing else', async () => {
    const { port, server } = await start(
      {},
      {
        lists: {
          match: (ip) => (ip === '127.5.0.1' ? [{ listName: 'bl', message: 'm' }] : []),
          overlaps: () => false,
        },
      },
    )
    const steps = [
      '',
      'HELO a\r\n',
      'MAIL FROM:<a@b>\r\n',
      'RCPT TO:<c@d>\r\n',
      'DATA\r\n',
      'Subject: x\r\n',
      '\r\n',
      'body',
    ]
    for (let count = 0; count <= steps.length; count += 1) {
      const client = await connect(port, '127.5.0.1')
      await hears(client, '220 ')
      client.send(steps.slice(0, count).join(''))
      await waitFor(
        () => server.snapshot()[0]?.bytesIn === client.sentBytes,
        () => 'the bytes to arrive',
      )
      client.reset()
      await waitFor(
        () => server.counts.total === 0,
        () => `the reset after step ${count}`,
      )
    }
    await hears(await connect(port), '220 ')
  })

  test('while a reply is stuttered', async () => {
    const { port, server } = await start({ stutterSec: 1, greyStutterSec: 10 })
    const client = await connect(port)
    await waitFor(
      () => server.counts.total === 1,
      () => 'the client',
    )
    client.reset()
    await waitFor(
      () => server.counts.total === 0,
      () => 'the end',
    )
    expect(server.counts).toEqual({ total: 0, black: 0 })
  })
})

describe('descriptors', () => {
  test('when they run out accepting pauses, says so once, and goes on', async () => {
    let failures = 2
    const whilePaused: unknown[] = []
    const { port, logger, server } = await start(
      {},
      {
        probeDescriptors: () => {
          failures -= 1
          // Behind the pause that this begins.
          if (failures >= 0) queueMicrotask(() => whilePaused.push([server.isAccepting, server.addresses]))
          if (failures >= 0) throw Object.assign(new Error('EMFILE'), { code: 'EMFILE', syscall: 'open' })
        },
      },
    )
    await waitFor(
      () => server.counters.acceptPauses === 2 && failures < 0,
      () => 'two pauses',
    )
    await waitFor(
      () => server.isAccepting,
      () => 'accepting again',
    )
    await hears(await connect(port), '220 ')
    expect(whilePaused).toEqual([
      [false, []],
      [false, []],
    ])
    expect(server.addresses).toEqual([{ address: '127.0.0.1', port }])
    const lines = logger.lines.filter(({ message }) => message.startsWith('not accepting'))
    expect(lines).toEqual([
      expect.objectContaining({ level: 'warning', message: 'not accepting for 1 s: Too many open files' }),
    ])
  })
})

describe('PROXY protocol', () => {
  const proxyPeers = [parseCidr('127.9.0.0/16')!]

  test('gives client and destination of listed peers', async () => {
    const { port, server, recipients } = await start({}, { proxyPeers })
    const client = await connect(port, '127.9.0.1')
    client.send(
      'PROXY TCP6 2001:db8::7 2001:db8::25 40000 25\r\nHELO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n',
    )
    await hears(client, OK_RCPT)
    expect(server.snapshot()[0]).toMatchObject({ ip: '2001:db8::7', port: 40000, localIp: '2001:db8::25' })
    expect(recipients[0]).toMatchObject({ clientIp: '2001:db8::7', destinationIp: '2001:db8::25' })
  })

  test('reads on behind a header that came alone, without stutter', async () => {
    const { port, server } = await start({ greyStutterSec: 0 }, { proxyPeers })
    const client = await connect(port, '127.9.0.1')
    client.send('PROXY TCP4 192.0.2.1 192.0.2.9 1 25\r\n')
    await hears(client, '220 ')
    client.send('HELO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n')
    await hears(client, OK_RCPT)
    expect(server.snapshot()[0]).toMatchObject({ ip: '192.0.2.1', bytesIn: 40 })
  })

  test('version 2 in pieces', async () => {
    const { port, server } = await start({}, { proxyPeers })
    const client = await connect(port, '127.9.0.1')
    const header = Buffer.from('0d0a0d0a000d0a515549540a2111000cc0000201c0000209dc040019', 'hex').toString(
      'latin1',
    )
    for (const byte of header) client.send(byte)
    await hears(client, '220 ')
    expect(server.snapshot()[0]).toMatchObject({ ip: '192.0.2.1', localIp: '192.0.2.9' })
  })

  test('is not believed from others, and required of listed peers', async () => {
    const { port, server } = await start({}, { proxyPeers })
    const stranger = await connect(port, '127.0.0.1')
    stranger.send('PROXY TCP4 192.0.2.1 192.0.2.9 1 25\r\n')
    await hears(stranger, '500 5.5.1')
    expect(server.snapshot()[0]).toMatchObject({ ip: '127.0.0.1' })
    const peer = await connect(port, '127.9.0.1')
    peer.send('EHLO a\r\n')
    await ends(peer)
    expect(peer.received).toBe('')
    expect(server.counters.refusedProxy).toBe(1)
  })

  test('a proxied client may be on a list', async () => {
    const { port, logger } = await start({}, { proxyPeers })
    const client = await connect(port, '127.9.0.1')
    client.send('PROXY TCP4 127.5.0.9 192.0.2.9 1 25\r\n')
    await hears(client, '220 ')
    expect(logger.lines[0]!.message).toBe('127.5.0.9: connected (1/1), lists: bl')
  })
})

describe('TLS', () => {
  const pem = (name: string): Buffer => readFileSync(new URL(`../../../support/${name}`, import.meta.url))
  const secureContext = secureContextOf(pem('localhost.crt'), pem('localhost.key'))

  test('commands sent in clear behind STARTTLS are thrown away', async () => {
    const { port, recipients } = await start({}, { secureContext })
    const client = await connect(port)
    client.send('EHLO a\r\n')
    await hears(client, '250 STARTTLS')
    client.send('STARTTLS\r\nMAIL FROM:<evil@b>\r\nRCPT TO:<c@d>\r\n')
    await hears(client, '220 glad')
    await client.startTls()
    client.send('EHLO b\r\nMAIL FROM:<a@b>\r\nRCPT TO:<e@f>\r\nQUIT\r\n')
    await ends(client)
    expect(recipients).toEqual([expect.objectContaining({ helo: 'b', from: '<a@b>', to: '<e@f>' })])
    expect(client.received.split(OK_RCPT)).toHaveLength(2)
  })

  test('a certificate that is loaded or taken away by SIGHUP counts for the clients that come then', async () => {
    const { port, server } = await start()
    const offer = async (): Promise<boolean> => {
      const client = await connect(port)
      client.send('EHLO a\r\nQUIT\r\n')
      await ends(client)
      return client.received.includes('STARTTLS')
    }
    expect(await offer()).toBe(false)
    server.reload({ secureContext })
    expect(await offer()).toBe(true)
    // A reload of something else keeps it.
    server.reload({ dialogue: DIALOGUE })
    expect(await offer()).toBe(true)
    server.reload({ secureContext: undefined })
    expect(await offer()).toBe(false)
  })

  test('each connection has a number of its own in the list of connections, the oldest first', async () => {
    const { port, server } = await start()
    for (const address of ['127.0.0.1', '127.0.0.2', '127.0.0.3']) {
      const client = await connect(port, address)
      await hears(client, '220 ')
    }
    const shown = server.snapshot()
    expect(shown.map(({ ip }) => ip)).toEqual(['127.0.0.1', '127.0.0.2', '127.0.0.3'])
    expect(shown.map(({ id }) => id)).toEqual([1, 2, 3])
  })

  test('with stutter whole replies come late, not byte by byte', async () => {
    const { port, clock } = await start({ stutterSec: 5, greyStutterSec: 90 }, { secureContext, tickMs: 5 })
    const client = await connect(port)
    const tick = setInterval(() => clock.advance(1), 5)
    try {
      await hears(client, '220 ')
      client.send('EHLO a\r\n')
      await hears(client, '250 STARTTLS\r\n')
      client.send('STARTTLS\r\n')
      await hears(client, 'your spam\r\n')
      await client.startTls()
      client.send('EHLO b\r\n')
      await hears(client, '250 Hello, spam sender')
    } finally {
      clearInterval(tick)
    }
  })
})

describe('-w', () => {
  test('message text is taken at about so many bytes a second', async () => {
    const { port, server, clock } = await start({ isBlackOnly: true, windowBytes: 1000 })
    const client = await connect(port)
    client.send('DATA\r\n')
    await hears(client, '354 ')
    for (let sent = 0; sent < 100; sent += 1) client.send(`X-Header: ${'x'.repeat(1000)}\r\n`)
    await waitFor(
      () => (server.snapshot()[0]?.bytesIn ?? 0) > 1000,
      () => 'the first piece',
    )
    const taken = server.snapshot()[0]!.bytesIn
    expect(taken).toBeLessThan(101_000)
    clock.advance(1)
    expect(server.snapshot()[0]!.bytesIn).toBe(taken)
    clock.advance(100)
    await waitFor(
      () => (server.snapshot()[0]?.bytesIn ?? 0) > taken,
      () => 'the next piece',
    )
  })
})
