/** Every command of the guides that can run on this machine, and what they say that it prints. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { GuideScratch, guideBlocks, outputPattern } from '../support/guide-blocks.js'

const DOCS = join(import.meta.dirname, '../../docs')
/** Those whose commands a story of the lab runs on a machine of its own. */
const OF_THE_LAB = ['docs/guide-debian.md']
const GUIDES = [
  ...readdirSync(DOCS)
    .filter((name) => /^(guide-.*|scripts|migrating|articles|failover)\.md$/.test(name))
    .map((name) => `docs/${name}`),
  'README.md',
]

describe.each(GUIDES)('%s', (name) => {
  const blocks = guideBlocks(readFileSync(join(DOCS, '..', name), 'utf8'))
  const scratch = new GuideScratch()
  afterAll(() => scratch.remove())

  test('says of each shell block that is not run why', () => {
    const silent = blocks.filter(
      ({ language, notRun }) =>
        /^(sh|bash|console)$/.test(language) && language !== 'console' && notRun === undefined,
    )
    expect(silent.map(({ line }) => line)).toEqual([])
  })

  const commands = (OF_THE_LAB.includes(name) ? [] : blocks)
    .filter(({ language, notRun }) => language === 'console' && notRun === undefined)
    .flatMap((block) => block.commands)
  for (const { line, command, output } of commands) {
    test(`line ${line}: ${command.split('\n')[0]}`, () => {
      const printed = scratch.run(command)
      if (
        !outputPattern(output).test(`${printed.join('\n')}\n`) &&
        !(output.length === 0 && printed.length === 0)
      ) {
        expect(printed).toEqual(output)
      }
    })
  }
})
