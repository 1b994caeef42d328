import { describe, expect, test } from 'vitest'
import { BSD_DATABASE, databaseOwnerHint, FORMER_BSD_DATABASE } from '../../../src/platform/database-place.js'
import { defaultDbPath } from '../../../src/platform/settings.js'

describe('the default database', () => {
  test('is in a folder of its own, not the file of the original, on every system', () => {
    for (const system of ['openbsd', 'freebsd', 'linux'] as const) {
      const path = defaultDbPath(system, () => false)
      // That may be given to the daemons.
      expect(databaseOwnerHint('_spamd', path)).toContain('chown')
      expect(path).not.toBe('/var/db/spamd')
    }
  })

  test.each(['openbsd', 'freebsd'] as const)(
    '%s: one of version 0.1.0 is used until it is taken over',
    (system) => {
      const there = (...paths: string[]) => defaultDbPath(system, (path) => paths.includes(path))
      expect(there()).toBe(BSD_DATABASE)
      expect(there(FORMER_BSD_DATABASE)).toBe(FORMER_BSD_DATABASE)
      expect(there(FORMER_BSD_DATABASE, BSD_DATABASE)).toBe(BSD_DATABASE)
      expect(defaultDbPath('linux', () => true)).toBe('/var/lib/spamd/spamd.sqlite')
    },
  )
})

test.each([
  ...['/', '/var', '/var/db', '/var/lib', '/tmp', '/etc', '/usr/local', '/usr/local/etc', '/var/db/', '/srv'],
  ...['/var/db/../db', '/home', '/private/var/db'],
])('no hint gives %s away', (folder) => {
  const hint = databaseOwnerHint('_spamd', `${folder}/spamd.sqlite`)
  expect(hint).not.toContain('chown')
  expect(hint).toContain('folder of its own')
})

test('a folder of our own may be given to the daemons', () => {
  expect(databaseOwnerHint('_spamd', '/var/db/spamdctl/spamd.sqlite')).toContain(
    'chown -h _spamd /var/db/spamdctl /var/db/spamdctl/spamd.sqlite',
  )
})
