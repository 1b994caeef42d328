import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
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
