/** A store of which some calls go another way: for tests of what happens when they are late, or fail. */
import type { Store } from '../../src/db/store.js'

type Method = (...parameters: unknown[]) => Promise<unknown>
/** What happens in place of a call; it may make the call itself. */
export type Instead = (
  call: () => Promise<unknown>,
  name: keyof Store,
  parameters: readonly unknown[],
) => Promise<unknown>

/** The same store; calls of all methods, or of those that are named, go through `instead`. */
export function intercepted(store: Store, instead: Instead, names?: readonly (keyof Store)[]): Store {
  return new Proxy(store, {
    get: (target, key) => {
      const value = Reflect.get(target, key) as unknown
      if (typeof value !== 'function') return value
      const method = (value as Method).bind(target)
      const name = key as keyof Store
      if (name === 'close' || names?.includes(name) === false) return method
      return (...parameters: unknown[]) => instead(() => method(...parameters), name, parameters)
    },
  })
}

/** Something that happens once, and can be waited for. */
export class Latch {
  open = (): void => {}
  readonly opened = new Promise<void>((resolve) => {
    this.open = resolve
  })
}
