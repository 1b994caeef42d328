/** Opens spamd's sockets and files in this process: used by the parent on behalf of its child. */
import { lookup } from 'node:dns/promises'
import { fstatSync } from 'node:fs'
import { createServer, type ListenOptions, type Server, type Socket } from 'node:net'
import type { SpamdConfig } from '../../app/spamd-config.js'
import { AppError, isSystemError } from '../../platform/app-error.js'
import { openInheritedTcp } from '../../platform/bound-tcp.js'
import { reasonOf } from '../../platform/errno-text.js'
import { readWithoutWaiting } from '../../platform/file-io.js'
import { readPatiently } from '../../platform/patient-read.js'
import { actAs, findUser, hasRights } from '../../platform/privileges.js'
import { listenOnPath, type PathOptions } from './listen-on-path.js'
import type { PrivilegedResources, TlsMaterial } from './spamd-resources.js'

/**
 * Clients that may wait to be accepted: the kernel's usual maximum; a burst of thousands must not be lost.
 */
export const LISTEN_BACKLOG = 4096
const LOOPBACK = '127.0.0.1'
const LISTEN_FD_HINT = 'must be a listening socket passed by the starting program'
/** Certificates, keys and lists of domains are small; anything longer is the wrong file. */
const MAX_FILE_BYTES = 64 * 1024 * 1024

/** `port` and `configPort` may be 0 for any free port (tests). */
export class OwnResources implements PrivilegedResources {
  readonly #config: SpamdConfig

  constructor(config: SpamdConfig) {
    this.#config = config
  }

  async openSmtpListeners(): Promise<Server[]> {
    const { listenAddresses, listenFds, settings } = this.#config
    const servers: Server[] = []
    try {
      for (const fd of listenFds) servers.push(await listenOnInherited(fd))
      for (const name of listenAddresses) {
        const host = await resolveAddress(name)
        servers.push(
          await listenOn(
            { host, port: settings.port, backlog: LISTEN_BACKLOG, ipv6Only: true },
            `-l ${name}, port ${settings.port} (-p)`,
          ),
        )
      }
    } catch (error) {
      for (const server of servers) server.close()
      throw error
    }
    return servers
  }

  listenConfig(server: Server): Promise<void> {
    const { cfgPort } = this.#config.settings
    return listening(
      server,
      { host: LOOPBACK, port: cfgPort, backlog: 64 },
      `${LOOPBACK}, port ${cfgPort} (--cfg-port)`,
      'bind local',
    )
  }

  async listenControl(server: Server): Promise<void> {
    const remove = await this.bindControl(server, { isPrivileged: hasRights() })
    server.once('close', remove)
  }

  bindControl(server: Server, options: PathOptions): Promise<() => void> {
    return listenOnPath(server, this.#config.settings.controlSocket, options)
  }

  async readTls(): Promise<TlsMaterial | undefined> {
    const { tls } = this.#config
    if (tls === undefined) return undefined
    return {
      certificate: await readTlsFile(tls.certificateFile, 'certificate'),
      key: await readTlsFile(tls.keyFile, 'key'),
    }
  }

  readAllowedDomains(): Promise<Buffer | undefined> {
    return readOptionalFile(this.#config.settings.allowedDomains)
  }

  async readSpfDomains(): Promise<Buffer | undefined> {
    const path = this.#config.senders.spf?.domainsFile
    return path === undefined ? undefined : await readOptionalFile(path)
  }

  /** The key may belong to the daemons' user, where a root without its usual rights on files cannot read it. */
  async readSyncKey(): Promise<Buffer | undefined> {
    const { key, user } = this.#config.settings
    try {
      return await readOptionalFile(key)
    } catch (error) {
      const cause = error instanceof AppError ? error.cause : undefined
      const owner = isSystemError(cause) && cause.code === 'EACCES' ? await findUser(user) : undefined
      if (owner === undefined) throw error
      try {
        return actAs(owner, () => readWithoutWaiting(key))
      } catch {
        throw error
      }
    }
  }
}

/** Texts of gai_strerror(3) for what Node reports by name only. */
const LOOKUP_TEXT: Readonly<Record<string, string>> = {
  ENOTFOUND: 'Name or service not known',
  EAI_AGAIN: 'Temporary failure in name resolution',
}

/** The first address of a name or the address itself. */
async function resolveAddress(name: string): Promise<string> {
  try {
    // Node would take the empty name for "any address", with a warning.
    if (name === '') throw new Error('ENOTFOUND')
    return (await lookup(name)).address
  } catch (error) {
    const reason = reasonOf(error)
    throw new AppError('ERR_SPAMD_LISTEN', `getaddrinfo: ${LOOKUP_TEXT[reason] ?? reason}`, {
      hint: `-l ${name}: give an address of this machine`,
      cause: error,
    })
  }
}

/**
 * For listening sockets being passed to the serving process: clients that connect in the meantime get a
 * temporary error instead of no answer.
 */
export function sendAway(socket: Socket): void {
  socket.destroy()
}

async function listenOn(
  options: ListenOptions & { fd?: number },
  hint: string,
  what?: string,
): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, sendAway)
  await listening(server, options, hint, what)
  return server
}

/**
 * Checked before Node gets the number: given one of its own descriptors, Node would crash or hang. Only an inherited TCP
 * socket has an address.
 */
async function listenOnInherited(fd: number): Promise<Server> {
  const what = `listen-fd ${fd}`
  const fail = (reason: string, cause?: unknown): never => {
    throw new AppError('ERR_SPAMD_LISTEN', `${what}: ${reason}`, { hint: LISTEN_FD_HINT, cause })
  }
  let isSocket: boolean
  try {
    isSocket = fstatSync(fd).isSocket()
  } catch (error) {
    return fail(reasonOf(error), error)
  }
  if (!isSocket) return fail('not a socket')
  const inherited = openInheritedTcp(fd)
  if (inherited?.port === 0) return fail('not bound to a port')
  const socket = inherited?.port === undefined ? { fd } : (inherited.handle as ListenOptions)
  const server = await listenOn(socket, LISTEN_FD_HINT, what)
  const address = server.address()
  if (typeof address === 'object' && address !== null) return server
  server.close()
  return fail('not a TCP socket')
}

/** Makes the server listen; rejects with `WHAT: REASON` and a hint that says which socket is meant. */
function listening(
  server: Server,
  options: ListenOptions & { fd?: number },
  hint: string,
  what = 'bind',
): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error): void => {
      reject(new AppError('ERR_SPAMD_LISTEN', `${what}: ${reasonOf(error)}`, { hint, cause: error }))
    }
    server.once('error', onError)
    server.listen(options, () => {
      server.off('error', onError)
      resolve()
    })
  })
}

async function readTlsFile(path: string, what: 'certificate' | 'key'): Promise<Buffer> {
  const content = await readOptionalFile(path).catch(() => undefined)
  if (content === undefined) throw new AppError('ERR_SPAMD_TLS', `unable to set TLS ${what} file ${path}`)
  return content
}

async function readOptionalFile(path: string): Promise<Buffer | undefined> {
  let content: Buffer
  try {
    content = await readPatiently(path, MAX_FILE_BYTES + 1)
  } catch (error) {
    if (isSystemError(error) && error.code === 'ENOENT') return undefined
    throw new AppError('ERR_SPAMD_FILE', `cannot read ${path}: ${reasonOf(error)}`, { cause: error })
  }
  if (content.length > MAX_FILE_BYTES) {
    throw new AppError('ERR_SPAMD_FILE', `cannot read ${path}: larger than ${MAX_FILE_BYTES} bytes`)
  }
  return content
}
