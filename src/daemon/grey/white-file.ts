/**
 * A copy of the white list as a file, one CIDR per line, for a load balancer in front of spamd: only the load
 * balancer sees the clients, so only it can send WHITE ones to the real mail server (`src -f` of haproxy).
 * Written by the unprivileged process, in a folder that its user may write; readers see the old list or the
 * new one.
 */
import { accessSync, constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { HostLines } from '../../ip/host-lines.js'
import { AppError } from '../../platform/app-error.js'
import { reasonOf } from '../../platform/errno-text.js'
import type { Logger } from '../../platform/log.js'
import { replaceFile } from '../../platform/replace-file.js'

/** The load balancer runs as another user. */
const FILE_MODE = 0o644

/**
 * Throws the `AppError` `ERR_WHITE_FILE` if the current user could not write the file; writes nothing. For
 * `--check`: a running spamd logs the same and continues.
 */
export function checkWhiteFile(path: string): void {
  const folder = dirname(path)
  try {
    // Replaced by a rename: an existing file need not be writable.
    accessSync(folder, constants.W_OK | constants.X_OK)
  } catch (error) {
    throw new AppError('ERR_WHITE_FILE', `cannot write ${path}: ${reasonOf(error)}`, {
      hint: `the user of spamd must be able to write the folder of --white-file: ${folder}`,
      cause: error,
    })
  }
}

interface Families {
  ipv4: HostLines
  ipv6: HostLines
}

export class WhiteFile {
  readonly #path: string
  readonly #logger: Logger
  #written: Uint8Array | undefined
  #hosts: Families | undefined
  #networks: Families | undefined
  #isFailing = false

  constructor(options: { path: string; logger: Logger }) {
    this.#path = options.path
    this.#logger = options.logger
  }

  /**
   * Creates an empty file if there is none: a load balancer does not start if its file is missing. Never
   * rejects.
   */
  async ensure(): Promise<void> {
    try {
      await access(this.#path)
    } catch {
      await this.#replace(Buffer.alloc(0))
    }
  }

  /**
   * Replaces the file if the list has changed. Never rejects: consecutive failures are logged once, the file
   * is kept.
   */
  async write(hosts: Families): Promise<void> {
    this.#hosts = hosts
    await this.#writeBoth()
  }

  /** The same for the networks opened by pools, which follow the addresses. */
  async writeNetworks(networks: Families): Promise<void> {
    this.#networks = networks
    await this.#writeBoth()
  }

  async #writeBoth(): Promise<void> {
    // Nothing is written before the first scan has reported both.
    if (this.#hosts === undefined) return
    const parts = [this.#hosts, ...(this.#networks === undefined ? [] : [this.#networks])]
    const content = Buffer.concat(parts.flatMap(({ ipv4, ipv6 }) => [ipv4.text, ipv6.text]))
    if (this.#written !== undefined && content.equals(this.#written)) return
    await this.#replace(content)
  }

  async #replace(content: Buffer): Promise<void> {
    try {
      const replacement = await replaceFile(this.#path, FILE_MODE)
      try {
        await replacement.write(content)
        // It is created again at the next start.
        await replacement.commit('quick')
      } finally {
        await replacement.discard()
      }
      this.#written = content
      this.#isFailing = false
    } catch (error) {
      if (!this.#isFailing) {
        this.#logger.log(
          'err',
          `cannot write ${this.#path}: ${reasonOf(error)}: the white list in it is out of date`,
        )
      }
      this.#isFailing = true
    }
  }
}
