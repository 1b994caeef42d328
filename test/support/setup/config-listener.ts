import { type AddressInfo, createServer } from 'node:net'

export interface ConfigListener {
  port: number
  /** The data received so far, one string per finished connection, one character per byte. */
  connections: string[]
  /** True if every source port was below 1024. */
  hasReservedPortsOnly(): boolean
  /** Resolves with the connections once all have been read. */
  close(): Promise<string[]>
}

/** A stand-in for spamd's configuration port; with `isListening` false, a port on which nobody listens. */
export async function startConfigListener(isListening = true): Promise<ConfigListener> {
  const connections: string[] = []
  const reading: Promise<void>[] = []
  let isReserved = true
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    isReserved &&= (socket.remotePort ?? 0) < 1024
    reading.push(
      (async () => {
        const chunks: Buffer[] = []
        for await (const chunk of socket) chunks.push(chunk as Buffer)
        connections.push(Buffer.concat(chunks).toString('latin1'))
        socket.end()
      })(),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const stop = () => new Promise((resolve) => server.close(resolve))
  if (!isListening) await stop()
  return {
    port,
    connections,
    hasReservedPortsOnly: () => isReserved,
    close: async () => {
      await Promise.all(reading)
      if (isListening) await stop()
      return connections
    },
  }
}
