/** How often and by what a source is fetched; what each method does is in its own file. */
import { mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { DEFAULT_FEED_LIMITS, FeedError, type FeedRequest } from '../../../src/feeds/feed.js'
import { FeedFetcher, type FeedFetcherOptions } from '../../../src/feeds/feed-fetcher.js'
import { type OpenedSource, sourceKey } from '../../../src/feeds/opened-source.js'

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'feed-fetcher-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

const open: FeedFetcher[] = []
afterEach(() => Promise.all(open.splice(0).map((fetcher) => fetcher.close())))

/** A fetcher whose pauses take no time, and what it did. */
function fetcherWith(options: Partial<FeedFetcherOptions> = {}) {
  const done = { pauses: [] as number[], usersAsked: 0, agentsAsked: 0, messages: [] as string[] }
  const fetcher = new FeedFetcher({
    limits: { ...DEFAULT_FEED_LIMITS, maxAttempts: 3, backoffMs: 1_000 },
    clock: { nowSec: () => 1_000, monotonicMs: () => 0 },
    userAgent: () => {
      done.agentsAsked += 1
      return 'spamdctl/test'
    },
    environment: { PATH: process.env.PATH },
    findProgramUser: async () => {
      done.usersAsked += 1
      return undefined
    },
    onMessages: (text) => void done.messages.push(text),
    sleep: async (durationMs) => void done.pauses.push(durationMs),
    random: () => 0.5,
    ...options,
  })
  open.push(fetcher)
  return { fetcher, done }
}

async function textOf(body: AsyncIterable<Uint8Array>): Promise<string> {
  let text = ''
  for await (const chunk of body) text += Buffer.from(chunk).toString('latin1')
  return text
}

function fileOf(text: string, name = 'list'): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

function programOf(text: string): string {
  const path = join(folder, 'program')
  writeFileSync(path, `#!/bin/sh\n${text}\n`, { mode: 0o755 })
  return path
}

/** A port on which nobody listens: connecting is refused at once, and is worth another attempt. */
const REFUSED: FeedRequest = { method: 'http', location: '127.0.0.1:1/x' }

describe('attempts', () => {
  const failing = (isTransient: boolean) => {
    let attempts = 0
    const consume = async () => {
      attempts += 1
      throw new FeedError('ERR_FEED_GZIP', 'cut', { isTransient })
    }
    return { consume, attempts: () => attempts }
  }

  test('a server that fails for the moment is asked again, later each time', async () => {
    const { fetcher, done } = fetcherWith()
    await expect(fetcher.fetch(REFUSED, textOf)).rejects.toMatchObject({ code: 'ERR_FEED_CONNECT' })
    // Twice as long each time, and a quarter of it more: half of the random half.
    expect(done.pauses).toEqual([1_250, 2_500])
  })

  test.each([
    [1, []],
    [2, [1_000]],
    [4, [1_000, 2_000, 4_000]],
  ])('%i of them', async (maxAttempts, pauses) => {
    const limits = { ...DEFAULT_FEED_LIMITS, maxAttempts, backoffMs: 1_000 }
    const { fetcher, done } = fetcherWith({ limits, random: () => 0 })
    await expect(fetcher.fetch(REFUSED, textOf)).rejects.toThrow()
    expect(done.pauses).toEqual(pauses)
  })

  test.each(['file', 'exec'] as const)('a source of this machine is asked once: %s', async (method) => {
    const { fetcher, done } = fetcherWith()
    const { consume, attempts } = failing(true)
    const location = method === 'file' ? fileOf('x') : programOf('echo x')
    await expect(fetcher.fetch({ method, location }, consume)).rejects.toThrow('cut')
    expect([attempts(), done.pauses]).toEqual([1, []])
  })

  test('what will not get better, and what is no failure of the source, is told at once', async () => {
    const { fetcher, done } = fetcherWith()
    await expect(fetcher.fetch({ method: 'https', location: 'user@/' }, textOf)).rejects.toMatchObject({
      code: 'ERR_FEED_URL',
    })
    const program = async () => {
      throw new Error('of the reader')
    }
    await expect(fetcher.fetch({ method: 'file', location: fileOf('x') }, program)).rejects.toThrow(
      'of the reader',
    )
    expect(done.pauses).toEqual([])
  })
})

describe('methods', () => {
  test('a file, decompressed as far as the limit allows', async () => {
    const limits = { ...DEFAULT_FEED_LIMITS, maxBytes: 5 }
    const { fetcher } = fetcherWith({ limits })
    expect(await fetcher.fetch({ method: 'file', location: fileOf('12345') }, textOf)).toEqual({
      kind: 'body',
      content: '12345',
      validator: {},
      freshUntilSec: undefined,
    })
    await expect(fetcher.fetch({ method: 'file', location: fileOf('123456') }, textOf)).rejects.toMatchObject(
      { code: 'ERR_FEED_TOO_BIG' },
    )
  })

  test('programs run as one user, who is looked for once, and what they say is passed on', async () => {
    const { fetcher, done } = fetcherWith()
    const request: FeedRequest = { method: 'exec', location: programOf('echo 192.0.2.1; echo hm >&2') }
    expect(done.usersAsked).toBe(0)
    for (let round = 0; round < 2; round += 1)
      expect(await fetcher.fetch(request, textOf)).toMatchObject({ content: '192.0.2.1\n' })
    expect(done).toMatchObject({ usersAsked: 1, agentsAsked: 0, messages: ['hm\n', 'hm\n'] })
  })

  test('a client for servers is made once, when one is needed', async () => {
    const limits = { ...DEFAULT_FEED_LIMITS, maxAttempts: 1 }
    const { fetcher, done } = fetcherWith({ limits })
    for (let round = 0; round < 2; round += 1) await expect(fetcher.fetch(REFUSED, textOf)).rejects.toThrow()
    expect(done).toMatchObject({ agentsAsked: 1, usersAsked: 0 })
  })
})

describe('sources that root opened', () => {
  const openedWith = (request: FeedRequest, source: OpenedSource) => new Map([[sourceKey(request), source]])

  test('are read in place of what is there now; others are opened as ever', async () => {
    const request: FeedRequest = { method: 'file', location: fileOf('as root\n', 'root') }
    const opened = openedWith(request, { fd: openSync(request.location, 'r') })
    rmSync(request.location)
    const { fetcher } = fetcherWith({ opened })
    expect(await fetcher.fetch(request, textOf)).toMatchObject({ content: 'as root\n' })
    const other: FeedRequest = { method: 'file', location: fileOf('other\n') }
    expect(await fetcher.fetch(other, textOf)).toMatchObject({ content: 'other\n' })
  })

  test('tell why they could not be opened', async () => {
    const request: FeedRequest = { method: 'file', location: fileOf('x') }
    const error = new FeedError('ERR_FEED_OPEN', 'Permission denied')
    const { fetcher } = fetcherWith({ opened: openedWith(request, { error }) })
    await expect(fetcher.fetch(request, textOf)).rejects.toBe(error)
  })
})
