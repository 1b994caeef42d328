/** Reads the PROXY header that a trusted load balancer sends first. */
import type { Socket } from 'node:net'
import {
  decodeProxyHeader,
  MAX_PROXY_V2_REST_BYTES,
  type ProxiedEndpoints,
} from '../../codec/smtp/proxy-header.js'

/**
 * A load balancer sends its header at once; a client that reached us directly must not occupy a slot for
 * long.
 */
const PREAMBLE_TIMEOUT_MS = 10_000
/** Everything a header can take, with the first line of a client that came along. */
const MAX_PREAMBLE_BYTES = MAX_PROXY_V2_REST_BYTES + 64 * 1024

export type PreambleResult =
  /** `endpoints` undefined: a health check of the load balancer itself. `rest`: bytes after the header. */
  { ok: true; endpoints: ProxiedEndpoints | undefined; rest: Uint8Array } | { ok: false; reason: string }

/** Resolves when the header is complete or cannot be; the socket is left paused, without our listeners. */
export function readProxyPreamble(
  socket: Socket,
  timeoutMs: number = PREAMBLE_TIMEOUT_MS,
): Promise<PreambleResult> {
  return new Promise((resolve) => {
    let received: Buffer = Buffer.alloc(0)
    const settle = (result: PreambleResult): void => {
      clearTimeout(timer)
      socket.pause()
      socket.off('data', onData)
      socket.off('end', onEnd)
      socket.off('error', onEnd)
      socket.off('close', onEnd)
      resolve(result)
    }
    const onEnd = (): void => settle({ ok: false, reason: 'connection ended within the PROXY header' })
    const onData = (chunk: Buffer): void => {
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
      const decoded = decodeProxyHeader(received)
      if (decoded.status === 'bad') settle({ ok: false, reason: decoded.reason })
      else if (decoded.status === 'done') {
        settle({ ok: true, endpoints: decoded.endpoints, rest: received.subarray(decoded.bytesRead) })
      } else if (received.length > MAX_PREAMBLE_BYTES) {
        settle({ ok: false, reason: 'PROXY header too long' })
      }
    }
    const timer = setTimeout(() => settle({ ok: false, reason: 'PROXY header timed out' }), timeoutMs)
    socket.on('data', onData)
    socket.on('end', onEnd)
    socket.on('error', onEnd)
    socket.on('close', onEnd)
  })
}
