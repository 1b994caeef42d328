import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { RateLimitedLog } from '../../../../src/daemon/rate-limited-log.js'
import { LiveWatch } from '../../../../src/daemon/spamlogd/live-watch.js'
import type { LogWatcher } from '../../../../src/daemon/spamlogd/log-watcher.js'
import { AppError } from '../../../../src/platform/app-error.js'
import type { LiveCapture, LiveCaptureRequest } from '../../../../src/platform/live-capture-source.js'
import { ManualClock } from '../../../support/manual-clock.js'
import { MemoryLogger } from '../../../support/memory-logger.js'

function setUp() {
  const logger = new MemoryLogger()
  const handled: { bytes: Uint8Array; linkType: number }[] = []
  const state = {
    requests: [] as LiveCaptureRequest[],
    closed: 0,
    denials: 0,
    failure: undefined as AppError | undefined,
    linkType: 117,
    /** Runs while the device is being opened. */
    whileOpening: (_request: LiveCaptureRequest) => {},
  }
  const watch = new LiveWatch({
    device: 'pflog0',
    filter: '',
    user: '_spamd',
    onDenied: () => {
      state.denials += 1
    },
    open: async (request): Promise<LiveCapture> => {
      if (state.failure !== undefined) throw state.failure
      state.requests.push(request)
      state.whileOpening(request)
      const close = async () => {
        state.closed += 1
      }
      return { linkType: state.linkType, byteOrder: 'little', reader: 'libpcap', lostCount: () => 2, close }
    },
    check: (capture) => {
      if (capture.linkType !== 117) throw new AppError('ERR_CAPTURE_LINK_TYPE', 'invalid')
    },
    watcher: {
      handle: (bytes: Uint8Array, { linkType }: { linkType: number }) =>
        void handled.push({ bytes, linkType }),
    } as unknown as LogWatcher,
    logger,
    rateLimited: new RateLimitedLog(logger, new ManualClock()),
  })
  const until = async (condition: () => boolean) => {
    // Ends every pause at once, as SIGHUP does.
    while (!condition()) {
      watch.retryNow()
      await nextTurn()
    }
  }
  return { watch, state, handled, until, lines: () => logger.lines.map((line) => line.message) }
}

describe('LiveWatch', () => {
  test('a capture that is lost and refused for want of rights is told once and not tried again', async () => {
    const { watch, state, until } = setUp()
    await watch.start()
    state.failure = new AppError('ERR_CAPTURE_DENIED', 'Operation not permitted')
    state.requests[0]!.onFailure('gone')
    await until(() => state.denials > 0)
    for (let turn = 0; turn < 5; turn += 1) {
      watch.retryNow()
      await nextTurn()
    }
    expect(state.denials).toBe(1)
    await watch.close()
  })

  test('packets that come while the device opens are kept, as copies', async () => {
    const { watch, state, handled } = setUp()
    const shared = Uint8Array.of(1)
    state.whileOpening = ({ onPacket }) => {
      onPacket(shared, 0)
      shared[0] = 2
    }
    await watch.start()
    state.requests[0]?.onPacket(Uint8Array.of(3), 0)
    expect(handled.map(({ bytes }) => [...bytes])).toEqual([[1], [3]])
    await watch.close()
  })

  test('a device that vanishes is told and opened again when it is back', async () => {
    const { watch, state, handled, until, lines } = setUp()
    await watch.start()
    state.failure = new AppError('ERR_CAPTURE_OPEN', 'No such device exists', { hint: 'interfaces here: lo' })
    state.requests[0]?.onFailure('the interface is down or gone')
    await until(() => lines().length === 2)
    expect(lines()).toEqual([
      'pflog0: the interface is down or gone: trying to reopen it',
      'pflog0: No such device exists (interfaces here: lo)',
    ])
    expect(state.closed).toBe(1)
    state.failure = undefined
    await until(() => state.requests.length === 2)
    await nextTurn()
    expect(lines().at(-1)).toBe('pflog0: listening again')
    state.requests[1]?.onPacket(Uint8Array.of(9), 0)
    expect(handled).toHaveLength(1)
    // Losses of the first capture still count.
    expect(watch.lostCount()).toBe(4)
    await watch.close()
    expect(state.closed).toBe(2)
  })

  test('closing ends the attempts', async () => {
    const { watch, state } = setUp()
    await watch.start()
    state.requests[0]?.onFailure('gone')
    await watch.close()
    expect(state.requests).toHaveLength(1)
  })

  test('a capture that is of no use or ends while it opens is closed and refused', async () => {
    const first = setUp()
    first.state.linkType = 1
    await expect(first.watch.start()).rejects.toMatchObject({ code: 'ERR_CAPTURE_LINK_TYPE' })
    expect(first.state.closed).toBe(1)
    const second = setUp()
    second.state.whileOpening = ({ onFailure }) => onFailure('gone')
    await expect(second.watch.start()).rejects.toMatchObject({ code: 'ERR_CAPTURE_OPEN' })
    expect(second.state.closed).toBe(1)
  })
})
