import { registeredDomain } from '../../domain/registered-domain.js'

const SPF_PREFIX = 'spf:'

/**
 * The source that the tuples of a pool weigh on: whoever owns a domain can make up any number of names below it
 * that pass SPF, so all of them are one. `source` is what `sourceOf` says of its key.
 */
export function poolSourceOf(source: string): string {
  if (!source.startsWith(SPF_PREFIX)) return source
  return SPF_PREFIX + registeredDomain(source.slice(SPF_PREFIX.length))
}

/**
 * The names below each registered domain that have tuples. Their keys do not stand together in the order of the
 * texts, so that a source that has to make room could not find them otherwise.
 */
export class MadeUpNames {
  readonly #bySource = new Map<string, Map<string, number>>()

  /** Tells of tuples of a key that came or, below 0, went. */
  add(key: string, source: string, count: number): void {
    if (key === source) return
    let names = this.#bySource.get(source)
    if (names === undefined) {
      if (count <= 0) return
      names = new Map()
      this.#bySource.set(source, names)
    }
    const sum = (names.get(key) ?? 0) + count
    if (sum > 0) names.set(key, sum)
    else names.delete(key)
    if (names.size === 0) this.#bySource.delete(source)
  }

  /** How many keys of a source there are beside its own. */
  countOf(source: string): number {
    return this.#bySource.get(source)?.size ?? 0
  }

  /**
   * The keys of a source, those longest in it first; each that is taken goes behind all others, so that whoever asks
   * again finds others before the same.
   */
  *take(source: string): Generator<string> {
    const names = this.#bySource.get(source)
    if (names === undefined) return
    // The walk would meet those again that were put behind.
    let left = names.size
    for (const [key, count] of names) {
      if (left === 0) break
      left -= 1
      names.delete(key)
      names.set(key, count)
      yield key
    }
  }

  /** A key that has no tuples, whatever was told of it. */
  forget(key: string, source: string): void {
    this.add(key, source, -Infinity)
  }
}
