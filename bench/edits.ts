/**
 * CPU time of many edits from standard input, compared with an import of the same entries: `npm run bench:edits
 * [ENTRIES [ROUNDS]]`, after a build. Keys are scattered over all addresses and edited into a database of ENTRIES
 * other entries (default: none).
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeRandom } from '../test/support/random.js'
import { compare } from './cpu-time.js'
import { GENERATED_NOW, generateDatabase, makeIp } from './generate-database.js'

const root = join(import.meta.dirname, '..')
const entries = Number(process.argv[2] ?? 0)
const rounds = Number(process.argv[3] ?? 3)
const folder = mkdtempSync(join(tmpdir(), 'edits-bench-'))
const [master, copy] = [join(folder, 'master.sqlite'), join(folder, 'copy.sqlite')]
const environment: NodeJS.ProcessEnv = { ...process.env, SPAMD_DB: copy }
delete environment.NODE_EXTRA_CA_CERTS
const program = (name: string): string => `"${process.execPath}" "${join(root, 'bin', `${name}.js`)}"`

try {
  await generateDatabase(master, { entries, seed: 1 })
  const random = makeRandom(7)
  const keys = Array.from({ length: 1_000_000 }, () => makeIp(random))
  const times = `${GENERATED_NOW}|${GENERATED_NOW}|${GENERATED_NOW + 3_110_400}|1|0`
  for (const count of [100_000, 1_000_000]) {
    const some = keys.slice(0, count)
    writeFileSync(join(folder, `keys-${count}`), `${some.join('\n')}\n`)
    writeFileSync(join(folder, `lines-${count}`), some.map((ip) => `WHITE|${ip}|||${times}\n`).join(''))
  }
  const edit = (count: number): string => `${program('spamdb')} -a - < "${join(folder, `keys-${count}`)}"`
  const load = (count: number): string => `${program('spamdctl')} import "${join(folder, `lines-${count}`)}"`
  const before = `rm -f "${copy}"* && cp "${master}" "${copy}"`
  for (const count of [100_000, 1_000_000]) {
    const name = `-a - ${count} into ${entries} / import`
    compare({ name, ours: edit(count), peer: load(count), limit: '1.3', before }, rounds, environment)
  }
  const name = `-a - 1,000,000 into ${entries} / 100,000`
  compare({ name, ours: edit(1_000_000), peer: edit(100_000), limit: 'about 10', before }, 1, environment)
} finally {
  rmSync(folder, { recursive: true })
}
