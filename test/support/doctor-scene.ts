/** A healthy gateway made of recorded outputs, with a real database and real files, for tests to break. */
import { chmodSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DaemonStatus } from '../../src/app/control-protocol.js'
import type { DoctorContext } from '../../src/app/doctor/context.js'
import { type DoctorReport, runDoctor } from '../../src/app/doctor/run-doctor.js'
import { createSyncKey } from '../../src/app/sync/sync-key.js'
import { createDatabase, openStore } from '../../src/db/open-store.js'
import type { Entry } from '../../src/domain/entry.js'
import { ListStore } from '../../src/feeds/list-store.js'
import { resolveSettings, type Settings } from '../../src/platform/settings.js'
import { TEST_NOW } from './program-run.js'
import { RecordedSystem } from './recorded-system.js'

export interface DoctorScene {
  probe: RecordedSystem
  settings: Settings
  status: DaemonStatus
  context: DoctorContext
  folder: string
  /** Runs all checks; the scene's folder is shown as `/scene`. */
  run(): Promise<DoctorReport>
}

const WHITE: Entry[] = ['192.0.2.10', '192.0.2.11', '2001:db8::10'].map((ip) => ({
  kind: 'WHITE',
  ip,
  first: TEST_NOW - 100,
  pass: TEST_NOW,
  expire: TEST_NOW + 86_400,
  bcount: 1,
  pcount: 1,
}))

const LISTENING = {
  openbsd: ['127.0.0.1', '::1'],
  freebsd: ['127.0.0.1', '2001:db8:0:1::2'],
  pfsense: ['127.0.0.1', '2001:db8:0:1::2'],
  linux: ['0.0.0.0', '::'],
}

/** Builds the scene below `parent`, a folder of the test. */
export async function healthyScene(
  recording: 'openbsd' | 'freebsd' | 'pfsense' | 'linux',
  parent: string,
): Promise<DoctorScene> {
  const folder = mkdtempSync(join(parent, 'scene-'))
  const dbFolder = join(folder, 'db')
  mkdirSync(dbFolder, { mode: 0o750 })
  const probe = new RecordedSystem(recording)
  const settings = resolveSettings(
    {
      db: join(dbFolder, 'spamd.sqlite'),
      conf: join(folder, 'spamd.conf'),
      stateDir: join(folder, 'lists'),
      key: join(folder, 'spamd.key'),
      controlSocket: join(folder, 'spamd.sock'),
      user: '_spamd',
      port: '8025',
      cfgPort: '8026',
    },
    {},
    probe.system,
  )
  createDatabase(settings.db)
  const store = await openStore(settings.db, { mode: 'write' })
  await store.upsert(WHITE, { ifMissing: false })
  await store.close()
  await makeLists(folder, settings)
  const keyFingerprint = createSyncKey(settings.key)
  const status = statusOf(settings, LISTENING[recording], keyFingerprint)
  // Started without root, the daemons read the key as their own user.
  chmodSync(settings.key, 0o640)
  const context: DoctorContext = {
    probe,
    settings,
    daemon: { kind: 'status', status },
    processes: await probe.processes(),
    sqliteFault: () => undefined,
    peer: undefined,
  }
  return {
    probe,
    settings,
    status,
    context,
    folder,
    run: async () => {
      const report = await runDoctor({ ...context, processes: await probe.processes() })
      const text = JSON.stringify(report).replaceAll(folder, '/scene')
      return JSON.parse(text) as DoctorReport
    },
  }
}

async function makeLists(folder: string, settings: Settings): Promise<void> {
  writeFileSync(join(folder, 'own.txt'), '192.0.2.0/24\n')
  writeFileSync(
    settings.conf,
    `all:\\\n\t:drop:own:\n\ndrop:\\\n\t:black:\\\n\t:msg="See www.example.org %A":\\\n\t:method=https:\\\n\t:file=lists.example.org/drop.txt:\n\nown:\\\n\t:black:\\\n\t:msg="Own list %A":\\\n\t:method=file:\\\n\t:file=${folder}/own.txt:\n`,
  )
  const lists = new ListStore(settings.stateDir)
  lists.prepare()
  const facts = { method: 'https', location: 'lists.example.org/drop.txt' } as const
  const writer = await lists.writeCopy('drop')
  await writer.write(Buffer.from('198.51.100.0/24\n'))
  await writer.commit({ ...facts, listName: 'drop', fetchedSec: TEST_NOW - 600, validator: {}, entries: 1 })
  await lists.writeState('drop', { ...facts, lastTrySec: TEST_NOW - 600, lastSuccessSec: TEST_NOW - 600 })
}

function statusOf(settings: Settings, addresses: readonly string[], keyFingerprint: string): DaemonStatus {
  return {
    pid: 51209,
    startedSec: TEST_NOW - 86_400,
    mode: 'greylisting',
    listen: addresses.map((address) => ({ address, port: 8025 })),
    configPort: 8026,
    database: settings.db,
    aloneSinceSec: undefined,
    stateDir: settings.stateDir,
    user: '_spamd',
    policy: { passSec: 1500, greyExpireSec: 14_400, whiteExpireSec: 3_110_400, trapExpireSec: 86_400 },
    greyPrefix4: undefined,
    greyPrefix6: undefined,
    poolExpireSec: 604_800,
    isLearning: false,
    pools: { networkCount: 0, replacements: 0, failures: 0 },
    lowPriorityMx: [],
    connections: { total: 3, black: 1 },
    lists: [
      { name: 'drop', entryCount: 1 },
      { name: 'own', entryCount: 1 },
    ],
    lastScan: {
      atSec: TEST_NOW - 20,
      isComplete: true,
      isWaiting: false,
      greyCount: 0,
      whiteCount: 3,
      trappedCount: 0,
      poolCount: 0,
      deletedCount: 0,
      promotedCount: 0,
      durationMs: 4,
    },
    scanIntervalSec: 60,
    table: { addressCount: 3, replacements: 1440, failures: 0 },
    sync: {
      listening: '172.16.0.1',
      peers: [{ name: '172.16.0.2', address: '172.16.0.2' }],
      keyFingerprint,
      received: { received: 10, accepted: 10, refused: {} },
      heard: [{ address: '172.16.0.2', lastSec: TEST_NOW - 30, skewSec: 0 }],
    },
  }
}
