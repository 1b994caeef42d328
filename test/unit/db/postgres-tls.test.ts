/** Which servers each sslmode trusts, against one that only shakes hands: nothing is asked of it. */
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { rootCertificates, TLSSocket } from 'node:tls'
import { afterEach, describe, expect, test } from 'vitest'
import { connectTo } from '../../../src/db/postgres/pg-driver.js'
import { toPgError } from '../../../src/db/postgres/pg-error.js'
import { parseTarget } from '../../../src/db/postgres/target.js'
import { Scratch } from '../../support/scratch-database.js'

const scratch = new Scratch()
/** Signed by itself, for localhost and 127.0.0.1. */
const CERTIFICATE = join(import.meta.dirname, '../../support/localhost.crt')
const KEY = join(import.meta.dirname, '../../support/localhost.key')
const SSL_REQUEST = 80_877_103
/** AuthenticationOk and ReadyForQuery. Source: PostgreSQL manual, "Message Formats". */
const WELCOME = Buffer.from('R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I', 'latin1')

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

/** How a client came in: whom its certificate names, or '' for none; 'plain' without encryption. */
type Came = string

interface Listening {
  port: number
  came: Came[]
}

/** A server that takes everybody, on an address or, with `folder`, on a socket in it; without TLS on request. */
async function listen({
  host = '127.0.0.1',
  folder,
  hasTls = true,
  refuses = false,
}: Place = {}): Promise<Listening> {
  const came: Came[] = []
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', (bytes) => {
      if (bytes.readUInt32BE(4) !== SSL_REQUEST) {
        came.push('plain')
        socket.write(WELCOME)
        return
      }
      socket.write(hasTls ? 'S' : 'N')
      if (!hasTls) return
      const secure = new TLSSocket(socket, {
        ...{ isServer: true, requestCert: true, rejectUnauthorized: false },
        ...{ cert: readFileSync(CERTIFICATE), key: readFileSync(KEY) },
      })
      secure.on('error', () => {})
      secure.once('data', () => {
        came.push(secure.getPeerCertificate().subject?.CN?.toString() ?? '')
        if (refuses) secure.destroy()
        else secure.write(WELCOME)
      })
    })
  })
  servers.push(server)
  if (folder === undefined) server.listen(0, host)
  else server.listen(join(folder, '.s.PGSQL.5432'))
  await once(server, 'listening')
  return { port: folder === undefined ? (server.address() as AddressInfo).port : 5432, came }
}

interface Place {
  host?: string
  folder?: string
  hasTls?: boolean
  /** Hangs up on those who came in. */
  refuses?: boolean
}

/** Connects as the options of a location say; as whom the server saw us. */
async function connect({ port, came }: Listening, options: string, host = '127.0.0.1'): Promise<Came[]> {
  const target = parseTarget(`postgres://gw@${encodeURIComponent(host)}:${port}/spamd?${options}`, {})
  try {
    const client = await connectTo(target, target.hosts[0]!, 60_000)
    await client.end()
  } catch (error) {
    throw toPgError(error)
  }
  return came
}

/** A file with the certificate of an authority that signed nothing here. */
function strangers(): string {
  const path = join(scratch.folder(), 'root.crt')
  writeFileSync(path, rootCertificates[0]!)
  return path
}

const NOT_ACCEPTED = {
  code: 'ERR_DB_OPEN',
  message: expect.stringMatching(/^the certificate of the server is not accepted: /),
  hint: 'name the certificate of its authority with sslrootcert',
}

describe('a server with a certificate', () => {
  test.each([
    ['disable', ['plain']],
    ['allow', ['']],
    ['prefer', ['']],
    ['require', ['']],
    [`require&sslrootcert=${CERTIFICATE}`, ['']],
    [`verify-ca&sslrootcert=${CERTIFICATE}`, ['']],
    [`verify-full&sslrootcert=${CERTIFICATE}`, ['']],
    [`require&sslcert=${CERTIFICATE}&sslkey=${KEY}`, ['localhost']],
    [`verify-full&sslrootcert=${CERTIFICATE}&sslcert=${CERTIFICATE}&sslkey=${KEY}`, ['localhost']],
  ])('is taken with sslmode=%s', async (mode, came) => {
    expect(await connect(await listen(), `sslmode=${mode}`)).toEqual(came)
  })

  test.each(['require', 'verify-ca', 'verify-full'])(
    'that a stranger signed is refused with sslmode=%s and sslrootcert',
    async (mode) => {
      const server = await listen()
      const options = `sslmode=${mode}&sslrootcert=${strangers()}`
      await expect(connect(server, options)).rejects.toMatchObject(NOT_ACCEPTED)
      expect(server.came).toEqual([])
    },
  )

  test('that the machine does not trust is refused with sslrootcert=system', async () => {
    const server = await listen()
    await expect(connect(server, 'sslmode=verify-full&sslrootcert=system')).rejects.toMatchObject(
      NOT_ACCEPTED,
    )
  })

  test('that has another name is refused with verify-full alone', async () => {
    // The whole network 127 is this machine; the certificate does not name this address of it.
    const host = '127.0.0.2'
    const server = await listen({ host })
    const root = `sslrootcert=${CERTIFICATE}`
    expect(await connect(server, `sslmode=require&${root}`, host)).toEqual([''])
    expect(await connect(server, `sslmode=verify-ca&${root}`, host)).toEqual(['', ''])
    await expect(connect(server, `sslmode=verify-full&${root}`, host)).rejects.toMatchObject(NOT_ACCEPTED)
    expect(server.came).toEqual(['', ''])
  })
})

test('a server that takes encryption and then hangs up is not asked without', async () => {
  const server = await listen({ refuses: true })
  await expect(connect(server, 'sslmode=prefer')).rejects.toMatchObject({ code: 'ERR_DB_AWAY' })
  expect(server.came).toEqual([''])
})

describe('a server without a certificate', () => {
  test.each(['disable', 'allow', 'prefer'])('is taken with sslmode=%s', async (mode) => {
    expect(await connect(await listen({ hasTls: false }), `sslmode=${mode}`)).toEqual(['plain'])
  })

  test.each(['require', 'verify-ca', 'verify-full'])('is refused with sslmode=%s', async (mode) => {
    const server = await listen({ hasTls: false })
    await expect(connect(server, `sslmode=${mode}&sslrootcert=${CERTIFICATE}`)).rejects.toMatchObject({
      code: 'ERR_DB_AWAY',
      message: 'The server does not support SSL connections',
    })
    expect(server.came).toEqual([])
  })
})

test('through a socket nothing is encrypted, whatever sslmode says', async () => {
  const folder = scratch.folder()
  expect(await connect(await listen({ folder }), 'sslmode=verify-full', folder)).toEqual(['plain'])
})

test.each(['sslrootcert', 'sslcert', 'sslkey'])('a file of %s that is not there is named', async (option) => {
  const path = join(scratch.folder(), 'missing.pem')
  await expect(connect(await listen(), `sslmode=verify-ca&${option}=${path}`)).rejects.toMatchObject({
    code: 'ERR_DB_OPEN',
    message: expect.stringContaining(`${path}: No such file or directory`),
  })
})
