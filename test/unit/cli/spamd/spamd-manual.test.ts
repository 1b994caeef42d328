import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { SPAMD_OPTIONS } from '../../../../src/cli/spamd/spamd-options.js'

const manual = readFileSync(new URL('../../../../docs/man/spamd.8', import.meta.url), 'utf8')
/** Every command has these; oclif's help tells of them. */
const COMMON = new Set(['help', 'version'])

const options = SPAMD_OPTIONS.map((spec) => [spec.long ?? spec.short!, spec] as const)

test.each(options.filter(([name]) => !COMMON.has(name)))('spamd.8 explains %s', (name, spec) => {
  const mark = spec.long === undefined ? `\\.It Fl ${name}(?: |$)` : `Fl Fl ${name}(?: |$)`
  expect(manual).toMatch(new RegExp(mark, 'm'))
})
