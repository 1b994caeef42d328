/** What a check of `spamdctl doctor` says. */

/** `error`: mail suffers or is let through, now or at the next start; `warning`: it will, or could. */
export const LEVELS = ['ok', 'info', 'warning', 'error'] as const
export type Level = (typeof LEVELS)[number]

export interface Finding {
  /** Stable name, `area.check`. */
  id: string
  level: Level
  /** One line, lower case, no full stop, not yet escaped for a terminal. */
  message: string
  /** The command that mends it, or where to look; undefined when nothing has to be done. */
  fix: string | undefined
}

/** Collects findings in the order in which they are made. */
export class Findings {
  readonly list: Finding[] = []

  ok(id: string, message: string): void {
    this.#add(id, 'ok', message)
  }

  /** Something to know that is no fault, such as what could not be seen. */
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
