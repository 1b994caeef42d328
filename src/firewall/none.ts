import type { Firewall, TableChange, TableContent, TableLimits, TableSpec } from './backend.js'
import { checkTable } from './table-content.js'

/** No packet filter: tables are checked but not loaded, for gateways that redirect in another way. */
export class NoFirewall implements Firewall {
  readonly name = 'none'

  async replaceTable(table: TableSpec, content: TableContent): Promise<void> {
    checkTable(table, content)
  }

  async changeTable(table: TableSpec, _change: TableChange, content: TableContent): Promise<void> {
    checkTable(table, content)
  }

  async countTable(): Promise<undefined> {
    return undefined
  }

  watchLoss(): () => void {
    return () => undefined
  }

  async readTable(): Promise<undefined> {
    return undefined
  }

  async limits(): Promise<TableLimits> {
    return { maxEntries: undefined, maxRequest: undefined }
  }

  describe(): string {
    return 'no packet filter'
  }
}
