import { expect, test } from 'vitest'
import { temporaryPathFor } from '../../../src/platform/temporary-path.js'

test('a temporary name is hidden beside its file and comes never again', () => {
  const names = Array.from({ length: 1000 }, () => temporaryPathFor('/var/db/spamd/spamd.sqlite'))
  expect(new Set(names).size).toBe(1000)
  for (const name of names) expect(name).toMatch(/^\/var\/db\/spamd\/\.spamd\.sqlite\.spamdctl-tmp-/)
})
