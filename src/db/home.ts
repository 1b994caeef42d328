import { hostname } from 'node:os'

/**
 * Identifies where a database is. A copy, on another host or beside the first, is elsewhere and is a separate
 * node.
 */
export function homeOf(file: { ino: number }): string {
  return `${hostname()}:${file.ino}`
}
