import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { formatCatalogue, LIST_CATALOGUE } from '../../../../src/app/lists/list-catalogue.js'
import { parseSpamdConf } from '../../../../src/codec/spamd-conf/spamd-conf.js'

test('every record of the catalogue is one that our own parser takes without a word', () => {
  const names = LIST_CATALOGUE.map(({ name }) => name)
  const text = `all:${names.join(':')}:\n\n${formatCatalogue()}`
  const { lists, diagnostics } = parseSpamdConf(Buffer.from(text), { fileName: 'catalogue' })
  expect(diagnostics).toEqual([])
  expect(new Set(names).size).toBe(names.length)
  for (const [index, list] of lists.entries()) {
    const { name, method, location, more } = LIST_CATALOGUE[index]!
    expect(list).toMatchObject({ isUsable: true, colour: 'black', name, method, location })
    if (!list.isUsable) continue
    expect(list.message).toMatchObject({ kind: 'text' })
    expect(list.isEmptyOk).toBe(more === 'empty_ok')
  }
})

test('the example spamd.conf loads without a word', () => {
  const path = join(import.meta.dirname, '../../../../docs/examples/spamd.conf')
  const { lists, diagnostics } = parseSpamdConf(readFileSync(path), { fileName: 'spamd.conf' })
  expect(diagnostics).toEqual([])
  expect(lists.every((list) => list.isUsable)).toBe(true)
  expect(lists).toHaveLength(7)
})
