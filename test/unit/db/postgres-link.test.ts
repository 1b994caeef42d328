/** What a connection does when servers answer, refuse or go: against a driver that says what a test wants. */
import { EventEmitter } from 'node:events'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { PgClient } from '../../../src/db/postgres/pg-driver.js'
import { type LinkOptions, PgLink, type ServerIdentity } from '../../../src/db/postgres/pg-link.js'
import type { TargetHost } from '../../../src/db/postgres/target.js'
import { AppError } from '../../../src/platform/app-error.js'

/** One host of the location. */
interface Host {
  /** What it refuses connections with. */
  refusal?: Error
  isReadOnly?: boolean
  timeline?: string
  /** Its clock less ours. */
  aheadSec?: number
  /** Something between it and us answers with numbers of its own. */
  isPooled?: boolean
  answer?: (sql: string) => unknown
}

let hosts: Record<string, Host> = {}
/** Hosts that were tried, and what they were asked behind the greeting. */
let tried: string[] = []
let asked: string[] = []
let clients: FakeClient[] = []

class FakeClient extends EventEmitter {
  readonly processID: number
  readonly host: Host

  constructor(host: Host) {
    super()
    this.host = host
    this.processID = host.isPooled === true ? 1 : 7
  }

  async query(query: string | { text: string }): Promise<unknown> {
    const sql = typeof query === 'string' ? query : query.text
    const { isReadOnly = false, aheadSec = 0, timeline = '1', answer } = this.host
    if (sql.startsWith('SELECT pg_is_in_recovery')) {
      return { rows: [[isReadOnly ? 't' : 'f', String(Date.now() / 1000 + aheadSec), 'system', timeline, 7]] }
    }
    asked.push(sql)
    const answered = answer?.(sql)
    if (answered instanceof Error) throw answered
    return answered ?? { rows: [], command: sql }
  }

  async end(): Promise<void> {
    this.emit('end')
  }
}

vi.mock('../../../src/db/postgres/pg-driver.js', () => ({
  connectTo: async (_target: unknown, { host }: TargetHost): Promise<PgClient> => {
    tried.push(host)
    const at = hosts[host]!
    if (at.refusal !== undefined) throw at.refusal
    const client = new FakeClient(at)
    clients.push(client)
    return client as unknown as PgClient
  },
}))

beforeEach(() => {
  hosts = {}
  tried = []
  asked = []
  clients = []
  // No pause between tries.
  vi.spyOn(Math, 'random').mockReturnValue(0)
})
afterEach(() => {
  vi.restoreAllMocks()
})

const coded = (code: string, message = `state ${code}`): Error => Object.assign(new Error(message), { code })

function linkTo(given: Record<string, Host>, options: Partial<LinkOptions> = {}): PgLink {
  hosts = given
  const location = `postgres://gw@${Object.keys(given).join(',')}/spamd`
  return new PgLink(location, { mode: 'write', queryTimeoutMs: 1000, slowCallMs: Infinity, ...options })
}

const ask = (link: PgLink): Promise<ServerIdentity> =>
  link.read('test', async (statements, server) => {
    await statements.rows('SELECT 1')
    return server
  })

describe('of several hosts', () => {
  test('the first that takes writes is used, and is tried first when the connection was lost', async () => {
    const link = linkTo({ a: { refusal: coded('ECONNREFUSED') }, b: { isReadOnly: true }, c: {} })
    expect((await ask(link)).shownHost).toBe('c:5432')
    expect(tried).toEqual(['a', 'b', 'c'])
    clients.at(-1)!.emit('end')
    await ask(link)
    expect(tried).toEqual(['a', 'b', 'c', 'c'])
    hosts.c!.refusal = coded('ECONNREFUSED')
    clients.at(-1)!.emit('end')
    hosts.a = {}
    expect((await ask(link)).shownHost).toBe('a:5432')
  })

  test('each says why, when there is none', async () => {
    const link = linkTo({ a: { refusal: coded('ECONNREFUSED') }, b: { isReadOnly: true } })
    await expect(ask(link)).rejects.toMatchObject({
      code: 'ERR_DB_AWAY',
      message:
        'no server accepts writes (a:5432: Connection refused; b:5432: the server is a standby or read-only)',
    })
  })

  test('what waiting does not mend decides how that is taken', async () => {
    const link = linkTo({ a: { refusal: coded('ECONNREFUSED') }, b: { refusal: coded('28P01', 'no entry') } })
    await expect(ask(link)).rejects.toMatchObject({
      code: 'ERR_DB_OPEN',
      message: expect.stringContaining('(a:5432: Connection refused; b:5432: no entry)'),
      hint: expect.stringContaining('PGPASSFILE'),
    })
  })

  test('a single one says what it said', async () => {
    await expect(ask(linkTo({ a: { refusal: coded('ECONNREFUSED') } }))).rejects.toMatchObject({
      code: 'ERR_DB_AWAY',
      message: 'Connection refused',
    })
    await expect(ask(linkTo({ a: { isReadOnly: true } }))).rejects.toMatchObject({ code: 'ERR_DB_READONLY' })
  })
})

describe('a connection to read', () => {
  test('takes a standby, and writes nothing', async () => {
    const link = linkTo({ a: { isReadOnly: true } }, { mode: 'read' })
    await expect(link.write('test', async () => 1)).rejects.toMatchObject({ code: 'ERR_DB_READONLY' })
    expect(tried).toEqual([])
    await ask(link)
    expect(tried).toEqual(['a'])
  })
})

describe('a transaction', () => {
  const settings = ['SET idle_in_transaction_session_timeout = 5000']

  test('is committed once, and asked about nothing else', async () => {
    const link = linkTo({ a: {} })
    expect(await link.write('test', async () => 'done')).toBe('done')
    await link.write('test', async (_, commit) => commit())
    expect(asked).toEqual([...settings, 'BEGIN', 'COMMIT', 'BEGIN', 'COMMIT'])
  })

  test('has its own time-out where the connection is not ours alone', async () => {
    await linkTo({ a: { isPooled: true } }).write('test', async () => 1)
    expect(asked).toEqual([`BEGIN; SET LOCAL idle_in_transaction_session_timeout = 5000`, 'COMMIT'])
  })

  test('that loses again and again is given up after eight tries', async () => {
    const tries: number[] = []
    const link = linkTo({ a: {} })
    await expect(
      link.write('test', async (_statements, _commit, _server, count) => {
        tries.push(count)
        throw coded('40001')
      }),
    ).rejects.toMatchObject({ code: 'ERR_DB_BUSY' })
    expect(tries).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
    expect(asked.filter((sql) => sql === 'ROLLBACK')).toHaveLength(8)
    expect(asked).not.toContain('COMMIT')
    // The connection is as good as before.
    await ask(link)
    expect(tried).toEqual(['a'])
  })

  test.each([
    ['40001', false],
    ['22P02', true],
  ])('is not tried again after %s', async (state, isRepeatable) => {
    let count = 0
    const body = async () => {
      count += 1
      throw coded(state)
    }
    await expect(linkTo({ a: {} }).write('test', body, { isRepeatable })).rejects.toBeInstanceOf(AppError)
    expect(count).toBe(1)
  })

  test('that the server rolled back instead is no success', async () => {
    const answer = (sql: string) => (sql === 'COMMIT' ? { command: 'ROLLBACK' } : undefined)
    await expect(linkTo({ a: { answer } }).write('test', async () => 1)).rejects.toMatchObject({
      code: 'ERR_DB_IO',
      message: 'the server rolled the transaction back',
    })
  })

  test('says what failed first, not what failed behind it', async () => {
    const answer = (sql: string) =>
      sql === 'one' ? coded('53100', 'disk full') : sql === 'two' ? coded('25P02', 'aborted') : undefined
    const link = linkTo({ a: { answer } })
    const failed = link.write('test', async (statements) => {
      const one = statements.rows('one').catch(() => {})
      await statements.rows('two')
      await one
    })
    await expect(failed).rejects.toMatchObject({ code: 'ERR_DB_FULL', message: 'disk full' })
    expect(asked.at(-1)).toBe('ROLLBACK')
  })
})

describe('calls', () => {
  test('run one after the other, and none after the end', async () => {
    const link = linkTo({ a: {} })
    const order: string[] = []
    const call = (name: string) =>
      link.read('test', async (statements) => {
        order.push(`${name} begins`)
        await statements.rows('SELECT 1')
        order.push(`${name} ends`)
      })
    await Promise.all([call('one'), call('other')])
    expect(order).toEqual(['one begins', 'one ends', 'other begins', 'other ends'])
    await link.close()
    await expect(ask(link)).rejects.toMatchObject({ code: 'ERR_DB_GONE' })
  })

  test.each([
    ['57P01', 2],
    ['22P02', 2],
    ['55P03', 1],
  ])('that fail with %s leave a connection that is used again, or not', async (state, count) => {
    const link = linkTo({ a: {} })
    await expect(link.read('test', () => Promise.reject(coded(state)))).rejects.toBeInstanceOf(AppError)
    await ask(link)
    expect(tried).toHaveLength(count)
  })

  test('that are slow are told, also those that fail', async () => {
    const slow: { call: string; durationMs: number }[] = []
    const onSlowCall = (one: { call: string; durationMs: number }) => void slow.push(one)
    let nowMs = 0
    vi.spyOn(performance, 'now').mockImplementation(() => nowMs)
    const link = linkTo({ a: {} }, { slowCallMs: 100, onSlowCall })
    const take = (durationMs: number) =>
      link.read(`of ${durationMs}`, async () => {
        nowMs += durationMs
        if (durationMs > 200) throw coded('55P03')
      })
    await take(100)
    await take(101)
    await expect(take(201)).rejects.toBeInstanceOf(AppError)
    expect(slow).toEqual([
      { call: 'of 101', durationMs: 101 },
      { call: 'of 201', durationMs: 201 },
    ])
  })

  test('that others may want to know of are told', async () => {
    const link = linkTo({ a: {} })
    link.tellOthers()
    await ask(link)
    expect(asked).toContain('NOTIFY spamd')
  })
})

describe('the clock of a server', () => {
  test.each([
    [1, 0, undefined],
    [-1, 0, undefined],
    [100, 100, '100 s behind'],
    [-100, -100, '100 s ahead of'],
  ])('that is %i s ahead counts as %i s', async (aheadSec, skewSec, said) => {
    const notices: string[] = []
    const link = linkTo({ a: { aheadSec } }, { onNotice: (text) => notices.push(text) })
    expect((await ask(link)).skewSec).toBe(skewSec)
    clients[0]!.emit('end')
    await ask(link)
    expect(notices).toEqual(
      said === undefined
        ? []
        : [`the clock of this machine is ${said} that of a:5432: times of entries follow the server`],
    )
  })
})

test('another server or timeline behind the same location is told', async () => {
  const notices: string[] = []
  const link = linkTo({ a: {}, b: { timeline: '2' } }, { onNotice: (text) => notices.push(text) })
  await ask(link)
  clients[0]!.emit('end')
  expect((await ask(link)).timeline).toBe('system/1')
  expect(notices).toEqual([])
  hosts.a!.refusal = coded('ECONNREFUSED')
  clients[1]!.emit('end')
  expect((await ask(link)).timeline).toBe('system/2')
  expect(notices).toEqual(['b:5432 is not the same server or timeline as a:5432'])
})

test('a socket is shown as its folder', async () => {
  const link = linkTo({ '%2Frun%2Fpostgresql': {} })
  hosts['/run/postgresql'] = {}
  expect((await ask(link)).shownHost).toBe('/run/postgresql')
})
