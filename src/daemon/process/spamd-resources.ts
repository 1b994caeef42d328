/**
 * What the unprivileged part of spamd may need privileges for. In the running daemon the parent process
 * provides it over IPC; tests and `spamd --check` open things themselves (own-resources.ts).
 */
import type { Server } from 'node:net'
import { AppError } from '../../platform/app-error.js'
import type { PathOptions } from './listen-on-path.js'

/** The TLS certificate and key as read, PEM. */
export interface TlsMaterial {
  certificate: Buffer
  key: Buffer
}

/** All calls reject with `AppError`; the messages are the original's where it has one. */
export interface SpamdResources {
  /** Listening SMTP sockets, one for each address and descriptor; again after accepting was paused. */
  openSmtpListeners(): Promise<Server[]>
  /** Makes `server` listen on the configuration port, loopback only. */
  listenConfig(server: Server): Promise<void>
  /** Makes `server` listen on the Unix socket for setup and status commands. */
  listenControl(server: Server): Promise<void>
  /** Certificate and key of -C and -K; undefined without them. Read again at each call. */
  readTls(): Promise<TlsMaterial | undefined>
  /** The allowed domains file; undefined when there is none. Read again at each call. */
  readAllowedDomains(): Promise<Buffer | undefined>
  /** The file of --grey-spf; undefined when there is none, or without the option. Read again at each call. */
  readSpfDomains(): Promise<Buffer | undefined>
  /** The synchronisation key; undefined when there is none. Read again at each call. */
  readSyncKey(): Promise<Buffer | undefined>
}

/** What the process that holds the rights has for the other one. */
export interface PrivilegedResources extends SpamdResources {
  /**
   * Makes `server` listen on the Unix socket, whose path stays when the server is closed: the result removes it, unless
   * it is another's by then.
   */
  bindControl(server: Server, options: PathOptions): Promise<() => void>
}

const refuse = async (): Promise<never> => {
  throw new AppError('ERR_SPAMD_RESOURCE', 'this process opens nothing for another')
}

/** Opens nothing: for a privileged process that only provides the packet filter. */
export const NO_RESOURCES: PrivilegedResources = {
  openSmtpListeners: refuse,
  listenConfig: refuse,
  listenControl: refuse,
  readTls: refuse,
  readAllowedDomains: refuse,
  readSpfDomains: refuse,
  readSyncKey: refuse,
  bindControl: refuse,
}
