/** How long the first writer takes that finds a database of an older program. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { openStore } from '../src/db/open-store.js'
import { makeOldDatabase } from '../test/support/old-database.js'

/** Prints the seconds from opening to closing, for each old schema; schema 2 with as many rows of history as entries. */
export async function benchMigration(
  folder: string,
  entryCount: number,
  print: (name: string, value: number, unit: string) => void,
): Promise<void> {
  const hosts = Math.floor(entryCount * 0.3)
  const tuples = entryCount - hosts
  for (const version of [1, 2] as const) {
    const path = join(folder, `schema-${version}.sqlite`)
    makeOldDatabase(path, version, { tuples, hosts, history: version === 2 ? entryCount : 0 }).close()
    const start = performance.now()
    const startCpu = process.cpuUsage()
    await (await openStore(path, { mode: 'write' })).close()
    const { user, system } = process.cpuUsage(startCpu)
    const what = version === 1 ? `${entryCount} entries` : `${entryCount} entries and rows of history`
    print(`migration from schema ${version}, ${what} (at most 60)`, (performance.now() - start) / 1000, 's')
    print('processor time of it', (user + system) / 1e6, 's')
    const store = await openStore(path, { mode: 'read' })
    const { isSound, counts } = await store.check()
    await store.close()
    if (!isSound || counts?.GREY !== tuples || counts.WHITE !== hosts)
      throw new Error(`schema ${version}: damaged`)
    for (const suffix of ['', '-wal', '-shm']) rmSync(path + suffix, { force: true })
  }
}
