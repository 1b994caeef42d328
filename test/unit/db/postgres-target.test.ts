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

  test.each([
    ['', {}, 3000],
    ['connect_timeout=9', {}, 9000],
    ['', { PGCONNECT_TIMEOUT: '7' }, 7000],
    ['connect_timeout=9', { PGCONNECT_TIMEOUT: '7' }, 9000],
    ['connect_timeout=0', {}, 3000],
    ['connect_timeout=-1', {}, 3000],
    ['connect_timeout=soon', {}, 3000],
  ])('with %j and %j waits so long for each host: %i ms', (options, environment, connectTimeoutMs) => {
    expect(parseTarget(`postgres://a@h/x?${options}`, environment)).toMatchObject({ connectTimeoutMs })
  })

  test.each([
    ['postgres:///x?host=a,b', [5432, 5432]],
    ['postgres:///x?host=a,b&port=6000', [6000, 6000]],
    ['postgres:///x?host=a,b&port=6000,6001', [6000, 6001]],
    ['postgres:///x?host=a,b&port=,1', [5432, 1]],
    ['postgres:///x?host=a&port=65535', [65_535]],
    ['postgres:///x', [5432]],
  ])('%s has the ports %j', (location, ports) => {
    expect(parseTarget(location, {}).hosts.map(({ port }) => port)).toEqual(ports)
  })

  test.each(['0', '65536', '1.5', 'x'])('the port %s is refused', (port) => {
    expect(() => parseTarget(`postgres:///x?host=a&port=${port}`, {})).toThrow(
      `"port ${port}" is not a server host`,
    )
  })

  test('names files of certificates, and whoever asks is asked for as itself', () => {
    const files = 'sslrootcert=/r&sslcert=/c&sslkey=/k'
    expect(parseTarget(`postgres://a@/?${files}`, { PGPASSWORD: 'p' })).toMatchObject({
      ...{ hosts: [{ host: 'localhost', port: 5432 }], user: 'a', database: 'a', password: 'p' },
      ...{ sslRootCert: '/r', sslCert: '/c', sslKey: '/k' },
    })
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
      'matches this server, database and user',
    ],
    ['others can read it', '*:*:*:*:geheim', 0o640, 'users other than its owner may read or write'],
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
