/**
 * One gateway as its own process, for postgres.ts: writes new tuples in batches, one after the other, as fast as the
 * server answers, and tells its parent what processor time that took here.
 */
import { openStore } from '../src/db/open-store.js'
import { attempts, nowSec, policy } from './postgres-load.js'

const [location = '', first = '0', count = '0', size = '1'] = process.argv.slice(2)
const store = await openStore(location, { mode: 'write' })

/** Tuples that are not counted: statements get prepared, and the compiler sees what is hot. */
async function write(start: number, end: number): Promise<void> {
  for (let at = start; at < end; at += Number(size)) {
    await store.recordAttempts(attempts(at, Math.min(Number(size), end - at)), policy, nowSec)
  }
}

const WARM_UP = 3 * Number(size)
await write(Number(first), Number(first) + WARM_UP)
process.send!({ kind: 'ready' })
await new Promise((resolve) => process.once('message', resolve))
const start = process.cpuUsage()
await write(Number(first) + WARM_UP, Number(first) + WARM_UP + Number(count))
const { user, system } = process.cpuUsage(start)
process.send!({ kind: 'done', cpuUs: user + system })
await store.close()
process.disconnect()
