import { once } from 'node:events'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { createControlServer, MAX_REQUEST_BYTES } from '../../../src/daemon/control-server.js'
import { BlockLists } from '../../../src/daemon/lists/block-lists.js'
import { listenOnPath } from '../../../src/daemon/process/listen-on-path.js'
import { AppError } from '../../../src/platform/app-error.js'
import { checkControlRequest } from '../../fuzz/check-control-requests.js'
import { CONTROL_TOKENS } from '../../fuzz/control-tokens.js'
import { makeMutator } from '../../fuzz/mutate.js'
import { corpusInputs } from '../../support/corpus.js'
import { MemoryLogger } from '../../support/memory-logger.js'

const folders: string[] = []
const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) server.close()
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true })
})

function socketPath(): string {
  const folder = mkdtempSync(join(tmpdir(), 'control-'))
  folders.push(folder)
  return join(folder, 'sock')
}

async function started(
  path = socketPath(),
  limits: { requestTimeoutMs?: number; idleTimeoutMs?: number } = {},
) {
  const logger = new MemoryLogger()
  let finishLong: (value: string) => void = () => undefined
  const long = new Promise<string>((resolve) => {
    finishLong = resolve
  })
  const blockLists = new BlockLists({ logger })
  const server = createControlServer({
    blockLists,
    logger,
    ...limits,
    handlers: {
      long: () => long,
      stats: () => ({ connections: 3 }),
      slow: async () => 'done',
      breaks: () => 1n,
      fails: () => {
        throw new AppError('ERR_SYNC_OFF', 'nothing is synchronised')
      },
    },
  })
  servers.push(server)
  await listenOnPath(server, path)
  const ask = (request: string | Buffer, keepsOpen = false): Promise<string> => {
    const socket = connect({ path, allowHalfOpen: true })
    socket.on('error', () => undefined)
    if (keepsOpen) socket.write(request)
    else socket.end(request)
    return text(socket).finally(() => socket.destroy())
  }
  return { path, blockLists, ask, server, logger, finishLong }
}

test.each([
  ['{"request":"stats"}\n', { ok: true, result: { connections: 3 } }],
  ['{"request":"stats"}', { ok: true, result: { connections: 3 } }],
  ['{"request":"slow"}\n', { ok: true, result: 'done' }],
  [
    '{"request":"fails"}\n',
    { ok: false, error: { code: 'ERR_SYNC_OFF', message: 'nothing is synchronised' } },
  ],
  [
    '{"request":"toString"}\n',
    { ok: false, error: { code: 'ERR_REQUEST_UNKNOWN', message: 'unknown request toString' } },
  ],
  [
    '{"request":{"toString":1}}\n',
    { ok: false, error: { code: 'ERR_REQUEST_UNKNOWN', message: 'unknown request {"toString":1}' } },
  ],
  [
    '{"request":["stats"]}\n',
    { ok: false, error: { code: 'ERR_REQUEST_UNKNOWN', message: 'unknown request ["stats"]' } },
  ],
  [
    '{"request":"breaks"}\n',
    { ok: false, error: { code: 'ERR_REQUEST_FAILED', message: 'the request could not be answered' } },
  ],
  ['{broken\n', { ok: false, error: { code: 'ERR_REQUEST_SYNTAX', message: 'the request is not JSON' } }],
  ['{}\n', { ok: false, error: { code: 'ERR_REQUEST_UNKNOWN', message: 'unknown request undefined' } }],
])('%j is answered', async (request, reply) => {
  const { ask } = await started()
  expect(JSON.parse(await ask(request))).toEqual(reply)
})

test('a client that keeps its side open is answered all the same', async () => {
  const { ask } = await started()
  expect(await ask('{"request":"slow"}\n', true)).toBe('{"ok":true,"result":"done"}\n')
})

test('config lines are applied and answered one by one', async () => {
  const { ask, blockLists } = await started()
  const lines = 'bl;"m";inet;1;127.5.0.0/16\nbl;"n";inet;1;foo/8\nbad\nbl;"o";inet6;1;::1/128\nzz;\n'
  const answers = (await ask(lines))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown)
  expect(answers).toEqual([
    { result: 'added', list: 'bl', entries: 1 },
    { result: 'refused', list: 'bl', reason: 'not an address with prefix length: "foo/8"' },
    { result: 'refused', list: 'bad', reason: 'no ";" after the list name' },
    { result: 'replaced', list: 'bl', entries: 1 },
    { result: 'cleared', list: 'zz', known: false },
  ])
  expect(blockLists.match('::1')).toHaveLength(1)
})

test('an overlong request is dropped without an answer', async () => {
  const { ask } = await started()
  expect(await ask(`{${'x'.repeat(MAX_REQUEST_BYTES)}`)).toBe('')
})

test('only the owner and the group may use the socket', async () => {
  const { path } = await started()
  expect(statSync(path).mode & 0o777).toBe(0o660)
})

test('a socket left behind is replaced, a live one and a plain file are not', async () => {
  const path = socketPath()
  const dead = createServer()
  await listenOnPath(dead, path)
  // As a killed daemon leaves it.
  dead.close()
  await once(dead, 'close')
  const stale = path
  const { ask } = await started(stale)
  expect(JSON.parse(await ask('{"request":"stats"}\n'))).toMatchObject({ ok: true })
  await expect(listenOnPath(createServer(), stale)).rejects.toThrow(
    `cannot listen on ${stale}: another daemon is listening there`,
  )
  const file = `${path}.file`
  writeFileSync(file, 'x')
  await expect(listenOnPath(createServer(), file)).rejects.toThrow('exists and is not a socket')
  await expect(listenOnPath(createServer(), `${path}${'x'.repeat(108)}`)).rejects.toThrow(
    /: longer than 10[37] bytes, the limit of a socket path$/,
  )
})

describe('many connections at once', () => {
  /** Connections that have said something and stay; how many of them the server has closed. */
  async function crowd(path: string, count: number, said: string): Promise<{ closed: () => number }> {
    let closed = 0
    for (let number = 0; number < count; number += 1) {
      const socket = connect({ path, allowHalfOpen: true })
      crowded.push(socket)
      socket.on('error', () => undefined)
      socket.on('end', () => {
        closed += 1
      })
      await once(socket, 'connect')
      if (said !== '') socket.write(said)
      socket.resume()
    }
    return { closed: () => closed }
  }
  const crowded: Socket[] = []
  afterEach(() => {
    for (const socket of crowded.splice(0)) socket.destroy()
  })

  test.each([
    ['say nothing', ''],
    ['begin a request', '{"request":'],
    ['begin a list', 'bl;"m";inet;1;127.5.'],
    ['are answered and stay', '{"request":"stats"}\n'],
    ['wait for an answer', '{"request":"long"}\n'],
    ['say more than they need', '{"request":"long"}\nmore'],
  ])('100 that %s keep nobody from being answered', async (_what, said) => {
    const { path, ask, logger } = await started()
    await crowd(path, 100, said)
    for (let number = 0; number < 3; number += 1) {
      expect(JSON.parse(await ask('{"request":"stats"}\n'))).toEqual({ ok: true, result: { connections: 3 } })
    }
    expect(JSON.parse(await ask('zz;\n'))).toMatchObject({ result: 'cleared' })
    // Told once, not for each.
    expect(logger.lines.filter(({ message }) => message.includes('control socket'))).toHaveLength(1)
  })

  test('who waits for an answer keeps his place before those that are silent', async () => {
    const { path, ask, finishLong } = await started()
    const waiting = ask('{"request":"long"}\n', true)
    await crowd(path, 100, '')
    expect(JSON.parse(await ask('{"request":"stats"}\n'))).toMatchObject({ ok: true })
    finishLong('done')
    expect(JSON.parse(await waiting)).toEqual({ ok: true, result: 'done' })
  })

  test.each([
    ['silent', ''],
    ['that do not end their request', '{"request":'],
  ])('those %s are closed in time', async (_what, said) => {
    const { path } = await started(undefined, { requestTimeoutMs: 50 })
    const { closed } = await crowd(path, 5, said)
    await vi.waitFor(() => expect(closed()).toBe(5), { timeout: 60_000 })
  })

  test('one that waits for its answer is not closed, and one that does not leave with it is', async () => {
    const { path, finishLong, server } = await started(undefined, { requestTimeoutMs: 50, idleTimeoutMs: 50 })
    const stays = connect({ path, allowHalfOpen: true })
    crowded.push(stays)
    stays.write('{"request":"long"}\n')
    const { closed } = await crowd(path, 1, '')
    await vi.waitFor(() => expect(closed()).toBe(1), { timeout: 60_000 })
    const answer = text(stays)
    finishLong('done')
    expect(await answer).toContain('"done"')
    const open = (): Promise<number> =>
      new Promise((resolve) => server.getConnections((_error, count) => resolve(count)))
    await vi.waitFor(async () => expect(await open()).toBe(0), { timeout: 60_000 })
  })
})

describe('requests that were made to break the daemon', () => {
  test.each(corpusInputs('control'))('$name, whole and cut short anywhere', async ({ bytes }) => {
    for (let end = 0; end <= bytes.length; end += 1) await checkControlRequest(bytes.subarray(0, end))
  })
  test('5,000 mutations', async () => {
    const { mutate } = makeMutator(20_261_126)
    const seeds = corpusInputs('control').map(({ bytes }) => bytes)
    for (let count = 0; count < 5_000; count += 1) await checkControlRequest(mutate(seeds, CONTROL_TOKENS))
  })
})
