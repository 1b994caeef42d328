/**
 * Replays one transcript of spamd-setup with our program, in this process, with real sockets and the pfctl stand-in.
 */
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import type { ListFetcher } from '../../../src/app/lists/settle-options.js'
import { runSetupProgram } from '../../../src/cli/setup/setup-main.js'
import { decompress } from '../../../src/feeds/decompress.js'
import { FeedError, isRemote } from '../../../src/feeds/feed.js'
import { ManualClock } from '../manual-clock.js'
import { startConfigListener } from './config-listener.js'

export type RecordedBytes = string | { base64: string } | { gzip_base64: string }

export interface SetupTranscript {
  id: string
  ub: string | null
  argv: string[]
  env: Record<string, string>
  conf: string | null
  files: Record<string, RecordedBytes>
  exec_files: string[]
  listener: boolean
  rc: number
  stdout: string
  stderr: string
  connections: RecordedBytes[]
  pfctl: { argv: string[]; stdin: RecordedBytes }[]
  ftp: { argv: string[]; uid: number }[]
}

/** The results of a run, in the form of the transcripts. */
export interface SetupOutcome {
  rc: number
  stdout: string
  stderr: string
  connections: string[]
  /** Calls that change a table. */
  pfctl: { argv: string[]; stdin: string }[]
  urls: string[]
}

const STAND_IN = join(import.meta.dirname, '..', 'pfctl-stand-in.js')
const MAX_BYTES = 64 * 1024 * 1024

/** Recorded bytes; text has one character per byte. */
export function bytesOf(recorded: RecordedBytes): Buffer {
  if (typeof recorded === 'string') return Buffer.from(recorded, 'latin1')
  if ('base64' in recorded) return Buffer.from(recorded.base64, 'base64')
  return gunzipSync(Buffer.from(recorded.gzip_base64, 'base64'))
}

/** Writes the files of a transcript into a folder; `{DIR}` in their text becomes that folder. */
export async function placeFiles(transcript: SetupTranscript, work: string): Promise<void> {
  for (const [name, content] of Object.entries(transcript.files)) {
    const bytes =
      typeof content === 'string'
        ? Buffer.from(content.replaceAll('{DIR}', work), 'latin1')
        : bytesOf(content)
    await writeFile(join(work, name), bytes)
  }
  for (const name of transcript.exec_files) await chmod(join(work, name), 0o755).catch(() => undefined)
}

export async function replay(transcript: SetupTranscript): Promise<SetupOutcome> {
  const dir = await mkdtemp(join(tmpdir(), 'spamd-setup-golden-'))
  const work = join(dir, 'work')
  try {
    await chmod(dir, 0o755)
    await mkdir(work)
    await placeFiles(transcript, work)
    const conf = join(dir, 'spamd.conf')
    if (transcript.conf !== null)
      await writeFile(conf, Buffer.from(transcript.conf.replaceAll('{DIR}', work), 'latin1'))
    const calls = join(dir, 'pfctl-calls')
    process.env.PFCTL_CALLS = calls
    process.env.PFCTL_STATE = join(dir, 'pfctl-state')

    const port = await startConfigListener(transcript.listener)
    const urls: string[] = []
    let stdout = ''
    let stderr = ''
    let isInBackground = false
    const exitCode = await runSetupProgram(transcript.argv, {
      writeOut: (bytes) => {
        if (!isInBackground) stdout += Buffer.from(bytes).toString('latin1')
      },
      writeError: (text) => {
        if (!isInBackground) stderr += Buffer.from(text).toString('latin1')
      },
      terminal: undefined,
      environment: {
        SPAMD_CONF: conf,
        SPAMD_STATE_DIR: join(dir, 'state'),
        SPAMD_CFG_PORT: String(port.port),
        SPAMD_FIREWALL: 'pf',
        SPAMD_PFCTL: transcript.env.PFCTL ?? STAND_IN,
        PATH: process.env.PATH,
      },
      clock: new ManualClock(),
      sleep: async () => undefined,
      random: () => 0,
      showHelp: async () => undefined,
      ownAddresses: async () => [],
      goToBackground: async () => {
        isInBackground = true
        return undefined
      },
      wrapFetcher: (fetcher) => fakeDownloads(fetcher, transcript.files, urls),
    })
    const connections = await port.close()
    const back = (text: string) =>
      text.replaceAll(work, '{DIR}').replaceAll(conf, '{CONF}').replaceAll(`port ${port.port}:`, 'port 8026:')
    return {
      // The caller of a program in the background has already received 0.
      rc: isInBackground ? 0 : exitCode,
      stdout,
      stderr: back(stderr),
      connections: connections.map(back),
      pfctl: await readCalls(calls),
      urls: urls.map((url) => url.replaceAll(work, '{DIR}')),
    }
  } finally {
    await rm(dir, { recursive: true })
  }
}

/**
 * Stand-ins for servers on the Internet: they serve the files of the transcript by the last part of their path, as
 * its download program did.
 */
function fakeDownloads(fetcher: ListFetcher, files: SetupTranscript['files'], urls: string[]): ListFetcher {
  return {
    fetch: async (request, consume) => {
      if (!isRemote(request.method)) return fetcher.fetch(request, consume)
      const url = `${request.method}://${request.location}`
      urls.push(url)
      const content = files[basename(url)]
      if (content === undefined) throw new FeedError('ERR_FEED_STATUS', 'the server answered with status 404')
      const body = decompress(
        (async function* () {
          yield bytesOf(content)
        })(),
        MAX_BYTES,
      )
      return { kind: 'body', content: await consume(body), validator: {}, freshUntilSec: undefined }
    },
  }
}

async function readCalls(path: string): Promise<SetupOutcome['pfctl']> {
  const text = await readFile(path, 'utf8').catch(() => '')
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { argv: string[]; stdin: string; stdin_base64?: string })
    .filter(({ argv }) => argv.includes('replace'))
    .map(({ argv, stdin }) => ({ argv, stdin }))
}
