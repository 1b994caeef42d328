/** A store in memory that knows no rule: it loads what a selection names, and keeps what a decision changed. */
import { type Change, type ChangeKey, keyText, tupleText } from '../../../src/domain/change.js'
import type { Draft, Selection } from '../../../src/domain/draft.js'
import type { Entry } from '../../../src/domain/entry.js'
import type { HeldHost, HeldPool, HeldSpamtrap, HeldTuple } from '../../../src/domain/held.js'
import { networksAround } from '../../../src/domain/pool-key.js'
import type { HeldRelease } from '../../../src/domain/release.js'
import { isInNetwork, parseCidr } from '../../../src/ip/cidr.js'

/** What is on record under one key. */
export type Held = Change['after']
interface Row<Kind extends ChangeKey['kind']> {
  key: Extract<ChangeKey, { kind: Kind }>
  held: Extract<Change, { key: { kind: Kind } }>['after']
}

/** All keys with what is on record; each change makes another one. */
export class ModelStore {
  #text: string | undefined
  readonly #rows: ReadonlyMap<string, { key: ChangeKey; held: Held }>

  constructor(rows: ReadonlyMap<string, { key: ChangeKey; held: Held }> = new Map()) {
    this.#rows = rows
  }

  /** The same after changes in their order. */
  applied(changes: readonly Change[]): ModelStore {
    return this.#with(changes.map(({ key, after }) => ({ key, held: after })))
  }

  /** The same before changes that were applied. */
  undone(changes: readonly Change[]): ModelStore {
    return this.#with(changes.toReversed().map(({ key, before }) => ({ key, held: before })))
  }

  #with(rows: readonly { key: ChangeKey; held: Held }[]): ModelStore {
    const all = new Map(this.#rows)
    for (const row of rows) all.set(keyText(row.key), { ...row, held: asStored(row.key, row.held) })
    return new ModelStore(all)
  }

  /** Every key that holds something. */
  rows(): { key: ChangeKey; held: Held }[] {
    return [...this.#rows.values()].filter(({ held }) => isThere(held))
  }

  /** Entries of every kind. */
  entries(): Entry[] {
    return this.rows().flatMap(({ held: { entry } }) =>
      entry === undefined || entry.kind === 'RELEASE' ? [] : [entry],
    )
  }

  /** All of it as one text, to compare. */
  get text(): string {
    this.#text ??= this.#makeText()
    return this.#text
  }

  #makeText(): string {
    const lines = this.rows().map(({ key, held }) => `${keyText(key)} ${sortedJson(held)}`)
    return lines.sort().join('\n')
  }

  /** The entries alone, without stamps. */
  get entryText(): string {
    return this.entries().map(sortedJson).sort().join('\n')
  }

  hostOf(ip: string): HeldHost | undefined {
    return this.#rows.get(ip)?.held as HeldHost | undefined
  }

  /** Loads as a store does; what was loaded before stays. */
  load(selection: Selection, draft: Draft): void {
    for (const ip of selection.hosts) this.#each(ip, (held) => draft.holdHost(ip, held as HeldHost))
    for (const address of selection.spamtraps) {
      this.#each(`@${address}`, (held) => draft.holdSpamtrap(address, held as HeldSpamtrap))
    }
    const newCounts = new Map<string, number>()
    const knownCounts = new Map<string, number>()
    for (const [text, { ip }] of selection.tuples) {
      const held = this.#rows.get(text)?.held as HeldTuple | undefined
      const counts = held?.entry === undefined ? newCounts : knownCounts
      counts.set(ip, (counts.get(ip) ?? 0) + 1)
      if (held !== undefined) draft.holdTuple(text, held)
    }
    this.#loadPools(selection, draft)
    for (const [ip, limit] of selection.tuplesOf) {
      const queue = this.#tuplesOf(ip).slice(0, limit + draft.takenCount(ip))
      draft.holdAddressTuples(ip, queue.length, queue)
    }
    if (selection.releases === true) {
      for (const { key, held } of this.#ofKind('release')) draft.holdRelease(key.id, held)
    }
    if (selection.maxTuplesPerAddress === undefined) return
    for (const [ip, newCount] of newCounts) {
      const known = this.#tuplesOf(ip)
      const excess = known.length + newCount - selection.maxTuplesPerAddress
      const wanted = excess > 0 ? excess + (knownCounts.get(ip) ?? 0) : 0
      draft.holdAddressTuples(ip, known.length, known.slice(0, wanted))
    }
  }

  #loadPools({ pools, poolsAround, trapsIn, poolCounts }: Selection, draft: Draft): void {
    const networks = new Set([...pools, ...[...poolsAround].flatMap(networksAround)])
    for (const network of networks) {
      this.#each(network, (held) => draft.holdPool(network, held as HeldPool))
    }
    for (const network of trapsIn) {
      const parsed = parseCidr(network)!
      for (const { key, held } of this.#ofKind('host')) {
        if (held.entry?.kind === 'TRAPPED' && isInNetwork(key.ip, parsed)) draft.holdTrapIn(network, key.ip)
      }
    }
    for (const pool of poolCounts) {
      const opened = this.#ofKind('pool').flatMap(({ held: { entry } }) =>
        entry?.pool === pool ? [entry] : [],
      )
      const others = opened.filter(({ ip }) => !networks.has(ip)).map(({ expire }) => expire)
      draft.holdOpened(pool, { count: opened.length, lastExpire: Math.max(0, ...others) })
    }
  }

  #each(text: string, body: (held: Held) => void): void {
    const held = this.#rows.get(text)?.held
    if (held !== undefined) body(held)
  }

  #ofKind<Kind extends ChangeKey['kind']>(kind: Kind): Row<Kind>[] {
    return this.rows().filter(({ key }) => key.kind === kind) as unknown as Row<Kind>[]
  }

  /** The tuples of an address in the order in which they are to go. */
  #tuplesOf(ip: string): HeldTuple[] {
    const found = this.#ofKind('tuple').filter(({ key, held }) => key.ip === ip && held.entry !== undefined)
    return found
      .map(({ held }) => held)
      .sort(({ entry: one }, { entry: other }) =>
        one!.first !== other!.first
          ? one!.first - other!.first
          : tupleText(one!) < tupleText(other!)
            ? -1
            : 1,
      )
  }
}

/** The part of what is held that a store keeps. */
function asStored(key: ChangeKey, held: Held): Held {
  if (key.kind === 'pool') {
    const { entry, reset } = held as HeldPool
    return { entry, reset: entry === undefined ? reset : undefined }
  }
  if (key.kind === 'tuple') {
    const { entry, marks } = held as HeldTuple
    if (entry !== undefined) return held
    return { entry, marks: marks?.epoch === undefined ? undefined : { epoch: marks.epoch } }
  }
  if (key.kind === 'release') {
    const { entry, stamp } = held as HeldRelease
    return entry === undefined ? { entry, stamp: undefined } : { entry, stamp }
  }
  return held
}

function isThere(held: Held): boolean {
  return Object.values(held).some((part) => part !== undefined)
}

/** JSON with the fields of every object in one order; a field without a value counts as absent. */
function sortedJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => {
    if (part === null || typeof part !== 'object' || Array.isArray(part)) return part
    return Object.fromEntries(Object.entries(part).sort(([one], [other]) => (one < other ? -1 : 1)))
  })
}
