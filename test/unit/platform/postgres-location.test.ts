import { resolve } from 'node:path'
import { expect, test } from 'vitest'
import {
  databaseFileOf,
  hasPassword,
  isPostgresLocation,
  resolveLocation,
  shownLocation,
} from '../../../src/platform/postgres-location.js'

test.each([
  ['postgres://u:pw@h/db', 'postgres://u:***@h/db', true],
  ['postgresql://u:p:w@h/db', 'postgresql://u:***@h/db', true],
  ['postgres://h/db?user=u&password=pw&x=1', 'postgres://h/db?user=u&password=***&x=1', true],
  ['postgres://h/db?sslpassword=pw', 'postgres://h/db?sslpassword=***', true],
  ['postgres://u@h/db', 'postgres://u@h/db', false],
  ['/var/u:pw@h', '/var/u:pw@h', false],
])('%s is shown as %s', (location, shown, isSecret) => {
  expect([shownLocation(location), hasPassword(location)]).toEqual([shown, isSecret])
})

test.each([
  ['postgres://h/db', true, 'postgres://h/db', '/local'],
  ['postgresql://h/db', true, 'postgresql://h/db', '/local'],
  ['db', false, resolve('db'), 'db'],
  ['./postgres://h', false, resolve('./postgres://h'), './postgres://h'],
])('%s: a server, %s', (location, isServer, resolved, file) => {
  expect(isPostgresLocation(location)).toBe(isServer)
  expect(resolveLocation(location)).toBe(resolved)
  expect(databaseFileOf({ db: location, localDb: '/local' })).toBe(file)
})
