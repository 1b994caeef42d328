import { createServer, type Server } from 'node:net'
import fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import { PrivilegedClient } from '../../../../src/daemon/process/privileged-client.js'
import { PrivilegedParent } from '../../../../src/daemon/process/privileged-parent.js'
import {
  MAX_OPEN_REQUESTS,
  MAX_TABLE_BYTES,
  MESSAGE_BURST,
  MESSAGES_PER_SEC,
  type ParentMessage,
  PIECE_BYTES,
  readChildMessage,
} from '../../../../src/daemon/process/privileged-protocol.js'
import type { PrivilegedResources, TlsMaterial } from '../../../../src/daemon/process/spamd-resources.js'
import { AppError } from '../../../../src/platform/app-error.js'
import { freeMemorySoon } from '../../../../src/platform/free-memory.js'
import { MemoryFirewall } from '../../../support/memory-firewall.js'

vi.mock('../../../../src/platform/free-memory.js')

const WHITE = { name: 'spamd-white', content: 'hosts' } as const

class TrialResources implements PrivilegedResources {
  controlRemovals = 0
  key: Buffer | undefined = Buffer.from('secret')
  tls: TlsMaterial | undefined = { certificate: Buffer.from('certificate'), key: Buffer.from('tls key') }
  domains: Buffer | undefined = Buffer.from('@example.net\n')
  failure: AppError | undefined

  async openSmtpListeners(): Promise<Server[]> {
    return []
  }
  async listenConfig(): Promise<void> {}
  async listenControl(): Promise<void> {}
  async bindControl(): Promise<() => void> {
    return () => {
      this.controlRemovals += 1
    }
  }
  async readTls(): Promise<TlsMaterial | undefined> {
    return this.tls
  }
  async readAllowedDomains(): Promise<Buffer | undefined> {
    return this.domains
  }
  async readSpfDomains(): Promise<Buffer> {
    return Buffer.from('example.org\n')
  }
  async readSyncKey(): Promise<Buffer | undefined> {
    if (this.failure !== undefined) throw this.failure
    return this.key
  }
}

/** Parent and client joined as over IPC: messages are copied. */
function join(monotonicMs = () => 0) {
  const firewall = new MemoryFirewall()
  const resources = new TrialResources()
  const sent: { kind: string; bytes?: Uint8Array }[] = []
  const client = new PrivilegedClient('none', async (message) => {
    const copy = structuredClone(message) as { kind: string }
    sent.push(copy)
    parent.take(copy)
  })
  const parent = new PrivilegedParent({
    resources,
    firewall,
    controlSocket: {},
    monotonicMs,
    send: async (message: ParentMessage, handle) => {
      if (message.kind === 'tables-lost') client.tablesLost()
      else if (message.kind !== 'start' && message.kind !== 'signal')
        client.take(structuredClone(message), handle)
    },
  })
  return { client, parent, firewall, resources, sent }
}

function hostLines(count: number, family: 4 | 6) {
  const lines: string[] = []
  for (let index = 0; index < count; index += 1) {
    lines.push(
      family === 4
        ? `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}/32`
        : `2001:db8::${(index + 1).toString(16)}/128`,
    )
  }
  return { lines, part: { text: Buffer.from(lines.map((line) => `${line}\n`).join('')), count } }
}

test('a socket that was passed and cannot be listened on is told', async () => {
  const { client } = join()
  const server = createServer()
  server.listen = (() => {
    process.nextTick(() => server.emit('error', new Error('EBADF')))
    return server
  }) as typeof server.listen
  await expect(client.listenConfig(server)).rejects.toMatchObject({
    code: 'ERR_SPAMD_LISTEN',
    message: 'listen: EBADF',
  })
})

describe('tables', () => {
  test('memory is freed after a large table was written, and not for a few addresses', async () => {
    const { client, firewall } = join()
    firewall.replaceTable = async () => undefined
    const textOf = (bytes: number) => ({ text: new Uint8Array(bytes), count: 1 })
    await client.replaceTable(WHITE, { ipv4: textOf(20), ipv6: textOf(0) })
    expect(freeMemorySoon).not.toHaveBeenCalled()
    await client.replaceTable(WHITE, { ipv4: textOf(1024 * 1024), ipv6: textOf(0) })
    expect(freeMemorySoon).toHaveBeenCalledTimes(1)
  })

  test('a large table arrives whole, in bounded pieces, both families', async () => {
    const { client, firewall, sent } = join()
    const [ipv4, ipv6] = [hostLines(100_000, 4), hostLines(40_000, 6)]
    await client.replaceTable(WHITE, { ipv4: ipv4.part, ipv6: ipv6.part })
    expect(firewall.tables.get('spamd-white')).toEqual([...ipv4.lines, ...ipv6.lines])
    const sizes = sent.filter(({ kind }) => kind === 'piece').map(({ bytes }) => bytes!.length)
    expect(Math.max(...sizes)).toBeLessThanOrEqual(PIECE_BYTES)
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(ipv4.part.text.length + ipv6.part.text.length)
  })

  test('an empty table, and tables asked for at once, go one after the other', async () => {
    const { client, firewall } = join()
    const empty = hostLines(0, 4).part
    await Promise.all([
      client.replaceTable(WHITE, { ipv4: hostLines(3, 4).part, ipv6: empty }),
      client.replaceTable(WHITE, { ipv4: hostLines(9, 4).part, ipv6: empty }),
      client.replaceTable(WHITE, { ipv4: empty, ipv6: empty }),
    ])
    expect(firewall.tables.get('spamd-white')).toEqual([])
    expect(firewall.replaceCounts.get('spamd-white')).toBe(3)
  })

  test("the packet filter's refusal reaches the child, code and hint included; the next table is taken", async () => {
    const { client, firewall } = join()
    const content = { ipv4: hostLines(1, 4).part, ipv6: hostLines(0, 6).part }
    firewall.failure = new AppError('ERR_FIREWALL_LIMIT', 'full', { hint: 'raise it' })
    await expect(client.replaceTable(WHITE, content)).rejects.toMatchObject({
      code: 'ERR_FIREWALL_LIMIT',
      message: 'full',
      hint: 'raise it',
    })
    firewall.failure = undefined
    await client.replaceTable(WHITE, content)
    expect(await client.readTable(WHITE)).toEqual(['10.0.0.0/32'])
  })

  test('text that is no address is refused by the parent although the child sent it', async () => {
    const { client, firewall } = join()
    const part = { text: Buffer.from('localhost\n'), count: 1 }
    await expect(
      client.replaceTable(WHITE, { ipv4: part, ipv6: hostLines(0, 6).part }),
    ).rejects.toMatchObject({
      code: 'ERR_FIREWALL_CONTENT',
    })
    expect(firewall.tables.size).toBe(0)
  })
})

describe('files', () => {
  test('a key, no key, and a reason', async () => {
    const { client, resources } = join()
    expect(await client.readSyncKey()).toEqual(Buffer.from('secret'))
    resources.key = undefined
    expect(await client.readSyncKey()).toBeUndefined()
    resources.failure = new AppError('ERR_SPAMD_FILE', 'cannot read /key: Permission denied')
    await expect(client.readSyncKey()).rejects.toThrow('cannot read /key: Permission denied')
  })

  test('each request brings its own file, or that there is none', async () => {
    const { client, resources } = join()
    const tls = await client.readTls()
    expect([Buffer.from(tls!.certificate), Buffer.from(tls!.key)]).toEqual([
      Buffer.from('certificate'),
      Buffer.from('tls key'),
    ])
    expect(await client.readAllowedDomains()).toEqual(Buffer.from('@example.net\n'))
    expect(await client.readSpfDomains()).toEqual(Buffer.from('example.org\n'))
    resources.tls = undefined
    resources.domains = undefined
    expect([await client.readTls(), await client.readAllowedDomains()]).toEqual([undefined, undefined])
  })
})

test('settled waits for what is under way, whoever asked for it is gone', async () => {
  const { parent, firewall } = join()
  let finish = (): void => undefined
  firewall.countTable = () =>
    new Promise((resolve) => {
      finish = () => resolve(0)
    })
  parent.take({ kind: 'count-table', id: 1, table: 'spamd-white' })
  let isSettled = false
  const settled = parent.settled().then(() => {
    isSettled = true
  })
  await new Promise(setImmediate)
  expect(isSettled).toBe(false)
  finish()
  await settled
  await parent.settled()
})

describe('a child that is not ours any more', () => {
  const notOurs: { name: string; message: unknown }[] = [
    { name: 'no object', message: 5 },
    { name: 'null', message: null },
    { name: 'an unknown kind', message: { kind: 'exec', id: 1, program: '/bin/sh' } },
    { name: 'a request without number', message: { kind: 'request', name: 'read-tls' } },
    { name: 'a request with a broken number', message: { kind: 'request', id: 0.5, name: 'read-tls' } },
    { name: 'an unknown request', message: { kind: 'request', id: 1, name: 'read-shadow' } },
    { name: 'a path where a name belongs', message: { kind: 'request', id: 1, name: '/etc/shadow' } },
    { name: "another program's table", message: { kind: 'read-table', id: 1, table: 'nospamd' } },
    { name: 'a piece that is no bytes', message: { kind: 'piece', id: 1, bytes: 'text' } },
    { name: 'a piece too large', message: { kind: 'piece', id: 1, bytes: new Uint8Array(PIECE_BYTES + 1) } },
    {
      name: 'a table without end',
      message: {
        kind: 'replace-table',
        id: 1,
        table: 'spamd-white',
        ipv4: { count: 1, lengthBytes: MAX_TABLE_BYTES + 1 },
        ipv6: { count: 0, lengthBytes: 0 },
      },
    },
    { name: 'a failure without code', message: { kind: 'failed', error: { message: 'x' } } },
  ]
  test.each(notOurs)('$name is refused', ({ message }) => {
    const { parent } = join()
    expect(() => parent.take(message)).toThrow('the unprivileged process sent an invalid message')
  })

  test('whatever it sends: a known message or undefined, never an exception', () => {
    const anything = fc.oneof(
      fc.anything(),
      fc.record({
        kind: fc.constantFrom('request', 'piece', 'replace-table', 'failed'),
        id: fc.anything(),
        name: fc.anything(),
        error: fc.anything(),
        ipv4: fc.anything(),
        table: fc.constantFrom('spamd-white', 'x'),
      }),
    )
    fc.assert(
      fc.property(anything, (message) => {
        const read = readChildMessage(message)
        expect(read === undefined || typeof read.kind === 'string').toBe(true)
      }),
      { numRuns: 2_000 },
    )
  })

  const begin = (id: number, lengthBytes: number) => ({
    kind: 'replace-table',
    id,
    table: 'spamd-white',
    ipv4: { count: 1, lengthBytes },
    ipv6: { count: 0, lengthBytes: 0 },
  })

  test('a table in pieces of a byte is refused', () => {
    const { parent } = join()
    parent.take(begin(1, 100_000))
    const piece = { kind: 'piece', id: 1, bytes: new Uint8Array(1) }
    expect(() => {
      for (let count = 0; count < 2 * MESSAGE_BURST; count += 1) parent.take(piece)
    }).toThrow('messages without pause')
  })

  test('more of a table than announced, a piece of no table and two tables at once are refused', () => {
    const { parent } = join()
    expect(() => parent.take({ kind: 'piece', id: 1, bytes: new Uint8Array(1) })).toThrow('more of a table')
    parent.take(begin(1, 10))
    expect(() => parent.take(begin(2, 10))).toThrow('two tables at once')
    expect(() => parent.take({ kind: 'piece', id: 1, bytes: new Uint8Array(11) })).toThrow('more of a table')
  })

  test('requests without end are refused at the cap', () => {
    const { parent, firewall } = join()
    // Answers never come.
    firewall.limits = () => new Promise(() => undefined)
    for (let id = 1; id <= MAX_OPEN_REQUESTS; id += 1)
      parent.take({ kind: 'request', id, name: 'table-limits' })
    expect(() => parent.take({ kind: 'request', id: 1000, name: 'table-limits' })).toThrow(
      'too many requests',
    )
  })

  test('an answered request makes room for another', async () => {
    const { client } = join()
    for (let count = 0; count < 2 * MAX_OPEN_REQUESTS; count += 1) await client.readSyncKey()
    // The room for the last answers is given back as they are sent.
    await new Promise(setImmediate)
    const all = Array.from({ length: MAX_OPEN_REQUESTS }, () => client.readSyncKey())
    expect(await Promise.all(all)).toHaveLength(MAX_OPEN_REQUESTS)
  })

  test.each(['control-listener', 'config-listener'] as const)('%s is given once a start', async (name) => {
    const { parent, resources } = join()
    parent.take({ kind: 'request', id: 1, name })
    expect(() => parent.take({ kind: 'request', id: 2, name })).toThrow(`asked for ${name} again`)
    await new Promise(setImmediate)
    parent.close()
    expect(resources.controlRemovals).toBe(name === 'control-listener' ? 1 : 0)
  })

  test('messages without end are refused, those at an honest pace are not', () => {
    let nowMs = 0
    const { parent } = join(() => nowMs)
    for (let count = 0; count < MESSAGE_BURST; count += 1) parent.take({ kind: 'hello' })
    expect(() => parent.take({ kind: 'hello' })).toThrow('sent messages without pause')
    nowMs += 10_000
    for (let count = 0; count < 10 * MESSAGES_PER_SEC - 1; count += 1) parent.take({ kind: 'hello' })
    expect(() => parent.take({ kind: 'hello' })).toThrow('sent messages without pause')
  })

  test('a listing beside another is refused', async () => {
    const { client, firewall } = join()
    firewall.readTable = () => new Promise(() => undefined)
    void client.readTable(WHITE)
    await expect(client.readTable(WHITE)).rejects.toThrow('another listing is in progress')
  })

  test('what the packet filter has under way is given up at the end, and so is all that follows', async () => {
    const { client, parent, firewall } = join()
    firewall.limits = () => new Promise(() => undefined)
    const waiting = client.limits()
    await new Promise(setImmediate)
    parent.abandonHelpers()
    await expect(waiting).rejects.toThrow('spamd is ending')
    await expect(client.limits()).rejects.toThrow('spamd is ending')
  })

  test('the same number twice is refused', () => {
    const { parent, firewall } = join()
    firewall.limits = () => new Promise(() => undefined)
    parent.take({ kind: 'request', id: 7, name: 'table-limits' })
    expect(() => parent.take({ kind: 'request', id: 7, name: 'table-limits' })).toThrow('too many requests')
  })
})

test('answers to no request are passed over, and a socket that came with one is closed', async () => {
  const { client } = join()
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  client.take({ kind: 'handle', id: 99 }, server)
  client.take({ kind: 'answer', id: 99, value: 1 }, undefined)
  expect(server.listening).toBe(false)
})
