import { AppError } from '../platform/app-error.js'
import { openSqlite } from './sqlite-driver.js'

/** Why SQLite cannot be used here. */
export interface SqliteFault {
  /** In the words of its driver. */
  reason: string
  /** The driver is there, but was built for another Node. */
  isOtherNode: boolean
}

/** Undefined when SQLite works. */
export function sqliteFault(): SqliteFault | undefined {
  try {
    openSqlite(':memory:', {}).close()
    return undefined
  } catch (error) {
    return {
      reason: error instanceof Error ? error.message : String(error),
      isOtherNode: error instanceof AppError && error.code === 'ERR_DB_NATIVE',
    }
  }
}
