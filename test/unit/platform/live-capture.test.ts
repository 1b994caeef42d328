import { endianness } from 'node:os'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { AppError } from '../../../src/platform/app-error.js'
import { openPcapCapture, type PcapModule, type PcapSession } from '../../../src/platform/live-capture.js'
import type { LiveCapture, LiveCaptureRequest } from '../../../src/platform/live-capture-source.js'

const TICK_MS = 100

/** The pcap package with its traps, as measured: crashes are thrown here. */
class FakePcap implements PcapModule {
  warningHandler = (_text: string): void => {
    throw new Error('the default handler prints')
  }
  options: Record<string, unknown> = {}
  openError: Error | undefined
  session = new FakeSession()

  createSession(_device: string, options: Record<string, unknown>): PcapSession {
    this.options = options
    this.warningHandler('SIOCGIFADDR: nflog:5: No such device')
    if (this.openError !== undefined) throw this.openError
    // The package dispatches by itself in the next tick.
    process.nextTick(() => this.session.dispatchByPoll())
    return this.session
  }
}

class FakeSession implements PcapSession {
  link_type = 'Unknown linktype 239'
  buf = Buffer.alloc(512, 0xee)
  header = Buffer.alloc(16)
  empty_reads = 0
  waiting: Uint8Array[] = []
  idleResult = -1
  droppedCount = 0
  state: 'open' | 'closing' | 'ended' = 'open'
  dispatchCount = 0
  packetsPerRead = Number.POSITIVE_INFINITY
  #listener: ((packet: { buf: Buffer; header: Buffer }) => void) | undefined

  readonly session = { dispatch: () => this.#dispatch() }

  on(_event: 'packet', listener: (packet: { buf: Buffer; header: Buffer }) => void): void {
    this.#listener = listener
  }

  stats(): { ps_drop: number } {
    if (this.state === 'ended') throw new Error('Error: pcap session already closed')
    return { ps_drop: this.droppedCount }
  }

  close(): void {
    if (this.state === 'open') this.state = 'closing'
  }

  dispatchByPoll(): void {
    this.#dispatch()
  }

  #dispatch(): number {
    // What a segmentation fault is in the package.
    if (this.state === 'ended') throw new Error('segmentation fault')
    this.dispatchCount += 1
    if (this.state === 'closing') {
      this.state = 'ended'
      return -2
    }
    for (const packet of this.waiting.splice(0, this.packetsPerRead)) {
      this.buf.set(packet.subarray(0, this.buf.length))
      const write = endianness() === 'LE' ? 'writeUInt32LE' : 'writeUInt32BE'
      this.header[write](1_700_000_000, 0)
      this.header[write](packet.length, 8)
      this.#listener?.({ buf: this.buf, header: this.header })
    }
    return this.idleResult
  }
}

async function open(changes: Partial<LiveCaptureRequest> = {}) {
  const pcap = new FakePcap()
  const packets: Uint8Array[] = []
  const troubles: string[] = []
  const failures: string[] = []
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'setTimeout', 'clearTimeout'] })
  const capture = await openPcapCapture(
    {
      device: 'nflog:25',
      filter: '',
      onPacket: (bytes) => void packets.push(Uint8Array.from(bytes)),
      onFailure: (reason) => void failures.push(reason),
      onTrouble: (message) => void troubles.push(message),
      ...changes,
    },
    pcap,
  )
  opened.push(capture)
  return { pcap, session: pcap.session, capture, packets, troubles, failures }
}

const opened: LiveCapture[] = []
afterEach(async () => {
  for (const capture of opened.splice(0)) await capture.close()
  vi.useRealTimers()
})

describe('the libpcap adapter', () => {
  test('opens with the options that the package needs, silently', async () => {
    const { pcap, capture } = await open({ filter: 'action pass' })
    expect(pcap.options).toMatchObject({
      promiscuous: false,
      snap_length: 65_535,
      buffer_timeout: 0,
      filter: 'action pass',
    })
    expect(pcap.options.buffer_size).toBeGreaterThanOrEqual(8 * 1024 * 1024)
    expect([capture.linkType, capture.reader]).toEqual([239, 'libpcap'])
  })

  test.each([
    ['LINKTYPE_ETHERNET', 1],
    ['Unknown linktype 117', 117],
    ['anything else', -1],
  ])('link type %s is %i', async (name, number) => {
    const pcap = new FakePcap()
    pcap.session.link_type = name
    const request = {
      device: 'em0',
      filter: '',
      onPacket: () => {},
      onFailure: () => {},
      onTrouble: () => {},
    }
    const capture = await openPcapCapture(request, pcap)
    expect(capture.linkType).toBe(number)
    await capture.close()
  })

  test('an opening error keeps the reason of libpcap', async () => {
    const pcap = new FakePcap()
    pcap.openError = new Error('No such device exists')
    const request = {
      device: 'em9',
      filter: '',
      onPacket: () => {},
      onFailure: () => {},
      onTrouble: () => {},
    }
    await expect(openPcapCapture(request, pcap)).rejects.toEqual(
      new AppError('ERR_CAPTURE_OPEN', 'No such device exists'),
    )
  })

  test('trap 1: packets still come when the poll handle has died, and it is told once', async () => {
    const { session, packets, troubles } = await open()
    for (let tick = 0; tick < 30; tick += 1) {
      session.waiting.push(Uint8Array.of(tick))
      vi.advanceTimersByTime(TICK_MS)
    }
    expect(packets).toHaveLength(30)
    expect(troubles).toEqual(['libpcap no longer announces packets: reading every 2 ms while they arrive'])
  })

  test('trap 1: what comes unannounced is read every two milliseconds, until the poll handle tells of it again', async () => {
    const { session, packets } = await open()
    session.waiting.push(Uint8Array.of(0))
    vi.advanceTimersByTime(TICK_MS)
    for (let index = 1; index <= 200; index += 1) {
      session.waiting.push(Uint8Array.of(index))
      vi.advanceTimersByTime(2)
      expect(packets).toHaveLength(index + 1)
    }
    session.waiting.push(Uint8Array.of(1))
    session.dispatchByPoll()
    vi.advanceTimersByTime(TICK_MS)
    const before = session.dispatchCount
    vi.advanceTimersByTime(TICK_MS)
    expect(session.dispatchCount - before).toBe(1)
  })

  test('trap 1: a read brings one message of the kernel, and reading goes on until none is left', async () => {
    const { session, packets } = await open()
    session.packetsPerRead = 2
    session.waiting.push(...Array.from({ length: 500 }, (_unused, index) => Uint8Array.of(index & 255)))
    vi.advanceTimersByTime(TICK_MS)
    expect(packets).toHaveLength(2)
    vi.advanceTimersByTime(2)
    expect(packets).toHaveLength(202)
    await vi.waitFor(() => expect(packets).toHaveLength(500))
  })

  test('a capture without packets is read twice a second, and as before with the first packet', async () => {
    const { session, packets } = await open()
    vi.advanceTimersByTime(10_000)
    const before = session.dispatchCount
    vi.advanceTimersByTime(10_000)
    expect(session.dispatchCount - before).toBe(20)
    session.waiting.push(Uint8Array.of(1))
    vi.advanceTimersByTime(500)
    expect(packets).toHaveLength(1)
  })

  test('trap 1: under load with a live poll handle nothing is said', async () => {
    const { session, packets, troubles } = await open()
    for (let tick = 0; tick < 50; tick += 1) {
      session.waiting.push(Uint8Array.of(1))
      session.dispatchByPoll()
      session.waiting.push(Uint8Array.of(2))
      vi.advanceTimersByTime(TICK_MS)
    }
    expect([packets.length, troubles]).toEqual([100, []])
  })

  test('trap 2: -1 is idle on nflog, elsewhere for a second it means that the device is gone', async () => {
    const nflog = await open()
    vi.advanceTimersByTime(100 * TICK_MS)
    expect(nflog.failures).toEqual([])
    const plain = await open({ device: 'em0' })
    vi.advanceTimersByTime(9 * TICK_MS)
    plain.session.idleResult = 0
    vi.advanceTimersByTime(TICK_MS)
    plain.session.idleResult = -1
    vi.advanceTimersByTime(9 * TICK_MS)
    expect(plain.failures).toEqual([])
    vi.advanceTimersByTime(TICK_MS)
    expect(plain.failures).toEqual(['the interface is down or gone'])
    vi.advanceTimersByTime(100 * TICK_MS)
    expect(plain.failures).toHaveLength(1)
  })

  test('trap 3: close is followed by the one read that makes it true', async () => {
    const { session, capture } = await open()
    await capture.close()
    expect(session.state).toBe('ended')
    const before = session.dispatchCount
    await capture.close()
    vi.advanceTimersByTime(10 * TICK_MS)
    expect(session.dispatchCount).toBe(before)
  })

  test('trap 4: a session that libpcap ended is never read again', async () => {
    const { session, capture, failures } = await open()
    session.state = 'ended'
    vi.advanceTimersByTime(5 * TICK_MS)
    expect(failures).toEqual(['libpcap ended the capture'])
    await capture.close()
  })

  test('trap 4: when the closing read happened elsewhere, close does not read', async () => {
    const { session, capture } = await open()
    const closing = capture.close()
    session.dispatchByPoll()
    await closing
    expect(session.state).toBe('ended')
  })

  test('trap 5: only the captured bytes are handed out, however long a packet says it is', async () => {
    const { session, packets } = await open()
    session.waiting.push(
      Uint8Array.of(1, 2, 3),
      Uint8Array.of(9),
      new Uint8Array(0),
      new Uint8Array(600).fill(7),
    )
    vi.advanceTimersByTime(TICK_MS)
    expect(packets.map((packet) => packet.length)).toEqual([3, 1, 0, 512])
    expect(packets[1]).toEqual(Uint8Array.of(9))
  })

  test('losses are told when they grow, not as a number of packets', async () => {
    const { session, capture, troubles } = await open()
    session.droppedCount = 3
    vi.advanceTimersByTime(10 * TICK_MS)
    expect(capture.lostCount()).toBe(3)
    session.droppedCount = 4
    vi.advanceTimersByTime(TICK_MS)
    expect(troubles).toEqual(
      new Array(2).fill('the kernel lost packets: they came faster than they could be read'),
    )
  })

  test('a libpcap that spins on a message without getting on is given up', async () => {
    const { session, failures } = await open()
    for (let tick = 0; tick < 40; tick += 1) {
      session.empty_reads += 5_000
      // Under load empty reads are normal.
      session.waiting.push(Uint8Array.of(1))
      session.dispatchByPoll()
      vi.advanceTimersByTime(TICK_MS)
    }
    expect(failures).toEqual([])
    for (let tick = 0; tick < 20; tick += 1) {
      session.empty_reads += 5_000
      vi.advanceTimersByTime(TICK_MS)
    }
    expect(failures).toEqual(['libpcap is stuck on a message it cannot read'])
  })

  test('after close no packet is handed out', async () => {
    const { session, capture, packets } = await open()
    const closing = capture.close()
    session.waiting.push(Uint8Array.of(1))
    await closing
    expect(packets).toEqual([])
  })
})
