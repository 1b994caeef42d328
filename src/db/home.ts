import { hostname } from 'node:os'

/** Where a database lives. A copy, on another host or beside the first, lives elsewhere and is a node of its own. */
export function homeOf(file: { ino: number }): string {
  return `${hostname()}:${file.ino}`
}
