/**
 * One gateway as its own process, for postgres.ts: writes batches of tuples that all gateways share, follows the
 * journal as spamd does, and tells its parent each answer and each new address.
 */
import { openStore } from '../src/db/open-store.js'
import { attempt, nowSec, pause, policy } from './postgres-load.js'

const [location = '', gateway = '0', count = '0'] = process.argv.slice(2)
const own = Number(gateway)
let wake = (): void => undefined
const store = await openStore(location, { mode: 'write', onAlarm: () => wake() })
let position = (await store.readJournal(0, 0)).newest
let isOver = false
let begin = (): void => undefined
const begun = new Promise<void>((resolve) => {
  begin = resolve
})
process.on('message', (word) => {
  if (word === 'begin') begin()
  else isOver = true
  wake()
})

async function follow(): Promise<void> {
  while (!isOver) {
    const { rows, newest } = await store.readJournal(position, 1000)
    position = rows.at(-1)?.seq ?? newest
    const ips = rows.flatMap(({ key, after }) => (key?.kind === 'host' && after === 'WHITE' ? [key.ip] : []))
    if (ips.length > 0) process.send!({ kind: 'learned', ips, atMs: Date.now() })
    await new Promise<void>((resolve) => {
      wake = resolve
      setTimeout(resolve, 500)
    })
  }
}

async function work(): Promise<void> {
  process.send!({ kind: 'ready' })
  await begun
  // The same messages in its own order; a few of them come again after passtime and are promoted.
  const numbers = Array.from({ length: Number(count) }, (_, n) => (n + own * 97) % Number(count))
  for (let start = 0; start < numbers.length && !isOver; start += 50) {
    const batch = numbers.slice(start, start + 50).map((n) => attempt(3_000_000_000 + n))
    const { outcomes } = await store.recordAttempts(batch, policy, nowSec)
    process.send!({ kind: 'stored', created: outcomes.filter(({ result }) => result === 'new').length })
    const ip = `203.0.${own}.${(start / 50) & 255}`
    await store.recordAttempts([attempt(start, ip)], policy, nowSec)
    await store.recordAttempts([attempt(start, ip)], policy, nowSec + policy.passSec + 60)
    process.send!({ kind: 'promoted', ip, atMs: Date.now() })
    await pause(50)
  }
  process.send!({ kind: 'done' })
}

await Promise.all([follow(), work()])
await store.close()
process.disconnect()
