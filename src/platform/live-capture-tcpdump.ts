/**
 * Live capture through tcpdump(8), for hosts where the `pcap` package or libpcap is missing: its `-w -`
 * output is an ordinary capture file that never ends.
 */
import { CaptureFileReader } from '../codec/capture/capture-file.js'
import { AppError } from './app-error.js'
import { type LiveCapture, type LiveCaptureRequest, snapLengthBytes } from './live-capture-source.js'
import { isRoot } from './privileges.js'
import { type ProcessEnd, type RunningProcess, startProcess } from './run-process.js'
import { endsWithin } from './within.js'

/** How long to wait for tcpdump to end before it is killed; it may then run as another user and ignore our signals. */
const END_WAIT_MS = 1_000
/** Kernel buffer, as for libpcap: 8 MiB. */
const BUFFER_KIB = '8192'

/** Opens `request.device` with tcpdump; resolves when tcpdump has opened it. */
export async function openTcpdumpCapture(
  request: LiveCaptureRequest,
  start: typeof startProcess = startProcess,
  platform: string = process.platform,
  endWaitMs: number = END_WAIT_MS,
): Promise<LiveCapture> {
  const running = await start({
    program: 'tcpdump',
    args: tcpdumpArguments(request, platform, isRoot()),
    timeoutMs: Infinity,
  })
  const reader = new CaptureFileReader()
  const chunks = running.stdout[Symbol.asyncIterator]()
  const abandon = (): void => void endTcpdump(running, endWaitMs)
  request.stop?.addEventListener('abort', abandon, { once: true })
  try {
    if (request.stop?.aborted) abandon()
    await readHeader(running, { ...request, chunks, reader, endWaitMs })
  } catch (error) {
    if (!request.stop?.aborted) throw error
    throw new AppError('ERR_CAPTURE_OPEN', 'stopped before tcpdump had started', { cause: error })
  } finally {
    request.stop?.removeEventListener('abort', abandon)
  }
  let isClosed = false
  const reading = (async () => {
    for (;;) {
      const { done, value } = await chunks.next()
      if (isClosed) return
      if (done === true) break
      reader.push(value)
      const damage = deliver(reader, request)
      if (damage !== undefined) {
        void endTcpdump(running, endWaitMs)
        request.onFailure(damagedText(damage))
        return
      }
    }
    // A tcpdump that continues after its output has ended no longer captures anything.
    const end = await endOf(running, endWaitMs)
    const how = end === undefined ? 'its output' : `status ${end.exitCode}`
    if (!isClosed) request.onFailure(`tcpdump ended: ${lastLine(end?.stderrTail ?? '') ?? how}`)
  })()
  return {
    linkType: reader.linkType!,
    byteOrder: reader.byteOrder,
    reader: 'tcpdump',
    lostCount: () => 0,
    close: async () => {
      isClosed = true
      await endTcpdump(running, endWaitMs)
      await reading.catch(() => undefined)
    },
  }
}

/** Reads until the link type is known. */
async function readHeader(
  running: RunningProcess,
  opening: LiveCaptureRequest & {
    chunks: AsyncIterator<Uint8Array>
    reader: CaptureFileReader
    endWaitMs: number
  },
): Promise<void> {
  const { chunks, reader, endWaitMs } = opening
  while (reader.linkType === undefined) {
    const { done, value } = await chunks.next()
    if (done === true) {
      const last = lastLine((await endOf(running, endWaitMs))?.stderrTail ?? '')
      throw new AppError('ERR_CAPTURE_OPEN', last ?? 'tcpdump ended without a message')
    }
    reader.push(value)
    const damage = deliver(reader, opening)
    if (damage === undefined) continue
    await endTcpdump(running, endWaitMs)
    throw new AppError('ERR_CAPTURE_OPEN', damagedText(damage))
  }
}

/** How it ended after its output did; it is terminated if it continues. Undefined if that is not permitted. */
async function endOf(running: RunningProcess, waitMs: number): Promise<ProcessEnd | undefined> {
  if (await endsWithin(running.ended, waitMs)) return await running.ended
  return (await endTcpdump(running, waitMs)) ? await running.ended : undefined
}

/**
 * Sends SIGTERM, then SIGKILL; a process that we may not signal ends by itself when it writes to its closed pipe. True if it
 * has ended.
 */
async function endTcpdump(running: RunningProcess, waitMs: number): Promise<boolean> {
  running.kill('SIGTERM')
  if (await endsWithin(running.ended, waitMs)) return true
  running.kill('SIGKILL')
  running.leave()
  return false
}

function tcpdumpArguments(request: LiveCaptureRequest, platform: string, isRoot: boolean): string[] {
  const common = ['-n', '-p', '-i', request.device, '-s', String(snapLengthBytes(request.device)), '-w', '-']
  // OpenBSD's own tcpdump does not support these, and writes packets as they arrive.
  const prompt = platform === 'openbsd' ? [] : ['-U', '--immediate-mode', '-B', BUFFER_KIB]
  // By default it runs as its own user, which we could not signal once we have changed users too.
  const becoming = platform === 'linux' && isRoot && request.user !== undefined ? ['-Z', request.user] : []
  return [...prompt, ...becoming, ...common, ...(request.filter === '' ? [] : [request.filter])]
}

/** Delivers complete records; returns the reason if the data is damaged. */
function deliver(reader: CaptureFileReader, request: LiveCaptureRequest): string | undefined {
  for (let item = reader.next(); item !== undefined; item = reader.next()) {
    if (item.kind === 'damage') return item.reason
    request.onPacket(item.bytes, item.timeSec)
  }
  return undefined
}

function damagedText(reason: string): string {
  return `tcpdump sent damaged data: ${reason}`
}

/** The last message of tcpdump, without its name. */
function lastLine(text: string): string | undefined {
  const lines = text.split('\n').filter((line) => line !== '')
  return lines.at(-1)?.replace(/^tcpdump: /, '')
}
