import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { passwordFor } from '../../../src/db/postgres/password-file.js'
import { parseTarget } from '../../../src/db/postgres/target.js'
import { hasPassword, isPostgresLocation, shownLocation } from '../../../src/platform/postgres-location.js'
import { resolveDbPath } from '../../../src/platform/settings.js'
import { Scratch } from '../../support/scratch-database.js'

const scratch = new Scratch()

describe('a location on a server', () => {
  test('names several hosts, ports, IPv6 and the folder of a socket', () => {
    const { hosts, user, database, sslMode } = parseTarget(
      'postgres://gw%40a@db1,db2:5433,[2001:db8::1]:5434,%2Frun%2Fpostgresql/spamd?sslmode=verify-full',
      {},
    )
    expect(hosts).toEqual([
      { host: 'db1', port: 5432 },
      { host: 'db2', port: 5433 },
      { host: '2001:db8::1', port: 5434 },
      { host: '/run/postgresql', port: 5432 },
    ])
    expect({ user, database, sslMode }).toEqual({ user: 'gw@a', database: 'spamd', sslMode: 'verify-full' })
  })

  test('is completed from the service file and the environment; what it says itself wins', () => {
    const file = join(scratch.folder(), 'services')
    writeFileSync(
      file,
      '[other]\nhost=wrong\n[mx]\n# a note\nhost=db1,db2\nport=6000,6001\ndbname=grey\npassword=secret\n',
    )
    const target = parseTarget('postgres:///?service=mx&dbname=spamd', {
      PGSERVICEFILE: file,
      PGUSER: 'gateway',
    })
    expect(target.hosts).toEqual([
      { host: 'db1', port: 6000 },
      { host: 'db2', port: 6001 },
    ])
    expect(target).toMatchObject({
      database: 'spamd',
      user: 'gateway',
      password: 'secret',
      sslMode: 'prefer',
    })
    expect(() => parseTarget('postgres:///?service=none', { PGSERVICEFILE: file })).toThrow(
      'service "none" is not in any',
    )
  })

  test.each([
    ['postgres://a@h:99999/x', 'is not a server host'],
    ['postgres://a@h/x?foo=1', 'unknown option "foo"'],
    ['postgres://a@h/x?sslmode=maybe', 'unknown sslmode "maybe"'],
    ['postgres://a@h/x#y', 'not a location of a server'],
    ['postgres://a:secret@h/x', 'contains a password'],
  ])('%s is refused', (location, reason) => {
    expect(() => parseTarget(location, {})).toThrow(reason)
  })

  test('with a password is shown without it, and no program takes it', () => {
    for (const location of ['postgres://a:s3cret@h/x', 'postgresql://a@h/x?password=s3cret']) {
      expect(hasPassword(location)).toBe(true)
      expect(shownLocation(location)).not.toContain('s3cret')
      expect(() => resolveDbPath(location, {})).toThrow('contains a password')
    }
    expect(hasPassword('postgres://a@h/x')).toBe(false)
    expect(isPostgresLocation('/var/lib/spamd/spamd.sqlite')).toBe(false)
  })
})

describe('the file of passwords', () => {
  const wanted = { host: 'db1.example.org', port: 5432, database: 'spamd', user: 'gateway1' }
  const ask = (text: string, changes: Partial<typeof wanted> = {}, mode = 0o600): string => {
    const path = join(scratch.folder(), 'pgpass')
    writeFileSync(path, text)
    chmodSync(path, mode)
    return passwordFor({ ...wanted, ...changes }, { PGPASSFILE: path })
  }

  test.each([
    ['all fields', 'db1.example.org:5432:spamd:gateway1:secret', {}, 'secret'],
    [
      'the first line that matches',
      '#*:*:*:*:no\n*:*:*:other:no\n*:*:*:gateway1:yes\n*:*:*:*:no\n',
      {},
      'yes',
    ],
    ['an end of line of another system', '*:*:*:*:secret\r\n', {}, 'secret'],
    ['a colon and a backslash', 'a\\:b:5432:*:*:c:d\\\\e\\:f', { host: 'a:b' }, 'c:d\\e:f'],
    ['IPv6', '2001\\:db8\\:\\:1:*:*:*:six', { host: '2001:db8::1' }, 'six'],
    ['a socket', 'localhost:*:*:*:local', { host: '/run/postgresql' }, 'local'],
  ])('tells the password by %s', (_, text, changes, password) => {
    expect(ask(text, changes)).toBe(password)
  })

  test.each([
    [
      'no line',
      'db2.example.org:5432:spamd:gateway1:geheim\n*:*:spamd\n',
      0o600,
      'is about this server, database and user',
    ],
    ['others can read it', '*:*:*:*:geheim', 0o640, 'others than its owner may read or write'],
  ])('is refused when %s, and says why without a password', (_, text, mode, reason) => {
    expect(() => ask(text, {}, mode)).toThrow(
      expect.objectContaining({ code: 'ERR_DB_OPEN', message: expect.stringContaining(reason) }),
    )
    expect(() => ask(text, {}, mode)).not.toThrow(/geheim/)
  })

  test('that is not there is named', () => {
    const missing = join(scratch.folder(), 'none')
    expect(() => passwordFor(wanted, { PGPASSFILE: missing })).toThrow(
      `${missing}: No such file or directory`,
    )
  })
})
