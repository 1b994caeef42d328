import { expect, test } from 'vitest'
import { openUnlessEnded } from '../../../../src/daemon/spamlogd/spamlogd-parts.js'
import { AppError } from '../../../../src/platform/app-error.js'
import type { LiveCapture, LiveCaptureRequest } from '../../../../src/platform/live-capture-source.js'

const request: LiveCaptureRequest = {
  device: 'pflog0',
  filter: '',
  onPacket: () => undefined,
  onFailure: () => undefined,
  onTrouble: () => undefined,
}

/** One that opens when it is told to stop, by rejecting. */
const open = ({ stop }: LiveCaptureRequest): Promise<LiveCapture> =>
  new Promise((_resolve, reject) => {
    stop?.addEventListener('abort', () => reject(new AppError('ERR_CAPTURE_OPEN', 'given up')))
  })

test('a signal before the daemon listens to any ends the opening first, then us', async () => {
  const endings: string[] = []
  const opening = openUnlessEnded(request, open, (signal) => endings.push(signal))
  process.emit('SIGQUIT', 'SIGQUIT')
  await expect(opening).rejects.toThrow('given up')
  expect([endings, process.listenerCount('SIGQUIT')]).toEqual([['SIGQUIT'], 0])
})

test('later signals are left to the daemon, whose own word ends the opening', async () => {
  const daemon = (): void => undefined
  process.on('SIGQUIT', daemon)
  try {
    const stop = new AbortController()
    const opening = openUnlessEnded({ ...request, stop: stop.signal }, open, () => expect.unreachable())
    expect(process.listenerCount('SIGQUIT')).toBe(1)
    stop.abort()
    await expect(opening).rejects.toThrow('given up')
  } finally {
    process.off('SIGQUIT', daemon)
  }
})
