import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, fstatSync, mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test, vi } from 'vitest'
import type { SpamdConfig } from '../../../../src/app/spamd-config.js'
import { parseSpamdOptions } from '../../../../src/cli/spamd/parse-spamd-options.js'
import { OwnResources } from '../../../../src/daemon/process/own-resources.js'
import { skipUnless } from '../../../support/skip-unless.js'

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

test('an error of a server that listens is for whoever has the server', async () => {
  const server = createServer()
  // No port is taken for it.
  const listen = vi.spyOn(server, 'listen').mockImplementation((...parameters: unknown[]) => {
    ;(parameters.at(-1) as () => void)()
    return server
  })
  await new OwnResources(configOf()).listenConfig(server)
  expect(listen).toHaveBeenCalled()
  expect(() => server.emit('error', new Error('later'))).toThrow('later')
})

const OPEN_INHERITED = join(import.meta.dirname, '../../../support/spamd/open-inherited.ts')

describe('inherited descriptors that are no listening TCP socket', () => {
  const inherit = (fd: number) => new OwnResources(configOf('--listen-fd', String(fd))).openSmtpListeners()
  const HINT = 'must be a listening socket passed by the starting program'

  test.skipIf(skipUnless(existsSync('/proc/self/fd'), 'needs /proc/self/fd'))(
    'every open descriptor of this process but a socket is refused before the runtime polls it',
    async () => {
      const fds = readdirSync('/proc/self/fd').map(Number)
      const others = fds.filter((fd) => {
        try {
          return !fstatSync(fd).isSocket()
        } catch {
          return false
        }
      })
      // Among them what the runtime itself waits for events with.
      expect(others.some((fd) => readlinkSync(`/proc/self/fd/${fd}`).includes('anon_inode'))).toBe(true)
      for (const fd of others) {
        const message = `listen-fd ${fd}: not a socket`
        await expect(inherit(fd), `descriptor ${fd}`).rejects.toMatchObject({ message, hint: HINT })
      }
    },
  )

  test('a closed one', async () => {
    await expect(inherit(9999)).rejects.toMatchObject({
      message: 'listen-fd 9999: Bad file descriptor',
      hint: HINT,
    })
  })

  /** What spamd says of a socket that it inherits. */
  function saidOf(server: object): string {
    const { fd } = (server as { _handle: { fd: number } })._handle
    return spawnSync(process.execPath, ['--import', 'tsx', OPEN_INHERITED], {
      stdio: ['ignore', 'pipe', 'inherit', fd],
      encoding: 'utf8',
    }).stdout
  }

  test('a listening socket of another family', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'spamd-listen-fd-'))
    const server = createServer().listen(join(folder, 'socket'))
    servers.push(server)
    await once(server, 'listening')
    const said = saidOf(server)
    rmSync(folder, { recursive: true })
    expect(said).toBe('listen-fd 3: not a TCP socket\n')
  })

  test('one of TCP that listens is taken', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    servers.push(server)
    await once(server, 'listening')
    expect(saidOf(server)).toBe('listening\n')
  })

  const hasPerl = spawnSync('perl', ['-MSocket', '-e', '1']).status === 0
  test.skipIf(skipUnless(hasPerl, 'needs perl'))(
    'one of TCP that is not bound, where listen(2) would choose any port',
    () => {
      // Node makes no socket before it binds or connects it.
      const open = '$^F = 9; socket(my $s, AF_INET, SOCK_STREAM, 0) or die; exec @ARGV'
      const { stdout } = spawnSync(
        'perl',
        ['-MSocket', '-e', open, process.execPath, '--import', 'tsx', OPEN_INHERITED],
        { stdio: ['ignore', 'pipe', 'inherit'], encoding: 'utf8' },
      )
      expect(stdout).toBe('listen-fd 3: not bound to a port\n')
    },
  )
})

describe('files that have no end or no writer', () => {
  test('a device is read up to the largest size', async () => {
    const resources = new OwnResources(configOf('--allowed-domains', '/dev/zero'))
    await expect(resources.readAllowedDomains()).rejects.toMatchObject({
      message: 'cannot read /dev/zero: larger than 67108864 bytes',
    })
  })
})
