/**
 * Runs calls of spamdb as another user and prints their results as JSON. Everything is loaded while still root, so
 * that the checkout need not be readable for that user. Argument: JSON { uid, path, warmUpPath, steps: [{ argv, now
 * }] }.
 */
import { runSpamdb } from '../../src/cli/spamdb/spamdb-main.js'

interface Call {
  uid: number
  path: string
  /** An empty database, used to load everything. */
  warmUpPath: string
  steps: { argv: string[]; now: number }[]
}

const { uid, path, warmUpPath, steps } = JSON.parse(process.argv[2]!) as Call

async function run(argv: string[], now: number, db: string) {
  const out: Uint8Array[] = []
  let stderr = ''
  const rc = await runSpamdb(argv, {
    writeOut: (bytes) => void out.push(Buffer.from(bytes)),
    writeError: (text) => {
      stderr += text
    },
    stdin: (async function* () {})(),
    environment: { SPAMD_DB: db },
    clock: { nowSec: () => now, monotonicMs: () => 0 },
    showHelp: () => Promise.resolve(),
    openAnnouncer: () => Promise.resolve({ announce: () => undefined, finish: () => Promise.resolve() }),
  })
  return {
    rc,
    stdout: Buffer.concat(out).toString('latin1'),
    stderr: Buffer.from(stderr).toString('latin1'),
  }
}

await run(['-a', '192.0.2.1'], 1, warmUpPath)
await run([], 1, warmUpPath)
process.setgroups!([])
process.setgid!(uid)
process.setuid!(uid)
const results = []
for (const { argv, now } of steps) results.push(await run(argv, now, path))
process.stdout.write(JSON.stringify(results))
