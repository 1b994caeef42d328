/** `spamdctl release`: what it takes, refuses, stores and prints. */
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { getoptAnywhere, type OptionSpec } from '../../../../src/cli/getopt.js'
import { OptionValues } from '../../../../src/cli/option-reader.js'
import {
  type ReleaseParts,
  runRelease,
  runReleaseCancel,
  runReleaseList,
} from '../../../../src/cli/release/release-commands.js'
import { RELEASE_LIST_OPTIONS, RELEASE_OPTIONS } from '../../../../src/cli/release/release-options.js'
import { renderLines, shownReleases } from '../../../../src/cli/spamdb/entry-renderers.js'
import { createDatabase } from '../../../../src/db/open-store.js'
import type { EntryQuery } from '../../../../src/domain/query.js'
import { attemptOf, NOW, POLICY, Scratch } from '../../../support/scratch-database.js'

const scratch = new Scratch()

function optionsOf(words: string[], table: readonly OptionSpec[] = RELEASE_OPTIONS): OptionValues {
  const parsed = getoptAnywhere(words, table)
  if (!parsed.ok) throw new Error(parsed.message)
  return new OptionValues(parsed)
}

function newParts(): ReleaseParts {
  const dbPath = join(scratch.folder(), 'spamd.sqlite')
  createDatabase(dbPath)
  return { dbPath, nowSec: NOW, actor: 'anna' }
}

const listed = async (parts: ReleaseParts, ...words: string[]): Promise<string> =>
  await runReleaseList(optionsOf(words, RELEASE_LIST_OPTIONS), parts)

describe('release', () => {
  test('makes one, lists it and ends it', async () => {
    const parts = newParts()
    const store = await scratch.open(parts.dbPath)
    await store.recordAttempts([attemptOf('192.0.2.1'), attemptOf('192.0.2.2')], POLICY, NOW - 60)
    const text = await runRelease(
      optionsOf(['--to', '<User@Example.net>', '--from', 'example.org', '--ip', '192.0.2.1/31']),
      parts,
    )
    const [id = ''] = text.split(':')
    expect(id).toMatch(/^[2-9a-hjkmnp-z]{8}$/)
    const terms = 'mail from example.org to user@example.net at 192.0.2.0/31'
    expect(text).toBe(
      `${id}: ${terms} passes at the second try from now, for 1h; 1 matching mail is waiting now\n`,
    )
    expect(await listed(parts)).toBe(`${id}: ${terms}, for another 1h, used 0 times, by anna\n`)
    expect(await runReleaseCancel(id, optionsOf([]), parts)).toBe(`${id}: cancelled\n`)
    expect(await listed(parts)).toBe('no releases are in force\n')
    expect(await listed({ ...parts, nowSec: NOW + 60 }, '--all')).toBe(
      `${id}: ${terms}, ended 1m ago, used 0 times, by anna\n`,
    )
    await expect(runReleaseCancel(id, optionsOf([]), parts)).rejects.toMatchObject({
      code: 'ERR_RELEASE',
      message: `cannot cancel release ${id}: it has already ended`,
    })
  })

  test('prints JSON', async () => {
    const parts = newParts()
    const made = JSON.parse(
      await runRelease(optionsOf(['--from', '<>', '--to', 'u@example.org', '--for', '2d', '--json']), parts),
    ) as { id: string }
    const release = {
      kind: 'RELEASE',
      id: made.id,
      from: '',
      to: 'u@example.org',
      ip: null,
      scope: 'address',
      first: NOW,
      expire: NOW + 172_800,
      used: 0,
      author: 'anna',
    }
    expect(made).toEqual({ ...release, waiting: 0 })
    expect(JSON.parse(await listed(parts, '--json'))).toEqual([{ ...release, inForce: true }])
  })

  test('spamdb --json shows those in force behind the entries, and no filter takes them', async () => {
    const parts = newParts()
    const store = await scratch.open(parts.dbPath)
    await runRelease(optionsOf(['--to', 'u@example.org']), parts)
    const show = async (query: EntryQuery, nowSec: number): Promise<unknown[]> => {
      const releases = await shownReleases(store, query, nowSec)
      const pieces: Uint8Array[] = []
      for await (const piece of renderLines('json', store, query, releases)) pieces.push(piece)
      return JSON.parse(Buffer.concat(pieces).toString()) as unknown[]
    }
    const release = { kind: 'RELEASE', to: 'u@example.org', author: 'anna' }
    expect(await show({}, NOW)).toMatchObject([release])
    expect(await show({}, NOW + 3600)).toEqual([])
    await store.recordAttempts([attemptOf('192.0.2.1')], POLICY, NOW)
    expect(await show({}, NOW)).toMatchObject([{ kind: 'GREY' }, release])
    expect(await show({ ip: '192.0.2.1' }, NOW)).toMatchObject([{ kind: 'GREY' }])
  })

  test('--dry-run stores nothing', async () => {
    const parts = newParts()
    const text = await runRelease(optionsOf(['--dry-run', '--from', '.example.org']), parts)
    expect(text).toBe(
      'would be released: mail from .example.org passes at the second try from now, for 1h; 0 matching mails are waiting now\n',
    )
    expect(await listed(parts, '--all')).toBe('no releases are in force\n')
  })

  test.each<[string[], string | RegExp]>([
    [[], 'name the mail with --to, --from or both'],
    [['--ip', '192.0.2.1'], 'name the mail with --to, --from or both'],
    [['--to', 'example.org'], '--to: "example.org" is not an address'],
    [['--to', '@example.org'], '--to: "@example.org" is not an address'],
    [['--to', ''], '--to: "" is not an address'],
    [['--from', 'org'], '--from: "org" is not a sender'],
    [['--from', '*.example.org'], /is not a sender$/],
    [['--from', '@example.org'], '--from: "@example.org" is not a sender'],
    [['--from', '.'], '--from: "." is not a sender'],
    [['--from', `${'x'.repeat(300)}.example`], /is not a sender$/],
    [['--to', 'u@example.org', '--ip', '0.0.0.0/0'], '--ip: "0.0.0.0/0" is not an address or network'],
    [['--to', 'u@example.org', '--ip', 'x'], '--ip: "x" is not an address or network'],
    [['--to', 'u@example.org', '--for', '8d'], '--for: "8d" is not a duration of up to 7d'],
    [['--to', 'u@example.org', '--for', '0'], '--for: "0" is not a duration of up to 7d'],
  ])('%j', async (words, message) => {
    const run = runRelease(optionsOf(words), newParts())
    await expect(run).rejects.toMatchObject({ code: 'ERR_USAGE', message: expect.stringMatching(message) })
  })

  test('what a stranger wrote is shown, not obeyed', async () => {
    const parts = newParts()
    const text = await runRelease(optionsOf(['--from', '\u009b2J@example.org']), parts)
    expect(text).toContain('mail from \\x9b2j@example.org')
  })
})
