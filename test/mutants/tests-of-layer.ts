/** Which test files are asked about a layer. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
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
    'test/transcripts/setup-privileges.test.ts',
    ...SPAMD,
    ...SPAMLOGD,
  ],
}

/** Folders of the commands that call the use cases of `app`. */
const COMMANDS = ['cli/allow', 'cli/init', 'cli/operations', 'cli/release', 'cli/report']

/**
 * Where a layer's own tests are elsewhere, or elsewhere as well: what is decided is tested by the store that carries it
 * out, a use case through the commands that call it.
 */
const OWN: Readonly<Record<string, readonly string[]>> = {
  domain: unit('domain', 'db'),
  'db/postgres': ['test/db/', 'test/unit/db/postgres-'],
  app: unit('app', 'metrics', 'daemon/checks', 'daemon/sync', ...COMMANDS),
  'app/allow': unit('app/allow', 'cli/allow', 'daemon/checks'),
  'app/database': [...unit('app/database', 'cli/spamdb', 'cli/operations'), 'test/db/move-database'],
  'app/init': unit('app/init', 'cli/init'),
  'app/lists': unit('app/lists', 'cli/setup'),
  'app/metrics': unit('metrics'),
  'app/release': unit('cli/release', 'app/losing', 'app/why'),
  'app/report': unit('cli/report'),
  'app/sync': unit('app/sync', 'daemon/sync'),
  'daemon/metrics': unit('daemon/metrics', 'metrics'),
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
  const own = find(OWN[layer] ?? unit(layer))
  const further = find([...unit(top), ...(FURTHER[top] ?? [])]).filter((path) => !own.includes(path))
  return [own, further]
}

/** Tests that start programs come by files that they do not import. */
const STARTS_PROGRAMS = /\b(?:spawn|spawnSync|fork|execFile|execFileSync|runProcess)\(/

/** Those of the test files that import one of the sources, over however many others, or start programs. */
export function thoseThatComeBy(files: readonly string[], sources: ReadonlySet<string>): string[] {
  const readings = new Map<string, { imports: string[]; startsPrograms: boolean }>()
  const read = (path: string) => {
    const known = readings.get(path)
    if (known !== undefined) return known
    const text = readFileSync(join(ROOT, path), 'utf8')
    const imports = [...text.matchAll(/(?:from|import)\s*\(?'(\.[^']+)'/g)]
      .map(([, name]) => join(path, '..', name!).replace(/\.js$/, '.ts'))
      .filter((name) => name.endsWith('.ts') && existsSync(join(ROOT, name)))
    const reading = { imports, startsPrograms: path.startsWith('test/') && STARTS_PROGRAMS.test(text) }
    readings.set(path, reading)
    return reading
  }
  return files.filter((file) => {
    const seen = new Set([file])
    for (const path of seen) {
      const { imports, startsPrograms } = read(path)
      if (startsPrograms || sources.has(path)) return true
      for (const imported of imports) seen.add(imported)
    }
    return false
  })
}
