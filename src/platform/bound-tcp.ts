/**
 * A TCP socket that has a local port but no connection yet. bind(2) below 1024 needs root and connect(2) does
 * not, but Node's public interface only does both at once; its handle class has done them one by one in every
 * release so far (docs/adr/0008-setup-without-root.md). If that is no longer possible, `bindTcp` throws
 * `ERR_NO_BIND`.
 */
import { Socket, type SocketConstructorOpts } from 'node:net'
import { getSystemErrorName } from 'node:util'
import { AppError } from './app-error.js'

/** A bound socket; `connect` may be called once. */
export interface BoundTcp {
  connect(target: { host: string; port: number }): Socket
  close(): void
}

interface TcpHandle {
  /** 0, or a negative errno. */
  bind(address: string, port: number): number
  open(fd: number): number
  getsockname(out: { port?: number }): number
  close(): void
}

interface TcpBinding {
  TCP?: new (type: number) => TcpHandle
  constants?: { SOCKET?: number; SERVER?: number }
}

/**
 * Binds an IPv4 address and port. Errors: the system's own, as for `net.connect`; `AppError` `ERR_NO_BIND`.
 */
export function bindTcp(address: string, port: number): BoundTcp {
  const handle = newHandle()
  const status = handle.bind(address, port)
  if (status !== 0) {
    handle.close()
    const code = getSystemErrorName(status)
    throw Object.assign(new Error(`bind ${code} ${address}:${port}`), { code, syscall: 'bind' })
  }
  return {
    connect(target) {
      // Without `manualStart` the socket would read before it is connected.
      const options = { handle, manualStart: true } as SocketConstructorOpts
      return new Socket(options).connect(target)
    },
    close: () => handle.close(),
  }
}

/**
 * A socket that another program passed to us, in the form that `Server.listen` takes, with its port: 0 if it is not bound, when
 * listen(2) would choose one; undefined if it is not an IP socket. It owns the descriptor. Undefined if this Node cannot tell.
 */
export function openInheritedTcp(fd: number): { handle: object; port: number | undefined } | undefined {
  const { TCP, constants } = tcpBinding()
  if (TCP === undefined || constants?.SERVER === undefined) return undefined
  const handle = new TCP(constants.SERVER)
  const name: { port?: number } = {}
  if (handle.open(fd) !== 0 || handle.getsockname(name) !== 0) return undefined
  return { handle, port: name.port }
}

function tcpBinding(): TcpBinding {
  const { binding } = process as unknown as { binding?: (name: string) => TcpBinding }
  try {
    return binding?.('tcp_wrap') ?? {}
  } catch {
    return {}
  }
}

function newHandle(): TcpHandle {
  const tcp = tcpBinding()
  if (tcp.TCP === undefined || tcp.constants?.SOCKET === undefined) {
    throw new AppError('ERR_NO_BIND', 'this Node.js cannot bind a port before it connects', {
      hint: 'use --config-socket to reach spamd',
    })
  }
  return new tcp.TCP(tcp.constants.SOCKET)
}
