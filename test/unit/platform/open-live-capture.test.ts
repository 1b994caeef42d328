import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test, vi } from 'vitest'
import { AppError } from '../../../src/platform/app-error.js'
import type { LiveCaptureRequest } from '../../../src/platform/live-capture-source.js'
import { openTcpdumpCapture } from '../../../src/platform/live-capture-tcpdump.js'
import { openLiveCapture } from '../../../src/platform/open-live-capture.js'
import { startProcess } from '../../../src/platform/run-process.js'
import { captureFile, mailSyn, pflogRecord } from '../../support/log-records.js'
import { PATIENCE } from '../../support/patience.js'

const scratch = mkdtempSync(join(tmpdir(), 'spamlogd-tcpdump-'))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

const request = (changes: Partial<LiveCaptureRequest> = {}): LiveCaptureRequest => ({
  device: 'nflog:25',
  filter: '',
  onPacket: () => {},
  onFailure: () => {},
  onTrouble: () => {},
  ...changes,
})

const missing = () => Promise.reject(new AppError('ERR_CAPTURE_MISSING', 'the pcap package cannot be loaded'))
const failing = (reason: string) => () => Promise.reject(new AppError('ERR_CAPTURE_OPEN', reason))
const unused = () => expect.unreachable('not to be called')

describe('openLiveCapture', () => {
  test('takes tcpdump where the package is missing', async () => {
    const capture = { linkType: 117 } as Awaited<ReturnType<typeof openTcpdumpCapture>>
    const opened = await openLiveCapture(request(), {
      load: missing,
      openPcap: unused,
      openTcpdump: async () => capture,
    })
    expect(opened).toBe(capture)
  })

  test('says what to install where tcpdump is missing too', async () => {
    const openTcpdump = () =>
      Promise.reject(new AppError('ERR_PROCESS_MISSING', 'cannot run tcpdump: No such file or directory'))
    await expect(
      openLiveCapture(request(), { load: missing, openPcap: unused, openTcpdump }),
    ).rejects.toMatchObject({
      code: 'ERR_CAPTURE_MISSING',
      message: 'neither libpcap nor tcpdump is available for capturing',
      hint: expect.stringContaining('libpcap-dev'),
    })
  })

  test.each([
    [
      'nflog:25',
      'NFULNL_CFG_CMD_PF_UNBIND: Operation not permitted',
      'nflog needs root or the capability CAP_NET_ADMIN',
    ],
    [
      'nflog:25',
      "Can't listen on group index: Operation not permitted",
      'another process already listens to this nflog group: each group can have only one listener',
    ],
    ['em0', 'socket: Operation not permitted', expect.stringMatching(/CAP_NET_RAW|bpf/)],
    ['em9', 'No such device exists', expect.stringMatching(/^interfaces here: .*\blo/)],
    ['em0', 'something else', undefined],
    ['lo', 'action supported only on PF linktype', expect.stringMatching(/^lo is not a packet log: /)],
  ])('%s: "%s" gets its hint', async (device, reason, hint) => {
    const load = async () => ({}) as never
    const opening = openLiveCapture(request({ device }), {
      load,
      openPcap: failing(reason),
      openTcpdump: unused,
    })
    const code = /^(NFULNL|socket).*permitted$/.test(reason) ? 'ERR_CAPTURE_DENIED' : 'ERR_CAPTURE_OPEN'
    await expect(opening).rejects.toMatchObject({ code, message: reason, hint })
  })
})

/** A stand-in for tcpdump: records its arguments, prints a capture, then does what the script says. */
function standIn(name: string, capture: Uint8Array, then: string): typeof startProcess {
  const data = join(scratch, `${name}.pcap`)
  const program = join(scratch, `${name}.sh`)
  writeFileSync(data, capture)
  writeFileSync(program, `#!/bin/sh\necho "$@" > ${scratch}/${name}.args\ncat ${data}\n${then}\n`)
  chmodSync(program, 0o755)
  return (processRequest) => startProcess({ ...processRequest, program })
}

describe('tcpdump', () => {
  const records = [
    pflogRecord(mailSyn('192.0.2.1', '192.0.2.2')),
    pflogRecord(mailSyn('192.0.2.3', '192.0.2.2')),
  ]

  test('packets come as it prints them; its end is a failure', async () => {
    const packets: number[] = []
    const failed = new Promise<string>((resolve) => {
      const start = standIn(
        'ends',
        captureFile(records),
        'echo "tcpdump: pcap_loop: The interface disappeared" >&2; exit 1',
      )
      void openTcpdumpCapture(
        request({
          device: 'em0',
          filter: 'ip6',
          onPacket: (bytes) => void packets.push(bytes.length),
          onFailure: resolve,
        }),
        start,
      ).then((capture) => expect([capture.linkType, capture.byteOrder]).toEqual([117, 'little']))
    })
    expect(await failed).toBe('tcpdump ended: pcap_loop: The interface disappeared')
    expect(packets).toEqual(records.map((record) => record.length))
  })

  test('an end before anything was captured is an opening error with its last words', async () => {
    const start = standIn(
      'refuses',
      new Uint8Array(0),
      'echo "tcpdump: em9: No such device exists" >&2; exit 1',
    )
    await expect(openTcpdumpCapture(request(), start)).rejects.toEqual(
      new AppError('ERR_CAPTURE_OPEN', 'em9: No such device exists'),
    )
  })

  test('damaged output ends the capture, or its opening', async () => {
    const good = captureFile(records)
    const bad = new Uint8Array(16).fill(0xff)
    const start =
      (...chunks: Uint8Array[]): typeof startProcess =>
      async () => ({
        pid: 1,
        stdout: (async function* () {
          yield* chunks
        })(),
        ended: Promise.resolve({ exitCode: null, signal: 'SIGTERM', hasTimedOut: false, stderrTail: '' }),
        kill: () => {},
        leave: () => {},
      })
    const text = /^tcpdump sent damaged data: invalid packet capture length/
    const failed = new Promise<string>((resolve) => {
      void openTcpdumpCapture(request({ onFailure: resolve }), start(good, bad))
    })
    expect(await failed).toMatch(text)
    const opening = openTcpdumpCapture(request(), start(Buffer.concat([good, bad])))
    await expect(opening).rejects.toMatchObject({
      code: 'ERR_CAPTURE_OPEN',
      message: expect.stringMatching(text),
    })
  })

  test('close ends it without a word', async () => {
    const failures: string[] = []
    const start = standIn('closed', captureFile([]), 'exec sleep 1000')
    const capture = await openTcpdumpCapture(
      request({ onFailure: (reason) => void failures.push(reason) }),
      start,
    )
    await capture.close()
    expect(failures).toEqual([])
  })

  test('one that takes no notice of SIGTERM is killed: closed, while it opens, after damage, and without output', async () => {
    const pids: number[] = []
    /** Deaf, and goes on after what it does. */
    const deaf = async (name: string, capture: Uint8Array, then: string): Promise<typeof startProcess> => {
      const isDeaf = join(scratch, `${name}.deaf`)
      const start = standIn(
        name,
        capture,
        `trap '' TERM HUP INT; ${then} : >'${isDeaf}'; sleep 1000 & wait; wait`,
      )
      return async (processRequest) => {
        const running = await start(processRequest)
        pids.push(running.pid)
        // A signal that comes before it is deaf would end it.
        await vi.waitFor(() => expect(existsSync(isDeaf)).toBe(true), PATIENCE)
        return running
      }
    }
    const failureOf = async (start: typeof startProcess): Promise<string> =>
      new Promise((resolve) => void openTcpdumpCapture(request({ onFailure: resolve }), start, 'linux', 50))
    const stop = new AbortController()
    const ways = [
      deaf('closed', captureFile([]), '').then(async (start) => {
        await (await openTcpdumpCapture(request(), start, 'linux', 50)).close()
      }),
      deaf('opening', new Uint8Array(0), '').then(async (start) => {
        const opening = openTcpdumpCapture(request({ stop: stop.signal }), start, 'linux', 50)
        stop.abort()
        await expect(opening).rejects.toMatchObject({ code: 'ERR_CAPTURE_OPEN' })
      }),
      deaf('damaged', Buffer.concat([captureFile([]), Buffer.alloc(16, 0xff)]), '').then(async (start) => {
        await expect(openTcpdumpCapture(request(), start, 'linux', 50)).rejects.toThrow(
          'tcpdump sent damaged data',
        )
      }),
      deaf('silent', captureFile([]), 'exec >&-;').then(async (start) => {
        expect(await failureOf(start)).toBe('tcpdump ended: its output')
      }),
    ]
    try {
      await Promise.all(ways)
      await vi.waitFor(() => {
        for (const pid of pids) expect(() => process.kill(-pid, 0)).toThrow('ESRCH')
      }, PATIENCE)
    } finally {
      for (const pid of pids) {
        try {
          process.kill(-pid, 'SIGKILL')
        } catch {
          // As it should be.
        }
      }
    }
  })

  test('one whom our signals do not reach is left behind', async () => {
    const calls: string[] = []
    const start: typeof startProcess = async () => ({
      pid: 1,
      stdout: (async function* () {
        yield captureFile([])
        await new Promise<void>((resolve) => {
          leave = resolve
        })
      })(),
      ended: new Promise(() => undefined),
      kill: (signal) => void calls.push(signal),
      leave: () => leave(),
    })
    let leave = (): void => undefined
    const capture = await openTcpdumpCapture(request(), start, 'linux', 50)
    await capture.close()
    expect(calls).toEqual(['SIGTERM', 'SIGKILL'])
  })

  test('as root on Linux it becomes our user, whom we can still end, and nowhere else', async () => {
    const seen: string[] = []
    const start: typeof startProcess = ({ args }) => {
      seen.push(args.join(' '))
      return Promise.reject(new AppError('ERR_PROCESS_MISSING', 'cannot run tcpdump'))
    }
    for (const platform of ['linux', 'openbsd', 'freebsd']) {
      await openTcpdumpCapture(request({ user: '_spamd' }), start, platform).catch(() => undefined)
    }
    const isRoot = process.geteuid?.() === 0
    expect(seen.map((words) => words.includes('-Z _spamd'))).toEqual([isRoot, false, false])
  })

  test.each([
    [
      'linux',
      ['-U', '--immediate-mode', '-B', '8192', '-n', '-p', '-i', 'nflog:25', '-s', '65535', '-w', '-'],
    ],
    ['openbsd', ['-n', '-p', '-i', 'nflog:25', '-s', '65535', '-w', '-', 'ip6']],
  ])('arguments on %s', async (platform, args) => {
    const seen: (readonly string[])[] = []
    const start: typeof startProcess = (processRequest) => {
      seen.push(processRequest.args)
      return Promise.reject(new AppError('ERR_PROCESS_MISSING', 'cannot run tcpdump'))
    }
    const filter = platform === 'openbsd' ? 'ip6' : ''
    await expect(openTcpdumpCapture(request({ filter }), start, platform)).rejects.toMatchObject({
      code: 'ERR_PROCESS_MISSING',
    })
    expect(seen).toEqual([args])
  })
})
