/** A result of a check of `spamdctl doctor`. */

/**
 * `error`: mail is delayed, lost or unchecked, now or after the next start; `warning`: it will be, or could
 * be.
 */
export const LEVELS = ['ok', 'info', 'warning', 'error'] as const
export type Level = (typeof LEVELS)[number]

export interface Finding {
  /** Stable name, `area.check`. */
  id: string
  level: Level
  /** One line, lower case, no full stop, not yet escaped for a terminal. */
  message: string
  /** The command that fixes it, or where to look; undefined when nothing has to be done. */
  fix: string | undefined
}

/** Collects findings in the order in which they are made. */
export class Findings {
  readonly list: Finding[] = []

  ok(id: string, message: string): void {
    this.#add(id, 'ok', message)
  }

  /** Information that is not an error, such as what could not be checked. */
  info(id: string, message: string, fix?: string): void {
    this.#add(id, 'info', message, fix)
  }

  warning(id: string, message: string, fix?: string): void {
    this.#add(id, 'warning', message, fix)
  }

  error(id: string, message: string, fix?: string): void {
    this.#add(id, 'error', message, fix)
  }

  #add(id: string, level: Level, message: string, fix?: string): void {
    this.list.push({ id, level, message, fix })
  }
}
