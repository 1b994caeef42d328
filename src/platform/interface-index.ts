import { readdirSync, readFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import type { Clock } from './clock.js'

const NETWORK_FOLDER = '/sys/class/net'
/** An interface that is recreated gets a new index; checking every second is enough. */
const MAX_AGE_MS = 1_000

/** Kernel indexes of network interfaces by name, as NFLOG records carry them (Linux). */
export class InterfaceIndexes {
  readonly #clock: Clock
  readonly #folder: string
  readonly #known = new Map<string, { index: number | undefined; readMs: number }>()

  /** `folder` is where the kernel lists interfaces. */
  constructor(clock: Clock, folder = NETWORK_FOLDER) {
    this.#clock = clock
    this.#folder = folder
  }

  /** The index, at most a second old; undefined when there is no such interface. `name` is one of our own options. */
  readonly indexOf = (name: string): number | undefined => {
    const nowMs = this.#clock.monotonicMs()
    const known = this.#known.get(name)
    if (known !== undefined && nowMs - known.readMs < MAX_AGE_MS) return known.index
    let index: number | undefined
    try {
      index = Number(readFileSync(`${this.#folder}/${name}/ifindex`, 'latin1')) || undefined
    } catch {
      index = undefined
    }
    this.#known.set(name, { index, readMs: nowMs })
    return index
  }
}

/** Names of the existing network interfaces, sorted: for messages. */
export function listInterfaces(folder = NETWORK_FOLDER): string[] {
  try {
    return readdirSync(folder).sort()
  } catch {
    return Object.keys(networkInterfaces()).sort()
  }
}
