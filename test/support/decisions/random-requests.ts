/** Random requests of every kind on a few keys, each with how a program has them decided. */
import { decideAttempts, selectAttempts } from '../../../src/domain/decide-attempts.js'
import { decideEdits, selectEdits } from '../../../src/domain/decide-edits.js'
import { decideFindings, selectFindings } from '../../../src/domain/decide-findings.js'
import { decideImport, selectEntries } from '../../../src/domain/decide-import.js'
import { decideMerge, type MergeRecord, selectMerge } from '../../../src/domain/decide-merge.js'
import { selectPools } from '../../../src/domain/decide-pools.js'
import { decideReleases, selectReleases } from '../../../src/domain/decide-release.js'
import { decideScan, selectScan } from '../../../src/domain/decide-scan.js'
import { decideSightings, selectSightings } from '../../../src/domain/decide-sightings.js'
import { decideSync, selectSync } from '../../../src/domain/decide-sync.js'
import type { Draft, Selection } from '../../../src/domain/draft.js'
import type { Entry, Tuple } from '../../../src/domain/entry.js'
import { keyOf } from '../../../src/domain/entry-key.js'
import type {
  AttemptFinding,
  GreyPolicy,
  ManualEdit,
  PoolAttempt,
  ReleaseEdit,
  ScanChanges,
  Sighting,
  SyncChange,
  TupleAttempt,
  UpsertCounts,
} from '../../../src/domain/requests.js'

export type Random = (below: number) => number

/** Two addresses of one network, and one of another family. */
export const IPS = ['192.0.2.1', '192.0.2.2', '2001:db8::1']
const TRAPS = ['trap@example.net', 'trap2@example.net']
const RELEASES = ['r1', 'r2', 'r3', 'r4', 'r5', 'r6']
const NETWORKS = ['192.0.2.0/24', '192.0.2.1/32', '2001:db8::/64']

/** What random requests are made of. */
export interface Scene {
  random: Random
  now: number
  policy: GreyPolicy
  /** What is on record where they are decided. */
  entries: readonly Entry[]
  /** What another gateway could send. */
  records: readonly MergeRecord[]
}

/** A decision about some requests, as a store asks for it. */
export interface Step {
  select(): Selection
  further?: (draft: Draft) => Selection
  decide(draft: Draft): unknown
}

/** Requests that a program may have decided in one transaction, or one after the other. */
export interface Batch {
  name: string
  whole: Step
  parts: readonly Step[]
  /** The outcome of the whole from those of the parts. */
  join(outcomes: readonly unknown[]): unknown
}

interface RequestKind<Request, Outcome> {
  make(scene: Scene): Request
  select(requests: readonly Request[]): Selection
  further?: (draft: Draft, requests: readonly Request[]) => Selection
  decide(draft: Draft, requests: readonly Request[]): Outcome
  /** Without it, outcomes are lists. */
  join?: (outcomes: readonly Outcome[]) => Outcome
}

function batchOf<Request, Outcome>(
  name: string,
  kind: RequestKind<Request, Outcome>,
  requests: readonly Request[],
): Batch {
  const stepOf = (some: readonly Request[]): Step => ({
    select: () => kind.select(some),
    ...(kind.further === undefined ? {} : { further: (draft: Draft) => kind.further!(draft, some) }),
    decide: (draft) => kind.decide(draft, some),
  })
  return {
    name,
    whole: stepOf(requests),
    parts: requests.map((request) => stepOf([request])),
    join: (outcomes) => (kind.join === undefined ? outcomes.flat() : kind.join(outcomes as Outcome[])),
  }
}

/** One to three requests of a random kind. */
export function randomBatch(scene: Scene): Batch {
  const { random } = scene
  const makers = Object.entries(BATCHES)
  const [name, make] = makers[random(makers.length)]!
  return make(name, scene)
}

/** So many requests of one kind. */
function several<Request, Outcome>(
  kindOf: (scene: Scene) => RequestKind<Request, Outcome>,
  order: (requests: Request[]) => Request[] = (requests) => requests,
): (name: string, scene: Scene) => Batch {
  return (name, scene) => {
    const kind = kindOf(scene)
    const requests = Array.from({ length: 1 + scene.random(3) }, () => kind.make(scene))
    return batchOf(name, kind, order(requests))
  }
}

const pick = <Value>(random: Random, values: readonly Value[]): Value => values[random(values.length)]!

const BATCHES: Record<string, (name: string, scene: Scene) => Batch> = {
  edits: several(() => ({
    make: makeEdit,
    select: selectEdits,
    decide: (draft, edits) => decideEdits(draft, edits, { rule: 'manual', actor: 'root' }),
  })),
  attempts: several(attempts),
  // Twice as often as others: most that can happen begins with an attempt.
  moreAttempts: several(attempts),
  findings: several(({ policy }) => ({
    make: makeFinding,
    select: (findings: readonly AttemptFinding[]) => selectFindings(findings, policy),
    decide: (draft, findings: readonly AttemptFinding[]) => decideFindings(draft, findings, policy),
  })),
  sightings: several(({ random, policy: { whiteExpireSec } }) => {
    const options = { whiteExpireSec, untrap: random(2) === 0 }
    return {
      make: (): Sighting => ({ ip: pick(random, IPS), count: 1 + random(3) }),
      select: selectSightings,
      decide: (draft, sightings) => decideSightings(draft, sightings, options),
    }
  }),
  scan: several(
    ({ policy }) => ({
      make: makeScan,
      select: (scans: readonly ScanChanges[]) => selectScan(joinScans(scans)),
      decide: (draft: Draft, scans: readonly ScanChanges[]) => decideScan(draft, joinScans(scans), policy),
      join: (outcomes: readonly ReturnType<typeof decideScan>[]) => ({
        deletedCount: outcomes.reduce((sum, { deletedCount }) => sum + deletedCount, 0),
        promoted: outcomes.flatMap(({ promoted }) => promoted),
      }),
    }),
    (scans) => scans.sort((one, other) => scanOrder(one) - scanOrder(other)),
  ),
  sync: several(({ policy }) => ({
    make: makeSync,
    select: selectSync,
    decide: (draft, changes: readonly SyncChange[]) => decideSync(draft, changes, policy),
  })),
  import: several(({ random }) => {
    const ifMissing = random(3) === 0
    return {
      make: makeEntry,
      select: selectEntries,
      decide: (draft: Draft, entries: readonly Entry[]) => decideImport(draft, entries, { ifMissing }),
      join: (counts: readonly UpsertCounts[]) => ({
        added: counts.reduce((sum, { added }) => sum + added, 0),
        updated: counts.reduce((sum, { updated }) => sum + updated, 0),
        skipped: counts.reduce((sum, { skipped }) => sum + skipped, 0),
      }),
    }
  }),
  merge: (name, scene) => {
    const { random, records, policy } = scene
    const kind: RequestKind<MergeRecord, unknown[]> = {
      make: () => pick(random, records),
      select: (some) => selectMerge(some, policy),
      decide: (draft, some) => decideMerge(draft, some, policy, { rule: 'merge', actor: 'other' }),
    }
    const count = records.length === 0 ? 0 : 1 + random(6)
    return batchOf(
      name,
      kind,
      Array.from({ length: count }, () => kind.make(scene)),
    )
  },
  releases: several(() => ({
    make: makeRelease,
    select: selectReleases,
    decide: (draft, edits: readonly ReleaseEdit[]) => decideReleases(draft, edits, 'root'),
  })),
}

function attempts({ policy }: Scene): RequestKind<TupleAttempt, unknown[]> {
  return {
    make: makeAttempt,
    select: (some) => selectAttempts(some, policy),
    further: (draft, some) => selectPools(draft, some, policy),
    decide: (draft, some) => decideAttempts(draft, some, policy),
  }
}

function makeTuple(random: Random): Tuple {
  return {
    ip: pick(random, IPS),
    helo: pick(random, ['mx1', 'mx2']),
    from: pick(random, ['<s@example.org>', '<>']),
    to: '<user@example.net>',
  }
}

function makeEdit({ random, now, entries }: Scene): ManualEdit {
  const ip = pick(random, IPS)
  switch (random(8)) {
    case 0:
      return { operation: 'delete', key: { kind: 'host', ip } }
    case 1:
      return { operation: 'delete', key: { kind: 'spamtrap', address: pick(random, TRAPS) } }
    case 2:
      return {
        operation: 'add',
        kind: 'SPAMTRAP',
        address: pick(random, TRAPS),
        options: someOptions(random, now),
      }
    case 3:
      return { operation: 'delete-tuples', ip, all: random(2) === 0 }
    case 4: {
      const entry = entries.length === 0 ? undefined : pick(random, entries)
      return { operation: 'delete', key: entry === undefined ? { kind: 'host', ip } : keyOf(entry) }
    }
    default:
      return {
        operation: 'add',
        kind: pick(random, ['WHITE', 'TRAPPED']),
        ip,
        options: someOptions(random, now),
      }
  }
}

const someOptions = (random: Random, now: number) =>
  pick(random, [{}, { expire: 0 }, { expire: now + 50 }, { comment: 'c' }, { ifMissing: true }])

function makeAttempt({ random }: Scene): TupleAttempt {
  const tuple = makeTuple(random)
  const pools: PoolAttempt[] = []
  if (random(2) === 0 && !tuple.ip.includes(':')) {
    pools.push({ key: { kind: 'network', network: '192.0.2.0/24' }, mayOpen: random(4) > 0 })
  }
  return {
    tuple,
    pools,
    mayOpenAround: random(4) > 0,
    clientIp: tuple.ip,
    trapKey: random(6) === 0 ? pick(random, TRAPS) : 'user@example.net',
    isDomainTrap: random(16) === 0,
    isLowPriorityMx: random(12) === 0,
    mayPromote: random(6) > 0,
  }
}

function makeFinding(scene: Scene): AttemptFinding {
  const { random } = scene
  return {
    attempt: makeAttempt(scene),
    spfPass: random(2) === 0 ? { domain: 'example.org', isOfDomain: random(3) > 0 } : undefined,
    isSpfFail: random(8) === 0,
    isAllowListed: random(6) === 0,
  }
}

/** One entry that is due, or would be by another clock. */
function makeScan({ random, entries }: Scene): ScanChanges {
  const scan: ScanChanges = { expired: [], promoted: [], blocked: [], blockedTuples: [], closedPools: [] }
  const entry = entries.length === 0 ? undefined : pick(random, entries)
  const tuple = entry?.kind === 'GREY' ? entry : makeTuple(random)
  switch (random(5)) {
    case 0:
      if (entry !== undefined) scan.expired.push(keyOf(entry))
      break
    case 1:
      scan.blocked.push(pick(random, IPS))
      break
    case 2:
      scan.closedPools!.push(pick(random, NETWORKS))
      break
    case 3:
      scan.blockedTuples.push(tuple)
      break
    default:
      scan.promoted.push(tuple)
  }
  return scan
}

/** The parts of a scan are decided kind by kind. */
function scanOrder({ expired, promoted, blocked, blockedTuples }: ScanChanges): number {
  const place = [expired, promoted, blocked, blockedTuples].findIndex((due) => due.length > 0)
  return place < 0 ? 4 : place
}

function joinScans(scans: readonly ScanChanges[]): ScanChanges {
  return {
    expired: scans.flatMap(({ expired }) => expired),
    promoted: scans.flatMap(({ promoted }) => promoted),
    blocked: scans.flatMap(({ blocked }) => blocked),
    blockedTuples: scans.flatMap(({ blockedTuples }) => blockedTuples),
    closedPools: scans.flatMap(({ closedPools }) => closedPools ?? []),
  }
}

function makeSync({ random, now }: Scene): SyncChange {
  const ip = pick(random, IPS)
  if (random(3) === 0) return { type: 'delete', ip, peer: 'other' }
  return { type: pick(random, ['WHITE', 'TRAPPED']), ip, expire: now + random(900) - 50 }
}

/** An address that makes no attempts: an import may give more tuples than attempts do, and the next one takes those away. */
const QUIET_IP = '198.51.100.7'

function makeEntry({ random, now, entries }: Scene): Entry {
  const first = now - random(200)
  const expire = pick(random, [0, now + 50, now + 900, now - 10])
  const comment = random(3) === 0 ? { comment: 'imported' } : {}
  switch (random(5)) {
    case 0:
      return { kind: 'SPAMTRAP', address: pick(random, TRAPS), first, ...comment }
    case 1: {
      const end = first + 900
      const known = entries.filter(({ kind }) => kind === 'GREY')
      const tuple = { ...makeTuple(random), ip: QUIET_IP }
      if (random(2) === 0 && known.length > 0) Object.assign(tuple, pick(random, known))
      return {
        kind: 'GREY',
        ...tuple,
        first,
        pass: pick(random, [end, now]),
        expire: end,
        bcount: 1,
        pcount: 0,
      }
    }
    case 2: {
      const ip = pick(random, NETWORKS)
      return {
        kind: 'POOL',
        ip,
        pool: 'spf:example.org',
        first,
        pass: now,
        expire: now + 900,
        bcount: 2,
        pcount: 0,
      }
    }
    case 3:
      return {
        kind: 'TRAPPED',
        ip: pick(random, IPS),
        first,
        pass: 0,
        expire,
        bcount: 1,
        pcount: -1,
        ...comment,
      }
    default:
      return {
        kind: 'WHITE',
        ip: pick(random, IPS),
        first,
        pass: first,
        expire,
        bcount: 1,
        pcount: 3,
        ...comment,
      }
  }
}

function makeRelease({ random, now }: Scene): ReleaseEdit {
  const id = pick(random, RELEASES)
  if (random(3) === 0) return { operation: 'cancel', id }
  return {
    operation: 'make',
    release: {
      kind: 'RELEASE',
      id,
      scope: pick(random, ['address', 'pool']),
      to: 'user@example.net',
      from: random(2) === 0 ? '' : undefined,
      network: random(2) === 0 ? '192.0.2.0/24' : undefined,
      first: now,
      expire: now + 1 + random(600),
      used: 0,
      author: 'root',
    },
  }
}
