/**
 * The files that spamd reads at its start and again on SIGHUP: certificate and key, the saved block lists, the
 * allowed domains of recipients, the domains of --grey-spf. What they hold goes to the part that uses it.
 */
import { type AllowedDomains, parseAllowedDomains } from '../app/allowed-domains.js'
import type { DeliveredList } from '../app/lists/delivered-lists.js'
import type { SpamdConfig } from '../app/spamd-config.js'
import { escapeControl } from '../codec/escape.js'
import { AppError } from '../platform/app-error.js'
import { reasonOf } from '../platform/errno-text.js'
import type { Logger } from '../platform/log.js'
import type { OpenedSenderChecks } from './checks/open-sender-checks.js'
import type { Greylister } from './grey/greylister.js'
import type { BlockLists } from './lists/block-lists.js'
import type { SpamdResources } from './process/spamd-resources.js'
import { secureContextOf } from './smtp/secure-context.js'
import type { SmtpServer } from './smtp/smtp-server.js'

/** Where the files come from, and the parts that use them. */
export interface ServiceFilesParts {
  config: SpamdConfig
  logger: Logger
  resources: SpamdResources
  /** The last good copies of the block lists, or none. */
  loadSavedLists: (() => Promise<DeliveredList[]>) | undefined
  smtp: Pick<SmtpServer, 'reload'>
  blockLists: Pick<BlockLists, 'replaceSet'>
  /** Undefined with -b. */
  greylister: Pick<Greylister, 'replaceAllowedDomains'> | undefined
  /** Undefined with -b, and when no option asks DNS about senders. */
  senders: Pick<OpenedSenderChecks, 'loadDomains'> | undefined
}

/** The files of one spamd. */
export class ServiceFiles {
  readonly #parts: ServiceFilesParts

  constructor(parts: ServiceFilesParts) {
    this.#parts = parts
  }

  /** New connections get the certificate. Rejects with `AppError` when it cannot be used. */
  async applyTls(): Promise<void> {
    const material = await this.#parts.resources.readTls()
    this.#parts.smtp.reload({
      secureContext: material && secureContextOf(material.certificate, material.key),
    })
  }

  /** A file that cannot be used is reported and changes nothing. Never rejects. */
  async applyAllowedDomains(): Promise<void> {
    const { logger, resources, config } = this.#parts
    let domains: AllowedDomains | undefined
    try {
      const content = await resources.readAllowedDomains()
      domains = content && parseAllowedDomains(content, config.settings.allowedDomains)
    } catch (error) {
      // As in the original: a file that cannot be used is reported and restricts nothing.
      logger.log('err', escapeControl(reasonOf(error)))
      return
    }
    for (const suffix of domains?.suffixes ?? []) logger.log('info', `got suffix ${escapeControl(suffix)}`)
    this.#parts.greylister?.replaceAllowedDomains(domains)
  }

  /** Copies that cannot be read are reported; the lists stay as they are. Never rejects. */
  async loadSavedLists(): Promise<void> {
    const { loadSavedLists, logger, blockLists } = this.#parts
    if (loadSavedLists === undefined) return
    try {
      for (const { name, message, set, entryCount } of await loadSavedLists()) {
        blockLists.replaceSet(name, message, set, entryCount)
      }
    } catch (error) {
      logger.log('err', `cannot load the saved block lists: ${escapeControl(reasonOf(error))}`)
    }
  }

  /** Without its list --grey-spf checks no domain: mail continues as before. */
  async loadSpfDomains(): Promise<void> {
    const { resources, logger, senders } = this.#parts
    try {
      await senders?.loadDomains(resources)
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      const hint = error.hint === undefined ? '' : ` (${error.hint})`
      const text = `SPF is not checked: ${escapeControl(error.message + hint)}`
      logger.log('err', text, { event: 'spf-off' })
    }
  }
}
