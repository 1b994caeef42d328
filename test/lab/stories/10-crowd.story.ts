/**
 * Story 10: 2,000 senders at once, half of which never come again. With the shipped units no connection is closed
 * without an answer; how long those who come again wait is recorded.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { recordFigure } from '../support/figures.js'
import { Lab, NET } from '../support/lab.js'
import { whyNoLab } from '../support/machine.js'

const skipReason = whyNoLab('postfix')
const PASS_SEC = 20

/** Each sender says a whole dialogue at once; every second one comes again until it is with the mail server. */
const CROWD = `
import asyncio, json, sys, time
server, count, pass_sec = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
results = {'unanswered': 0, 'failed': 0, 'deferred': 0, 'through': 0, 'waits': [], 'first': []}
async def reply(r):
    while True:
        line = await asyncio.wait_for(r.readline(), 120)
        if not line: raise ConnectionError
        if line[3:4] != b'-': return line
async def attempt(source, number):
    r, w = await asyncio.wait_for(asyncio.open_connection(server, 25, local_addr=(source, 0)), 120)
    try:
        banner = await reply(r)
        for command in ['EHLO c%d.example' % number, 'MAIL FROM:<a%d@sender.example>' % number, 'RCPT TO:<reader@example.org>']:
            w.write(command.encode() + b'\\r\\n')
            answer = await reply(r)
            if answer[:1] in b'45': return 'deferred'
        if b'Postfix' in banner: return 'through'
        w.write(b'DATA\\r\\n')
        answer = await reply(r)
        return 'deferred' if answer[:1] in b'45' else 'failed'
    finally:
        w.close()
async def sender(number):
    source = '100.64.%d.%d' % (number // 250, 1 + number % 250)
    start = time.time()
    while True:
        begun = time.time()
        try:
            outcome = await attempt(source, number)
        except (ConnectionError, asyncio.IncompleteReadError): outcome = 'unanswered'
        except (OSError, asyncio.TimeoutError): outcome = 'failed'
        if time.time() - start < pass_sec: results['first'].append(time.time() - begun)
        results[outcome] += 1
        if outcome == 'through':
            results['waits'].append(time.time() - start)
            return
        if number % 2 or time.time() - start > 150: return
        await asyncio.sleep(pass_sec * (0.5 + number / 2000))
async def main(): await asyncio.gather(*[sender(number) for number in range(count)])
asyncio.run(main())
print(json.dumps(results))
`

describe.skipIf(skipReason !== undefined)('story 10: a crowd', () => {
  const lab = new Lab({ senders: [], spamd: ['-G', `${PASS_SEC}s:4h:36d`] })
  beforeAll(() => lab.start())
  afterAll(() => lab.stop())

  test('2,000 at once: everybody is answered, whoever comes again gets through', async () => {
    const words = ['-c', CROWD, NET.inside.ipv4, '2000', String(PASS_SEC)]
    const crowd = JSON.parse(await lab.outside.run('prlimit', '--nofile=8192', 'python3', ...words)) as {
      unanswered: number
      failed: number
      deferred: number
      through: number
      waits: number[]
      first: number[]
    }
    const at = (values: number[], share: number): number =>
      [...values].sort((one, other) => one - other)[Math.floor(values.length * share)] ?? Number.NaN
    recordFigure(
      'story 10',
      `2,000 senders: ${crowd.through} of 1,000 through; wait p50 ${at(crowd.waits, 0.5).toFixed(1)} s, p99 ${at(crowd.waits, 0.99).toFixed(1)} s with passtime ${PASS_SEC} s; dialogue p50 ${at(crowd.first, 0.5).toFixed(1)} s, p99 ${at(crowd.first, 0.99).toFixed(1)} s; ${crowd.unanswered} closed unanswered, ${crowd.failed} failed`,
    )
    expect({ unanswered: crowd.unanswered, failed: crowd.failed, through: crowd.through }).toEqual({
      unanswered: 0,
      failed: 0,
      through: 1000,
    })
    // Every tuple that was answered is stored: as a tuple, or as the WHITE entry that it became.
    const listing = await lab.gateway.entries()
    const known = new Set(
      [...listing.matchAll(/^(?:GREY|WHITE)\|(100\.64\.[0-9.]+)\|/gm)].map((match) => match[1]),
    )
    expect(known.size).toBe(2000)
  })
})
