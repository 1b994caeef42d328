/**
 * Names under which a connection keeps statements prepared: those that are repeated with each batch and whose plan does
 * not depend on a value. Planning them each time would cost more than a dialogue itself.
 */

/** Calls of our functions, whose plans the server keeps, and inserts. */
const IS_PLAIN =
  /\bspamd\.\w+\(|^INSERT INTO spamd\.(?:journal|history) |^SELECT .* FROM spamd\.releases ORDER BY /s
/** Statements of one connection that are kept. */
const MAX_NAMES = 64

/** The names of one connection. */
export class StatementNames {
  readonly #names = new Map<string, string>()

  /** Undefined for a statement that is planned each time. */
  of(text: string): string | undefined {
    return this.#names.get(text) ?? (IS_PLAIN.test(text) ? this.ofPages(text) : undefined)
  }

  /** The same for a statement whose plan does not depend on a value, whatever its text is. */
  ofPages(text: string): string | undefined {
    const known = this.#names.get(text)
    if (known !== undefined) return known
    if (this.#names.size >= MAX_NAMES) return undefined
    const name = `s${this.#names.size + 1}`
    this.#names.set(text, name)
    return name
  }
}
