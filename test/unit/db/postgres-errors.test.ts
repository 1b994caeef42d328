/** What the server, its driver and the network throw, as our errors: the code decides what a caller does next. */
import { describe, expect, test } from 'vitest'
import { isForgotten, isLost, isTransient, toPgError } from '../../../src/db/postgres/pg-error.js'
import { AppError } from '../../../src/platform/app-error.js'

const thrown = (code: string, message = 'first line\nsecond line'): Error =>
  Object.assign(new Error(message), { code })
const known = (code: string): AppError => toPgError(thrown(code)) as AppError

describe('a state of SQL', () => {
  test.each([
    ['28P01', 'ERR_DB_OPEN', 'PGPASSFILE'],
    ['3D000', 'ERR_DB_OPEN', 'createdb NAME'],
    ['42P01', 'ERR_DB_OPEN', 'spamdctl init-db'],
    ['3F000', 'ERR_DB_OPEN', 'spamdctl init-db'],
    ['42883', 'ERR_DB_OPEN', 'belong to another version'],
    ['42501', 'ERR_DB_READONLY', 'GRANTs'],
    ['25006', 'ERR_DB_READONLY', undefined],
    ['55P03', 'ERR_DB_BUSY', 'holds a lock'],
    ['40001', 'ERR_DB_BUSY', undefined],
    ['40P01', 'ERR_DB_BUSY', undefined],
    ['23505', 'ERR_DB_BUSY', 'another gateway'],
    ['57014', 'ERR_DB_BUSY', undefined],
    ['53100', 'ERR_DB_FULL', 'free space'],
    ['53300', 'ERR_DB_AWAY', 'max_connections'],
    ['57P01', 'ERR_DB_AWAY', undefined],
    ['08006', 'ERR_DB_AWAY', undefined],
    ['XX001', 'ERR_DB_CORRUPT', 'pg_dump'],
    ['XX002', 'ERR_DB_CORRUPT', 'REINDEX'],
    ['22P02', 'ERR_DB_IO', undefined],
  ])('%s is %s', (state, code, hint) => {
    const error = known(state)
    expect(error).toMatchObject({ code, message: 'first line', cause: { code: state } })
    if (hint === undefined) expect(error.hint).toBeUndefined()
    else expect(error.hint).toContain(hint)
  })
})

describe('what the network and the driver throw', () => {
  test.each([
    ['ECONNREFUSED', 'ERR_DB_AWAY', 'Connection refused'],
    ['EPIPE', 'ERR_DB_AWAY', 'Broken pipe'],
    [
      'CERT_HAS_EXPIRED',
      'ERR_DB_OPEN',
      'the certificate of the server is not accepted: first line\nsecond line',
    ],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'ERR_DB_OPEN', 'the certificate of the server is not accepted: '],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'ERR_DB_OPEN', 'the certificate of the server is not accepted: '],
    ['ERR_SOCKET_CLOSED', 'ERR_DB_AWAY', 'first line'],
  ])('%s is %s', (errno, code, message) => {
    expect(known(errno)).toMatchObject({ code, message: expect.stringContaining(message) })
  })

  test('without any code is its first line', () => {
    expect(toPgError(new Error('timeout\nlater'))).toMatchObject({ code: 'ERR_DB_AWAY', message: 'timeout' })
  })

  test('of several addresses of one host is the first of them', () => {
    const all = new AggregateError([thrown('ECONNREFUSED'), thrown('ETIMEDOUT')], 'all failed')
    expect(toPgError(all)).toMatchObject({ code: 'ERR_DB_AWAY', message: 'Connection refused' })
  })

  test('comes back unchanged where it is ours, a bug, or no error', () => {
    const same = [
      new AppError('ERR_DB_GONE', 'gone'),
      new TypeError('t'),
      new RangeError('r'),
      'text',
      undefined,
    ]
    for (const error of same) expect(toPgError(error)).toBe(error)
  })
})

describe('what is done about it', () => {
  test.each([
    ['40P01', true],
    ['40001', true],
    ['23505', true],
    ['40002', false],
    ['55P03', false],
    ['EPIPE', false],
  ])('a transaction is repeated after %s: %s', (code, isRepeated) => {
    expect(isTransient(thrown(code))).toBe(isRepeated)
    expect(isTransient(known(code))).toBe(isRepeated)
  })

  test.each([
    ['26000', undefined, true],
    ['42P05', undefined, true],
    // In any language: "zwischengespeicherter Plan darf den Ergebnistyp nicht ändern".
    ['0A000', 'RevalidateCachedQuery', true],
    ['0A000', 'exec_simple_query', false],
    ['0A000', undefined, false],
    ['42P01', 'RevalidateCachedQuery', false],
    ['EPIPE', 'RevalidateCachedQuery', false],
  ])('prepared statements are given up after %s of %s: %s', (code, routine, isGivenUp) => {
    const error = Object.assign(thrown(code, 'zwischengespeicherter Plan'), { routine })
    expect(isForgotten(error)).toBe(isGivenUp)
    expect(isForgotten(toPgError(error))).toBe(isGivenUp)
  })

  test.each([
    ['08006', true],
    ['28P01', true],
    ['25006', true],
    ['22P02', true],
    ['40001', false],
    ['53100', false],
    ['XX001', false],
  ])('the connection is opened anew after %s: %s', (state, isOpened) => {
    expect(isLost(known(state))).toBe(isOpened)
    // Only what was brought into our form tells.
    expect(isLost(thrown(state))).toBe(false)
  })
})
