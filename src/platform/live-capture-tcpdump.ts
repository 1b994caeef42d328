/**
 * Live capture through tcpdump(8), for hosts where the `pcap` package or libpcap is missing: its `-w -`
 * output is an ordinary capture file that never ends.
 */
import { CaptureFileReader } from '../codec/capture/capture-file.js'
import { AppError } from './app-error.js'
import { type LiveCapture, type LiveCaptureRequest, snapLengthBytes } from './live-capture-source.js'
import { isRoot } from './privileges.js'
import { type RunningProcess, startProcess } from './run-process.js'
import { endsWithin } from './within.js'

/** How long to wait for tcpdump to end; it may run as another user by then, whom our signals do not reach. */
const END_WAIT_MS = 1_000
/** Kernel buffer, as for libpcap: 8 MiB. */
const BUFFER_KIB = '8192'

/** Opens `request.device` with tcpdump; resolves when tcpdump has opened it. */
export async function openTcpdumpCapture(
  request: LiveCaptureRequest,
  start: typeof startProcess = startProcess,
  platform: string = process.platform,
): Promise<LiveCapture> {
  const running = await start({
    program: 'tcpdump',
    args: tcpdumpArguments(request, platform, isRoot()),
    timeoutMs: Infinity,
  })
  const reader = new CaptureFileReader()
  const chunks = running.stdout[Symbol.asyncIterator]()
  while (reader.linkType === undefined) {
    const { done, value } = await chunks.next()
    if (done === true) throw await openError(running)
    reader.push(value)
    const damage = deliver(reader, request)
    if (damage !== undefined) {
      running.kill('SIGTERM')
      throw new AppError('ERR_CAPTURE_OPEN', damagedText(damage))
    }
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
        running.kill('SIGTERM')
        request.onFailure(damagedText(damage))
        return
      }
    }
    const end = await running.ended
    if (!isClosed) request.onFailure(`tcpdump ended: ${lastLine(end.stderrTail) ?? `status ${end.exitCode}`}`)
  })()
  return {
    linkType: reader.linkType,
    byteOrder: reader.byteOrder,
    reader: 'tcpdump',
    lostCount: () => 0,
    close: async () => {
      isClosed = true
      running.kill('SIGTERM')
      // It ends by itself when its pipe is closed.
      if (!(await endsWithin(running.ended, END_WAIT_MS))) running.leave()
      await reading.catch(() => undefined)
    },
  }
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

async function openError(running: RunningProcess): Promise<AppError> {
  running.kill('SIGTERM')
  const { stderrTail } = await running.ended
  return new AppError('ERR_CAPTURE_OPEN', lastLine(stderrTail) ?? 'tcpdump ended without a message')
}

function damagedText(reason: string): string {
  return `tcpdump sent damaged data: ${reason}`
}

/** The last message of tcpdump, without its name. */
function lastLine(text: string): string | undefined {
  const lines = text.split('\n').filter((line) => line !== '')
  return lines.at(-1)?.replace(/^tcpdump: /, '')
}
