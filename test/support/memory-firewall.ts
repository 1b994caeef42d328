import type {
  Firewall,
  TableChange,
  TableContent,
  TableLimits,
  TableSpec,
} from '../../src/firewall/backend.js'
import { sortPrefixes, splitLines } from '../../src/firewall/prefix-lines.js'
import { checkTable, checkTableName } from '../../src/firewall/table-content.js'
import { AppError } from '../../src/platform/app-error.js'

/** Tables in memory that behave like those of a packet filter, for tests of code that uses one. */
export class MemoryFirewall implements Firewall {
  readonly name = 'none'
  /** Tables by name, in the order of their creation. */
  readonly tables = new Map<string, string[]>()
  /** Calls of `replaceTable` that changed a table, by table name. */
  readonly replaceCounts = new Map<string, number>()
  /** If set, `replaceTable` rejects with it and changes nothing. */
  failure: AppError | undefined
  readonly #limits: TableLimits
  readonly #watchers = new Set<() => void>()

  constructor(limits: Partial<TableLimits> = {}) {
    this.#limits = { maxEntries: undefined, maxRequest: undefined, ...limits }
  }

  async replaceTable(table: TableSpec, content: TableContent): Promise<void> {
    checkTable(table, content)
    if (this.failure !== undefined) throw this.failure
    const { maxEntries } = this.#limits
    const entryCount = content.ipv4.count + content.ipv6.count
    if (maxEntries !== undefined && entryCount > maxEntries) {
      throw new AppError('ERR_FIREWALL_LIMIT', `${entryCount} entries exceed the limit of ${maxEntries}`)
    }
    this.tables.set(table.name, [...splitLines(content.ipv4.text), ...splitLines(content.ipv6.text)])
    this.replaceCounts.set(table.name, (this.replaceCounts.get(table.name) ?? 0) + 1)
  }

  async changeTable(table: TableSpec, change: TableChange, content: TableContent): Promise<void> {
    checkTable(table, content)
    if (this.failure !== undefined) throw this.failure
    const entries = new Set(this.tables.get(table.name) ?? [])
    for (const line of [...splitLines(content.ipv4.text), ...splitLines(content.ipv6.text)]) {
      if (change === 'add') entries.add(line)
      else entries.delete(line)
    }
    this.tables.set(table.name, sortPrefixes(entries))
  }

  async countTable(table: TableSpec): Promise<number | undefined> {
    return this.tables.get(table.name)?.length ?? 0
  }

  /** Tells the watchers that tables are gone, as after a manual flush. */
  lose(): void {
    this.tables.clear()
    for (const onLost of this.#watchers) onLost()
  }

  watchLoss(onLost: () => void): () => void {
    this.#watchers.add(onLost)
    return () => this.#watchers.delete(onLost)
  }

  async readTable(table: TableSpec): Promise<string[] | undefined> {
    checkTableName(table)
    return this.tables.get(table.name)?.slice()
  }

  async limits(): Promise<TableLimits> {
    return this.#limits
  }

  describe(): string {
    return 'tables in memory'
  }
}
