import type { DaemonSignal } from '../../src/daemon/daemon-signal.js'
import type { ReplaySource, SpamlogdParts } from '../../src/daemon/spamlogd/spamlogd-parts.js'
import { openStore } from '../../src/db/open-store.js'
import type { LiveCaptureRequest } from '../../src/platform/live-capture-source.js'
import { ManualClock } from './manual-clock.js'
import { MemoryLogger } from './memory-logger.js'

/** A machine that the test controls: it decides when packets, signals and time come. */
export class FakeSpamlogdParts implements SpamlogdParts {
  readonly clock = new ManualClock()
  readonly logger = new MemoryLogger()
  readonly stderr: string[] = []
  readonly stdout: string[] = []
  readonly users: string[] = []
  readonly endedNow: number[] = []
  linkType = 117
  openAnnouncer: SpamlogdParts['openAnnouncer']
  captureError: Error | undefined
  captureClosed = 0
  /** The open capture. */
  request: LiveCaptureRequest | undefined
  replay: ReplaySource | undefined
  #signalHandler: ((signal: DaemonSignal) => void) | undefined
  readonly #listening: Promise<void>
  #nowListening: () => void = () => {}

  constructor() {
    this.#listening = new Promise((resolve) => {
      this.#nowListening = resolve
    })
  }

  /** Resolves when the daemon takes signals. */
  get listening(): Promise<void> {
    return this.#listening
  }

  get lines(): string[] {
    return this.logger.lines.map((line) => line.message)
  }

  signal(signal: DaemonSignal): void {
    this.#signalHandler?.(signal)
  }

  host = { indexOf: () => undefined, isOwnAddress: () => false }
  mayCapture = (): boolean => true
  openLog = (): MemoryLogger => this.logger
  writeError = (text: string): void => void this.stderr.push(text)
  writeOut = (text: string): void => void this.stdout.push(text)
  openStore = (path: string) => openStore(path, { mode: 'write', durability: 'normal', busyTimeoutMs: 20 })

  openCapture: SpamlogdParts['openCapture'] = async (request) => {
    if (this.captureError !== undefined) throw this.captureError
    this.request = request
    const close = async () => {
      this.captureClosed += 1
    }
    return { linkType: this.linkType, byteOrder: 'little', reader: 'libpcap', lostCount: () => 0, close }
  }

  openReplay = (): ReplaySource => {
    if (this.replay === undefined) throw new Error('no replay was prepared')
    return this.replay
  }

  endNow = (exitCode: number): void => void this.endedNow.push(exitCode)

  becomeUser = async (name: string): Promise<void> => void this.users.push(name)

  onSignal = (handler: (signal: DaemonSignal) => void): (() => void) => {
    this.#signalHandler = handler
    this.#nowListening()
    return () => {
      this.#signalHandler = undefined
    }
  }
}
