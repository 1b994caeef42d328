import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { checkHost, type SpfResult } from '../../../../src/codec/spf/check-host.js'
import { canonicalIp } from '../../../../src/ip/address.js'
import { corpusFolder } from '../../../support/corpus.js'
import { answerFromZone, type Zone } from './answer-from-zone.js'

interface Group {
  group: string
  zone: Zone
  cases: [name: string, client: string, helo: string, sender: string, results: SpfResult[]][]
}

const groups = JSON.parse(readFileSync(join(corpusFolder('spf'), 'cases.json'), 'utf8')) as Group[]

describe.each(groups)('SPF, $group', ({ zone, cases }) => {
  // In reverse zones some names are in capitals, where DNS knows no difference.
  const lower = Object.fromEntries(Object.entries(zone).map(([name, entry]) => [name.toLowerCase(), entry]))
  test.each(cases)('%s', (_, client, helo, sender, results) => {
    const at = sender.lastIndexOf('@')
    const verdict = answerFromZone(
      checkHost({
        clientIp: canonicalIp(client)!,
        domain: sender === '' ? helo : sender.slice(at + 1),
        localPart: sender.slice(0, Math.max(at, 0)),
        helo,
      }),
      lower,
    )
    expect(results, verdict.reason).toContain(verdict.result)
  })
})

test('the table has all cases', () => {
  expect(groups.flatMap(({ cases }) => cases)).toHaveLength(203)
})
