/** Which test files are asked about a layer. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '..', '..')

/** How paths begin. */
const unit = (...layers: string[]) => layers.map((layer) => `test/unit/${layer}/`)
const SPAMD = ['test/golden/spamd.test.ts', 'test/transcripts/spamd.test.ts']
const SETUP = ['test/golden/setup.test.ts', 'test/transcripts/setup']
const SPAMDB = ['test/golden/spamdb.test.ts', 'test/transcripts/spamdb.test.ts']
const SPAMLOGD = ['test/golden/spamlogd.test.ts', 'test/transcripts/spamlogd.test.ts']

/** Tests behind those of the layer: of what uses it directly, and of the programs in which it shows. */
const FURTHER: Readonly<Record<string, readonly string[]>> = {
  ip: unit('codec', 'domain'),
  codec: [...unit('feeds', 'firewall', 'daemon', 'app'), ...SETUP, ...SPAMD, ...SPAMDB, ...SPAMLOGD],
  domain: [...unit('db', 'app/database', 'daemon/grey', 'daemon/sync'), ...SPAMDB, ...SPAMLOGD],
  db: [...unit('app', 'cli/spamdb'), 'test/db/', 'test/transcripts/store-thread.test.ts', ...SPAMDB],
  firewall: [...unit('daemon/grey', 'daemon/process', 'app/lists'), 'test/lab/firewall.test.ts'],
  feeds: [...unit('app/lists', 'cli/setup'), ...SETUP],
  platform: [
    ...unit('feeds', 'firewall', 'db', 'app', 'daemon/process', 'daemon/spamlogd', 'attack', 'cli'),
    'test/transcripts/',
  ],
  cli: [...unit('app'), 'test/transcripts/', ...SETUP, ...SPAMDB, ...SPAMLOGD, ...SPAMD],
  app: [...unit('cli', 'daemon/sync', 'metrics'), 'test/transcripts/', ...SETUP, ...SPAMDB],
  daemon: [
    ...unit('attack', 'metrics', 'cli/spamd', 'cli/spamlogd', 'cli/operations'),
    'test/transcripts/store-thread.test.ts',
    'test/transcripts/sync-commands.test.ts',
    ...SPAMD,
    ...SPAMLOGD,
  ],
}

/** Paths of the test files of a layer or of a part of it, and of those that are asked about what these do not notice. */
export function testsOf(layer: string): [own: string[], further: string[]] {
  const top = layer.replace(/\/.*/, '')
  const files = readdirSync(join(ROOT, 'test'), { recursive: true, encoding: 'utf8' })
    .map((name) => `test/${name}`)
    .filter((path) => path.endsWith('.test.ts'))
    .sort()
  const find = (beginnings: readonly string[]) =>
    files.filter((path) => beginnings.some((beginning) => path.startsWith(beginning)))
  const own = find(unit(layer))
  const further = find([...unit(top), ...(FURTHER[top] ?? [])]).filter((path) => !own.includes(path))
  return [own, further]
}
