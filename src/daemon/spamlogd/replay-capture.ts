/** Reads a capture file or pipe to its end without blocking timers and signals. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { isLogLinkType } from '../../app/read-sighting.js'
import { CaptureFileReader } from '../../codec/capture/capture-file.js'
import type { CaptureDamage } from '../../codec/capture/capture-record.js'
import { formatLinkType } from '../../codec/capture/link-type.js'
import { AppError } from '../../platform/app-error.js'
import type { Clock } from '../../platform/clock.js'
import type { LogWatcher } from './log-watcher.js'
import type { SightingRecorder } from './sighting-recorder.js'

/** Longest stretch of work between two turns of the event loop. */
const SLICE_MS = 10
/** Records between two looks at the clock. */
const RECORDS_PER_LOOK = 256

export interface ReplayOptions {
  chunks: AsyncIterable<Uint8Array>
  /** Name of the file, for messages. */
  name: string
  watcher: LogWatcher
  recorder: SightingRecorder
  clock: Clock
  /** True for a file, which waits until the recorder has room; a pipe is read like a live log. */
  waitsForRoom: boolean
  /** Set when the replay is to end early. */
  stop: AbortSignal
}

/**
 * Replays until the end, the damage or the stop. Everything before a damage counts. Errors: `AppError`
 * `ERR_CAPTURE_DAMAGED` with the offset, `ERR_CAPTURE_LINK_TYPE`, `ERR_CAPTURE_STALLED` when the database
 * takes nothing.
 */
export async function replayCapture(options: ReplayOptions): Promise<void> {
  const reader = new CaptureFileReader()
  const slice = new TimeSlice(options.clock)
  for await (const chunk of options.chunks) {
    reader.push(chunk)
    await readRecords(reader, options, slice)
    if (options.stop.aborted) return
  }
  // A pipe that we stopped reading may end anywhere.
  if (options.stop.aborted) return
  const damage = reader.end()
  if (damage !== undefined) throw damageError(options.name, damage)
}

async function readRecords(
  reader: CaptureFileReader,
  options: ReplayOptions,
  slice: TimeSlice,
): Promise<void> {
  for (;;) {
    const item = reader.next()
    if (reader.linkType !== undefined) checkLinkType(reader.linkType, options.name)
    if (item === undefined) return
    if (item.kind === 'damage') throw damageError(options.name, item)
    checkLinkType(item.linkType, options.name)
    options.watcher.handle(item.bytes, item, item.timeSec)
    if (options.waitsForRoom && options.recorder.isFull) {
      const leftCount = await options.recorder.drain(Infinity)
      if (leftCount > 0) {
        throw new AppError('ERR_CAPTURE_STALLED', `${options.name}: stopped: the database accepts no updates`)
      }
    }
    if (slice.isOver()) await slice.renew()
    if (options.stop.aborted) return
  }
}

/** Link type check with the numbers spelt out; also used for live captures. */
export function checkLinkType(linkType: number, name: string): void {
  if (!isLogLinkType(linkType)) throw new LinkTypeError(linkType, name)
}

/** `ERR_CAPTURE_LINK_TYPE`: the capture is not of a packet log. */
export class LinkTypeError extends AppError {
  /** Its type, and the expected one. */
  readonly types: string

  constructor(linkType: number, name: string) {
    const types = `${formatLinkType(linkType)}, expected 117 (PFLOG) or 239 (NFLOG)`
    super('ERR_CAPTURE_LINK_TYPE', `${name}: invalid datalink type ${types}`, {
      hint: 'capture on the log device: tcpdump -i pflog0 -w FILE, or tcpdump -i nflog:25 -w FILE',
    })
    this.types = types
  }
}

function damageError(name: string, damage: CaptureDamage): AppError {
  const { compression } = damage
  const hint = compression === undefined ? undefined : `unpack it: ${compression} -dc FILE | spamlogd -r -`
  return new AppError('ERR_CAPTURE_DAMAGED', `${name}: ${damage.reason} at byte ${damage.offset}`, { hint })
}

/** Tells when it is time to let timers and signals run. */
class TimeSlice {
  readonly #clock: Clock
  #startMs: number
  #recordCount = 0

  constructor(clock: Clock) {
    this.#clock = clock
    this.#startMs = clock.monotonicMs()
  }

  isOver(): boolean {
    this.#recordCount += 1
    if (this.#recordCount % RECORDS_PER_LOOK !== 0) return false
    return this.#clock.monotonicMs() - this.#startMs >= SLICE_MS
  }

  async renew(): Promise<void> {
    await nextTurn()
    this.#startMs = this.#clock.monotonicMs()
  }
}
