import { expect, test } from 'vitest'
import { type ControlHandlerParts, createControlHandlers } from '../../../src/daemon/control-handlers.js'

function lookup(ip: unknown) {
  const asked: string[] = []
  const blockLists = {
    match: (address: string) => {
      asked.push(address)
      return [{ listName: 'bl' }]
    },
  }
  const handlers = createControlHandlers({ blockLists } as unknown as ControlHandlerParts)
  return { answer: () => handlers.lookup({ ip } as { ip: string }), asked }
}

test.each([
  ['192.0.2.1', '192.0.2.1'],
  ['::ffff:192.0.2.1', '192.0.2.1'],
  ['2001:DB8:0::1', '2001:db8::1'],
])('lookup of %s asks the lists for %s', async (ip, canonical) => {
  const { answer, asked } = lookup(ip)
  expect(await answer()).toEqual({ lists: ['bl'] })
  expect(asked).toEqual([canonical])
})

test.each([
  undefined,
  null,
  7,
  '',
  'mail.example.org',
  '192.0.2',
  'fe80::1%em0',
  ['192.0.2.1'],
  { toString: 1 },
])('lookup of %j is refused, not answered with no list', (ip) => {
  const { answer, asked } = lookup(ip)
  expect(answer).toThrowError(expect.objectContaining({ code: 'ERR_REQUEST_FIELD' }) as Error)
  expect(asked).toEqual([])
})
