import { createSocket } from 'node:dgram'
import { once } from 'node:events'

/** Any port does: nothing is sent. */
const PORT = 9

/**
 * The IPv4 address of this machine from which `host` is reached; undefined without a route, or for an unknown
 * name.
 */
export async function findLocalAddress(host: string): Promise<string | undefined> {
  const socket = createSocket('udp4')
  try {
    socket.connect(PORT, host)
    await once(socket, 'connect')
    return socket.address().address
  } catch {
    return undefined
  } finally {
    socket.close()
  }
}
