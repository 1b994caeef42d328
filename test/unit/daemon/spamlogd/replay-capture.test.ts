import { expect, test } from 'vitest'
import type { LogWatcher } from '../../../../src/daemon/spamlogd/log-watcher.js'
import { replayCapture } from '../../../../src/daemon/spamlogd/replay-capture.js'
import type { SightingRecorder } from '../../../../src/daemon/spamlogd/sighting-recorder.js'
import { captureFile, mailSyn, pflogRecord } from '../../../support/log-records.js'
import { ManualClock } from '../../../support/manual-clock.js'

const RECORDS = 1_200

/** After which records timers and signals had their turn, when each record takes so long. */
async function turnsOf(msPerRecord: number): Promise<number[]> {
  const clock = new ManualClock()
  let count = 0
  const turns: number[] = []
  const waitForTurn = (): void => {
    setImmediate(() => {
      turns.push(count)
      if (count < RECORDS) waitForTurn()
    })
  }
  const watcher = {
    handle: () => {
      if (count === 0) waitForTurn()
      count += 1
      clock.ms += msPerRecord
    },
  }
  const record = pflogRecord(mailSyn('192.0.2.1', '198.51.100.1'))
  const bytes = captureFile(Array<Uint8Array>(RECORDS).fill(record))
  await replayCapture({
    chunks: (async function* () {
      yield bytes
    })(),
    ...{ name: 'FILE', clock, waitsForRoom: false, stop: new AbortController().signal },
    watcher: watcher as unknown as LogWatcher,
    recorder: { isFull: false } as SightingRecorder,
  })
  return turns.filter((turn) => turn < RECORDS)
}

test('a long replay lets timers and signals run every ten milliseconds, and looks at the clock now and then', async () => {
  expect(await turnsOf(10 / 256)).toEqual([256, 512, 768, 1024])
  expect(await turnsOf(9.9 / 256)).toEqual([512, 1024])
  expect(await turnsOf(0)).toEqual([])
})
