import { once } from 'node:events'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { afterEach, describe, expect, test, vi } from 'vitest'
import type { SpamdConfig } from '../../../../src/app/spamd-config.js'
import { parseSpamdOptions } from '../../../../src/cli/spamd/parse-spamd-options.js'
import { OwnResources } from '../../../../src/daemon/process/own-resources.js'

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

function configOf(...argv: string[]): SpamdConfig {
  const parsed = parseSpamdOptions(argv, {
    hostname: 'host.example',
    maxFiles: 1024,
    environment: { SPAMD_PORT: '8025', SPAMD_CFG_PORT: '8026', SPAMD_SYNC_PORT: '8025' },
  })
  if (!parsed.ok) throw new Error(parsed.stderr)
  return parsed.config
}

async function takenPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  servers.push(server)
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

describe('addresses that cannot be had', () => {
  test('the SMTP port and the configuration port are told apart in the words of the original', async () => {
    const port = await takenPort()
    const resources = new OwnResources(configOf('-p', String(port), '--cfg-port', String(port)))
    await expect(resources.openSmtpListeners()).rejects.toMatchObject({
      message: 'bind: Address already in use',
      hint: `-l 127.0.0.1, port ${port} (-p)`,
    })
    await expect(resources.listenConfig(createServer())).rejects.toMatchObject({
      message: 'bind local: Address already in use',
      hint: `127.0.0.1, port ${port} (--cfg-port)`,
    })
  })

  test('an empty address is no address, and the runtime does not speak up', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockReturnValue()
    await expect(new OwnResources(configOf('-l', '')).openSmtpListeners()).rejects.toMatchObject({
      message: 'getaddrinfo: Name or service not known',
    })
    expect(warn).not.toHaveBeenCalled()
    warn.mockRestore()
  })
})
