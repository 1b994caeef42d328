import { openSqlite } from './sqlite-driver.js'

/** Why SQLite cannot be used here, in the words of its driver; undefined when it works. */
export function sqliteFault(): string | undefined {
  try {
    openSqlite(':memory:', {}).close()
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}
