import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { exportEntries } from '../../../../src/app/database/export-entries.js'
import {
  type ImportOptions,
  type ImportProblem,
  type ImportReport,
  importEntries,
  MAX_IMPORT_LINE_BYTES,
} from '../../../../src/app/database/import-entries.js'
import { openImportInput } from '../../../../src/app/database/import-input.js'
import { type HashFileItem, readBerkeleyHash } from '../../../../src/codec/database/berkeley-hash.js'
import { decodeBerkeleyRecord } from '../../../../src/codec/database/berkeley-record.js'
import { createDatabase, openStore } from '../../../../src/db/open-store.js'
import type { Store } from '../../../../src/db/store.js'
import { type Entry, MAX_COMMENT_BYTES } from '../../../../src/domain/entry.js'
import { writeBerkeleyHash } from '../../../support/berkeley-writer.js'
import { TEST_NOW, temporaryFolder } from '../../../support/program-run.js'

const folder = temporaryFolder('spamdctl-import')
let fileCount = 0
const newPath = (name: string): string => {
  fileCount += 1
  return join(folder, `${fileCount}-${name}`)
}

async function newStore(): Promise<Store> {
  const path = newPath('spamd.sqlite')
  createDatabase(path)
  return await openStore(path, { mode: 'write', durability: 'normal' })
}

const TEXT: ImportOptions = { list: undefined, ifMissing: false }

async function importBytes(
  store: Store,
  bytes: string | Buffer,
  options: ImportOptions = TEXT,
  way: 'file' | 'pipe' = 'pipe',
): Promise<{ report: ImportReport; problems: ImportProblem[] }> {
  const content = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes
  const problems: ImportProblem[] = []
  const file = way === 'file' ? newPath('input') : '-'
  if (way === 'file') writeFileSync(file, content)
  // Odd pieces, so that lines, magic numbers and records are cut anywhere.
  const pieces = (async function* () {
    for (let start = 0; start < content.length; start += 777) yield content.subarray(start, start + 777)
  })()
  const input = await openImportInput(file, pieces)
  const report = await importEntries(store, input, options, TEST_NOW, (problem) => problems.push(problem))
  if (input.type === 'berkeley') await input.close()
  return { report, problems }
}

async function exportText(store: Store): Promise<string> {
  let text = ''
  for await (const piece of exportEntries(store, () => undefined))
    text += Buffer.from(piece).toString('latin1')
  return text
}

const LISTING = [
  'WHITE|192.0.2.1|||1700000000|1700000000|1703110400|1|0',
  'WHITE|2001:db8::1|||1|2|0|1|-3',
  '#comment|good friend \u00c3\u00a4 \\x0a \\x5cx0a',
  'TRAPPED|198.51.100.1|1700086400',
  'SPAMTRAP|trap@example.org',
  'GREY|192.0.2.7|h\\x01|<a@b>|<c@d>|1|2|3|4|0',
  'GREY|192.0.2.8||<a@b>|<c@d>|1|2|3|4|-2',
  'GREY|192.0.2.8|a\\x7cb|c|d|1|2|3|4|0',
  'GREY|192.0.2.9|h|e|<a|b@c>|<d|e@f>|1|2|3|4|0',
  '',
].join('\n')

describe('text', () => {
  test.each(['file', 'pipe'] as const)(
    'export gives the same lines that import read, from a %s',
    async (way) => {
      const store = await newStore()
      expect((await importBytes(store, LISTING, TEXT, way)).report).toEqual({
        added: 8,
        updated: 0,
        skipped: 0,
        bad: 0,
      })
      expect(await exportText(store)).toBe(LISTING)
      await store.close()
    },
  )

  test('gzip is unpacked, CRLF and a missing last line feed are fine', async () => {
    const store = await newStore()
    await importBytes(store, gzipSync(Buffer.from(LISTING.trimEnd().replaceAll('\n', '\r\n'), 'latin1')))
    expect(await exportText(store)).toBe(LISTING)
    await store.close()
  })

  test('a second import updates; --if-missing skips', async () => {
    const store = await newStore()
    await importBytes(store, LISTING)
    expect((await importBytes(store, LISTING)).report).toMatchObject({ added: 0, updated: 8 })
    expect((await importBytes(store, LISTING, { ...TEXT, ifMissing: true })).report).toMatchObject({
      skipped: 8,
    })
    await store.close()
  })

  test('bad lines are named by number, the good ones are kept', async () => {
    const store = await newStore()
    const lines = [
      'TRAPPED|192.0.2.1|5',
      'nonsense',
      '# a remark',
      '',
      'TRAPPED|192.0.2.2|x',
      'TRAPPED|192.0.2.3|7',
    ]
    const { report, problems } = await importBytes(store, lines.join('\n'))
    expect(report).toEqual({ added: 2, updated: 0, skipped: 0, bad: 2 })
    expect(problems.map(({ place }) => place)).toEqual(['line 2', 'line 5'])
    await store.close()
  })

  test('comments have a cap, and WHITE lines no pcount of other kinds', async () => {
    const store = await newStore()
    const lines = [
      'WHITE|192.0.2.1|||1|1|9|1|0',
      `#comment|${'c'.repeat(MAX_COMMENT_BYTES)}`,
      'WHITE|192.0.2.2|||1|1|9|1|0',
      `#comment|${'c'.repeat(MAX_COMMENT_BYTES + 1)}`,
      'WHITE|192.0.2.3|||1|1|9|1|-1',
      'WHITE|192.0.2.4|||1|1|9|1|-2',
    ]
    const { report, problems } = await importBytes(store, lines.join('\n'))
    expect(report).toMatchObject({ added: 2, bad: 3 })
    expect(problems.map(({ place }) => place)).toEqual(['line 4', 'line 5', 'line 6'])
    expect(await exportText(store)).toBe(`${lines.slice(0, 3).join('\n')}\n`)
    await store.close()
  })

  test('a line beyond the cap is one bad line', async () => {
    const store = await newStore()
    const { report, problems } = await importBytes(
      store,
      `TRAPPED|192.0.2.1|5\nSPAMTRAP|${'a'.repeat(MAX_IMPORT_LINE_BYTES)}@b\nTRAPPED|192.0.2.2|5\n`,
    )
    expect(report).toMatchObject({ added: 2, bad: 1 })
    expect(problems).toEqual([{ place: 'line 2', reason: `longer than ${MAX_IMPORT_LINE_BYTES} bytes` }])
    await store.close()
  })

  test('the old form without helo', async () => {
    const store = await newStore()
    await importBytes(store, 'GREY|192.0.2.8|<a@b>|<c@d>|1|2|3|4|0\n')
    expect(await exportText(store)).toBe('GREY|192.0.2.8||<a@b>|<c@d>|1|2|3|4|0\n')
    await store.close()
  })

  test('damaged gzip data is an error, and nothing is stored', async () => {
    const store = await newStore()
    const packed = gzipSync(Buffer.from(LISTING.repeat(1000), 'latin1'))
    await expect(importBytes(store, packed.subarray(0, packed.length - 20))).rejects.toMatchObject({
      code: 'ERR_IMPORT_INPUT',
    })
    await expect(
      importBytes(store, Buffer.concat([packed.subarray(0, 40), Buffer.alloc(99, 7)])),
    ).rejects.toThrow(/^cannot read standard input: damaged gzip data/)
    await store.close()
  })

  test('a missing file is named', async () => {
    await expect(openImportInput(join(folder, 'nowhere'), (async function* () {})())).rejects.toThrow(
      `cannot read ${join(folder, 'nowhere')}: No such file or directory`,
    )
  })

  test('nothing at all is nothing', async () => {
    const store = await newStore()
    expect((await importBytes(store, '')).report).toEqual({ added: 0, updated: 0, skipped: 0, bad: 0 })
    await store.close()
  })
})

test('any entries survive export and import, whatever bytes they hold', async () => {
  const wire = fc.string({
    unit: fc.oneof(
      fc.integer({ min: 1, max: 255 }).map((code) => String.fromCharCode(code)),
      fc.constantFrom('|', '\\', '\\x0a', '<', '>', '\n'),
    ),
    maxLength: 12,
  })
  const times = fc.record({
    first: fc.nat(),
    pass: fc.nat(),
    expire: fc.nat(),
    bcount: fc.nat(1000),
    pcount: fc.nat(1000),
  })
  const entry: fc.Arbitrary<Entry> = fc.oneof(
    fc.tuple(fc.nat(255), wire, wire, wire, times).map(
      ([octet, helo, from, to, rest]): Entry => ({
        kind: 'GREY',
        ip: `192.0.2.${octet}`,
        helo,
        from,
        to,
        ...rest,
      }),
    ),
    fc.tuple(fc.nat(255), times, fc.option(fc.string({ minLength: 1, maxLength: 9, unit: 'grapheme' }))).map(
      ([octet, rest, comment]): Entry => ({
        kind: 'WHITE',
        ip: `198.51.100.${octet}`,
        ...rest,
        ...(comment === null || comment.includes('\0') ? {} : { comment }),
      }),
    ),
    wire.map(
      (text): Entry => ({
        kind: 'SPAMTRAP',
        address: `t${text
          .replaceAll('>', '')
          .toLowerCase()
          .replace(/[\u00c0-\u00ff]/g, '')}@x`,
        first: TEST_NOW,
      }),
    ),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(entry, { maxLength: 20 }), async (entries) => {
      const [from, to] = [await newStore(), await newStore()]
      await from.upsert(entries, { ifMissing: false })
      const text = await exportText(from)
      expect((await importBytes(to, text)).report.bad).toBe(0)
      expect(await readAll(to)).toEqual(await readAll(from))
      expect(await exportText(to)).toBe(text)
      await from.close()
      await to.close()
    }),
    { numRuns: 40 },
  )
})

async function readAll(store: Store): Promise<Entry[]> {
  const all: Entry[] = []
  for await (const chunk of store.list()) all.push(...chunk)
  return all
}

describe('plain lists', () => {
  const listOf = (kind: 'WHITE' | 'TRAPPED' | 'SPAMTRAP', rest: object = {}): ImportOptions => ({
    ifMissing: false,
    list: { kind, lifetime: undefined, comment: undefined, ...rest },
  })

  test('are added as spamdb -a does', async () => {
    const store = await newStore()
    const list = '# friends\n192.0.2.1\n 2001:DB8::1 # six\n\nbad one\n192.0.2.1\n'
    const { report, problems } = await importBytes(store, list, listOf('WHITE'))
    expect(report).toEqual({ added: 2, updated: 1, skipped: 0, bad: 1 })
    expect(problems).toEqual([{ place: 'line 5', reason: 'not an ip address' }])
    expect(await exportText(store)).toBe(
      'WHITE|192.0.2.1|||1700000000|1700000000|1703110400|1|1\nWHITE|2001:db8::1|||1700000000|1700000000|1703110400|1|0\n',
    )
    await store.close()
  })

  test('of spamtraps are folded, and take comment and life time', async () => {
    const store = await newStore()
    await importBytes(store, '<Trap@Example.org>\nnone\n', listOf('SPAMTRAP', { comment: 'bought' }))
    await importBytes(store, '192.0.2.1\n', listOf('TRAPPED', { lifetime: 'never' }))
    expect(await exportText(store)).toBe('TRAPPED|192.0.2.1|0\nSPAMTRAP|trap@example.org\n#comment|bought\n')
    await store.close()
  })
})

describe('files of OpenBSD', () => {
  const golden = join(import.meta.dirname, '../../../golden/dbfiles')

  test.each(readdirSync(golden))('%s', async (name) => {
    const store = await newStore()
    const bytes = readFileSync(join(golden, name))
    const { report } = await importBytes(store, bytes, TEXT, 'file')
    // Records under one key in two spellings meet in one entry; what is no entry at all is counted as bad.
    const items = [
      ...readBerkeleyHash({ sizeBytes: bytes.length, read: (at, length) => bytes.subarray(at, at + length) }),
    ]
    const isEntry = (item: HashFileItem): boolean => item.type === 'record' && decodeBerkeleyRecord(item).ok
    const entryCount = items.filter(isEntry).length
    expect(report).toMatchObject({
      added: entryCount - report.updated,
      skipped: 0,
      bad: items.length - entryCount,
    })
    const again = await newStore()
    expect((await importBytes(again, gzipSync(bytes))).report).toEqual(report)
    expect(await exportText(again)).toBe(await exportText(store))
    await store.close()
    await again.close()
  })

  test('records of 20 and 32 bytes, of a big-endian host, and bad ones', async () => {
    const old = Buffer.alloc(20)
    for (const [index, value] of [1, 2, 3, 4, 5].entries()) old.writeInt32BE(value, index * 4)
    const young = Buffer.alloc(32)
    for (const [index, value] of [1n, 2n, 2n ** 62n].entries()) young.writeBigInt64BE(value, index * 8)
    young.writeInt32BE(4, 24)
    young.writeInt32BE(-1, 28)
    const trap = Buffer.from(old)
    trap.writeInt32BE(-2, 16)
    const pairs = [
      { key: '192.0.2.1', data: old },
      { key: '192.0.2.2', data: young },
      { key: 'Trap@b', data: trap },
      { key: '192.0.2.3\n<a@b>\n<c@d>', data: old },
      { key: '192.0.2.3\nh\nf\nt\nmore', data: old },
      { key: '192.0.2.4\nh', data: old },
      { key: 'nobody', data: old },
      { key: 'not an ip\nh\nf\nt', data: old },
      { key: 'nobody', data: trap },
      { key: '192.0.2.5', data: Buffer.alloc(4) },
    ].map(({ key, data }) => ({ key: Buffer.from(key), data }))
    const bytes = writeBerkeleyHash(pairs, { bucketBytes: 512, littleEndian: false, bucketCount: 2 })
    const store = await newStore()
    const { report, problems } = await importBytes(store, bytes)
    expect(report).toEqual({ added: 5, updated: 0, skipped: 0, bad: 5 })
    expect(problems.map(({ place, reason }) => `${place}: ${reason}`)).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^offset [0-9]+: a grey key without sender and recipient$/),
        expect.stringMatching(/^offset [0-9]+: a record of 4 bytes instead of 32 or 20$/),
      ]),
    )
    expect(await exportText(store)).toBe(
      [
        'WHITE|192.0.2.1|||1|2|3|4|5',
        `TRAPPED|192.0.2.2|${Number.MAX_SAFE_INTEGER}`,
        'SPAMTRAP|trap@b',
        'GREY|192.0.2.3||<a@b>|<c@d>|1|2|3|4|5',
        'GREY|192.0.2.3|h|f|t\\x0amore|1|2|3|4|5',
        '',
      ].join('\n'),
    )
    await store.close()
  })
})
