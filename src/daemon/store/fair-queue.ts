/**
 * What waits for the database, by where it came from: networks take turns, and within a network its clients do, so
 * that a busy client waits only for itself. Bounded in number and bytes: a failing disk must not eat the memory.
 * When the bound is reached the largest network pays, with the newest item of its largest client.
 */
import type { WaitingWork } from './batch-writer.js'

export interface QueueLimits {
  maxCount: number
  maxBytes: number
}

/** Where an item came from. */
export interface ItemSource {
  /** Its network, or whatever takes turns with the others. */
  network: string
  client: string
}

export interface FairQueueOptions<Item> {
  limits: QueueLimits
  maxBatch: number
  sourceOf(item: Item): ItemSource
  sizeOf(item: Item): number
  /** How much an item counts in a batch; 1 by default. The last one of a batch may exceed `maxBatch`. */
  weightOf?: ((item: Item) => number) | undefined
  /** Items of one batch agree in this; undefined: they need not. */
  groupOf?: ((item: Item) => number) | undefined
}

export class FairQueue<Item> implements WaitingWork<readonly Item[]> {
  readonly #options: FairQueueOptions<Item>
  readonly #networks = new Turns<Network<Item>>()
  /** The batch that is being written; its items are no longer evicted. */
  #batch: readonly Item[] = []
  #count = 0
  #bytes = 0

  constructor(options: FairQueueOptions<Item>) {
    this.#options = options
  }

  get length(): number {
    return this.#count + this.#batch.length
  }

  /** Adds an item and returns those that had to go for it, possibly itself. */
  push(item: Item): Item[] {
    const { limits, sourceOf, sizeOf } = this.#options
    const { network: networkName, client: clientName } = sourceOf(item)
    const network = this.#networks.getOr(networkName, () => new Network<Item>(networkName))
    const client = network.clients.getOr(clientName, () => new Client<Item>(clientName))
    client.items.push(item)
    network.clients.resize(client, 1)
    this.#networks.resize(network, 1)
    this.#count += 1
    this.#bytes += sizeOf(item)
    const dropped: Item[] = []
    while (this.length > limits.maxCount || (this.#bytes > limits.maxBytes && this.length > 1)) {
      const victim = this.#networks.largest()
      if (victim === undefined) break
      const greediest = victim.clients.largest()!
      const item = this.#leave(victim, greediest, greediest.items.pop()!)
      this.#bytes -= sizeOf(item)
      dropped.push(item)
    }
    return dropped
  }

  /** Items up to `maxBatch`, a round of all networks at a time; the same ones until they are removed. */
  nextBatch(): readonly Item[] {
    if (this.#batch.length > 0) return this.#batch
    const { maxBatch, weightOf = () => 1, groupOf = () => 0 } = this.#options
    const batch: Item[] = []
    let weight = 0
    let group: number | undefined
    const isWanted = (item: Item): boolean => groupOf(item) === group
    // A client that is served moves to the end of the map, where the walk meets it again; one without wanted items
    // is passed once.
    const walks = new Map<Network<Item>, Iterator<Client<Item>>>()
    for (const network of this.#networks.values()) {
      if (weight >= maxBatch) break
      group ??= groupOf(network.first()!)
      const walk = walks.get(network) ?? network.clients.values()
      walks.set(network, walk)
      const client = nextWith(walk, isWanted)
      if (client === undefined) continue
      network.clients.toTheEnd(client)
      this.#networks.toTheEnd(network)
      const item = this.#leave(network, client, client.items.shift()!)
      batch.push(item)
      weight += weightOf(item)
    }
    this.#batch = batch
    return batch
  }

  remove(): void {
    for (const item of this.#batch) this.#bytes -= this.#options.sizeOf(item)
    this.#batch = []
  }

  /** Everything that waits, in no particular order. */
  *items(): Generator<Item> {
    yield* this.#batch
    for (const network of this.#networks.values()) {
      for (const client of network.clients.values()) yield* client.items.all()
    }
  }

  #leave(network: Network<Item>, client: Client<Item>, item: Item): Item {
    network.clients.resize(client, -1)
    this.#networks.resize(network, -1)
    this.#count -= 1
    return item
  }
}

interface Sized {
  readonly name: string
  /** Items below it. */
  count: number
}

class Client<Item> implements Sized {
  readonly items = new Line<Item>()
  count = 0
  readonly name: string

  constructor(name: string) {
    this.name = name
  }
}

class Network<Item> implements Sized {
  readonly clients = new Turns<Client<Item>>()
  count = 0
  readonly name: string

  constructor(name: string) {
    this.name = name
  }

  /** The item whose turn it is. */
  first(): Item | undefined {
    for (const client of this.clients.values()) return client.items.first()
    return undefined
  }
}

/** The next client of a walk whose oldest item is wanted. */
function nextWith<Item>(
  walk: Iterator<Client<Item>>,
  isWanted: (item: Item) => boolean,
): Client<Item> | undefined {
  for (let step = walk.next(); step.done !== true; step = walk.next()) {
    if (isWanted(step.value.items.first()!)) return step.value
  }
  return undefined
}

/** Members in their turn, known by name, with the largest at hand; empty ones are forgotten. */
class Turns<Member extends Sized> {
  readonly #members = new Map<string, Member>()
  /** Members by their number of items. */
  readonly #byCount = new Map<number, Set<Member>>()
  #largestCount = 0

  getOr(name: string, make: () => Member): Member {
    let member = this.#members.get(name)
    if (member === undefined) {
      member = make()
      this.#members.set(name, member)
    }
    return member
  }

  /** In turn; a member that is moved to the end meanwhile comes again. */
  values(): IterableIterator<Member> {
    return this.#members.values()
  }

  toTheEnd(member: Member): void {
    this.#members.delete(member.name)
    this.#members.set(member.name, member)
  }

  largest(): Member | undefined {
    for (const member of this.#byCount.get(this.#largestCount) ?? []) return member
    return undefined
  }

  /** Counts one item more or less. */
  resize(member: Member, step: 1 | -1): void {
    const peers = this.#byCount.get(member.count)
    peers?.delete(member)
    if (peers?.size === 0) this.#byCount.delete(member.count)
    member.count += step
    if (member.count === 0) {
      this.#members.delete(member.name)
    } else {
      const set = this.#byCount.get(member.count) ?? new Set()
      this.#byCount.set(member.count, set.add(member))
    }
    if (member.count > this.#largestCount) this.#largestCount = member.count
    // One item fewer is left, so the next smaller number is the largest.
    else if (!this.#byCount.has(this.#largestCount)) this.#largestCount = Math.max(0, this.#largestCount - 1)
  }
}

/** First in, first out, in constant time. */
class Line<Item> {
  readonly #items: Item[] = []
  #head = 0

  push(item: Item): void {
    this.#items.push(item)
  }

  first(): Item | undefined {
    return this.#items[this.#head]
  }

  shift(): Item | undefined {
    const item = this.#items[this.#head]
    this.#head += 1
    if (this.#head > 1024 && this.#head * 2 > this.#items.length) {
      this.#items.splice(0, this.#head)
      this.#head = 0
    }
    return item
  }

  pop(): Item | undefined {
    return this.#items.pop()
  }

  *all(): Generator<Item> {
    for (let index = this.#head; index < this.#items.length; index += 1) yield this.#items[index]!
  }
}
