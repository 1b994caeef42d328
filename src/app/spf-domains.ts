/**
 * The file of --grey-spf: domains whose SPF is checked. One a line, white space around it removed, empty lines and
 * lines that start with `#` skipped; `.example.org` is every domain below example.org.
 */

import { isHostName } from '../codec/dns/dns-name.js'
import { escapeControl } from '../codec/escape.js'
import { AppError } from '../platform/app-error.js'

/** Domains as a file names them. */
export class SpfDomains {
  readonly #exact = new Set<string>()
  /** Without the dot in front. */
  readonly #above = new Set<string>()

  /** Throws `AppError` `ERR_SPF_DOMAINS_LINE` for a line that is no domain; `path` is for the message. */
  constructor(content: Uint8Array, path: string) {
    const lines = Buffer.from(content.buffer, content.byteOffset, content.byteLength)
      .toString('latin1')
      .split('\n')
    for (const [index, line] of lines.entries()) {
      const text = line.trim().toLowerCase()
      if (text === '' || text.startsWith('#')) continue
      const isAbove = text.startsWith('.')
      const name = isAbove ? text.slice(1) : text
      if (!isHostName(name)) {
        const message = `${path}:${index + 1}: "${escapeControl(line.trim().slice(0, 80))}" is not a domain`
        throw new AppError('ERR_SPF_DOMAINS_LINE', message, {
          hint: 'write one domain per line, such as example.org, or .example.org for its subdomains',
        })
      }
      ;(isAbove ? this.#above : this.#exact).add(name)
    }
  }

  /** How many lines name a domain. */
  get size(): number {
    return this.#exact.size + this.#above.size
  }

  /** True for a domain, in lower case, that a line names. */
  has(domain: string): boolean {
    if (this.#exact.has(domain)) return true
    for (let dot = domain.indexOf('.'); dot >= 0; dot = domain.indexOf('.', dot + 1)) {
      if (this.#above.has(domain.slice(dot + 1))) return true
    }
    return false
  }
}
