/**
 * A process of its own on one database, for tests that kill it or run several at once. Uses the built store.
 * argv: PATH TASK [ARGUMENTS...]; prints one line of JSON for each step.
 */
import { createDatabase, openStore } from '../../../dist/src/db/open-store.js'

const [path, task, ...rest] = process.argv.slice(2)
const NOW = 1_700_000_000
const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`)
const addWhite = (ip) => ({ operation: 'add', kind: 'WHITE', ip })
const ipOf = (n) => `10.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}`

const tasks = {
  /** Adds addresses from number `start` on, `batch` a call, until killed; tells each call that is done. */
  async fill(start, batch) {
    const store = await openStore(path, { mode: 'write' })
    say('open')
    for (let from = Number(start); ; from += Number(batch)) {
      const edits = Array.from({ length: Number(batch) }, (_, n) => addWhite(ipOf(from + n)))
      await store.edit(edits, NOW)
      say(from + Number(batch))
      // Lets the report out before the next call.
      await new Promise((resolve) => setImmediate(resolve))
    }
  },

  /** Adds to the pcount of a shared address, adds and deletes addresses of its own, lists now and then. */
  async share(worker, rounds) {
    const shared = '192.0.2.1'
    const ownIp = (n) => `10.${worker}.${n >> 8}.${n & 255}`
    for (let n = 0; n < Number(rounds); n += 1) {
      const store = await openStore(path, { mode: 'write', create: true })
      await store.edit([addWhite(shared), addWhite(ownIp(n))], NOW)
      if (n % 2 === 1) await store.edit([{ operation: 'delete', key: { kind: 'host', ip: ownIp(n) } }], NOW)
      if (n % 5 === 0) for await (const chunk of store.listText()) if (chunk.length === 0) say('empty')
      await store.close()
    }
    say('done')
  },

  /** Writes random addresses in batches until it is told to stop by closing its stdin. */
  async hammer(seed, batch) {
    const store = await openStore(path, { mode: 'write', durability: 'normal' })
    let isStopped = false
    process.stdin.on('end', () => {
      isStopped = true
    })
    process.stdin.resume()
    let state = Number(seed)
    let done = 0
    while (!isStopped) {
      const sightings = Array.from({ length: Number(batch) }, () => {
        state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
        return { ip: ipOf(state % 300_000), count: 1 }
      })
      await store.recordSightings(sightings, { whiteExpireSec: 1000, untrap: false }, NOW)
      done += sightings.length
      say(done)
      await new Promise((resolve) => setImmediate(resolve))
    }
    await store.close()
  },

  /** As another user: what opening for reading and for writing gives. */
  async visit(uid) {
    process.setgid?.(Number(uid))
    process.setuid?.(Number(uid))
    for (const mode of ['read', 'write']) {
      try {
        const store = await openStore(path, { mode })
        let bytes = 0
        for await (const chunk of store.listText()) bytes += chunk.length
        await store.close()
        say({ mode, bytes })
      } catch (error) {
        say({ mode, code: error.code, message: error.message, hint: error.hint })
      }
    }
  },

  /** Stores many entries at once, put aside in a folder of temporary files; tells how that failed. */
  async load(temporaryFolder) {
    // SQLite reads it once, when the first database is opened.
    process.env.SQLITE_TMPDIR = temporaryFolder
    const store = await openStore(path, { mode: 'write' })
    const times = { first: 1, pass: 2, expire: 3, bcount: 4, pcount: 5 }
    const tuple = { kind: 'GREY', helo: 'h'.repeat(100), from: 'f', to: 't', ...times }
    const entries = Array.from({ length: 60_000 }, (_, n) => ({ ...tuple, ip: ipOf(n) }))
    try {
      say(await store.upsertAll([entries], { ifMissing: false }))
    } catch ({ code, message, hint }) {
      say({ code, message, hint })
    }
    await store.close()
  },

  async create() {
    createDatabase(path)
    say('created')
  },
}

await tasks[task](...rest)
