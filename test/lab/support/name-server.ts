/** A name server on a machine of the lab: `startNameServer` runs this file there, with the zone as its argument. */
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { TestDnsServer, type ZoneName } from '../../support/dns-server.js'
import { CHECKOUT, type Machine } from './machine.js'

/** Where the checkout is on every machine. */
const PLACE = '/usr/lib/spamdctl/'
export const NAME_SERVER = '127.0.0.1'

/** Serves a zone on port 53 of the machine's loopback until the result is called. */
export async function startNameServer(
  machine: Machine,
  zone: Readonly<Record<string, ZoneName>>,
): Promise<() => Promise<void>> {
  const script = PLACE + fileURLToPath(import.meta.url).slice(CHECKOUT.length)
  const child = machine.spawn(
    'sh',
    '-c',
    `cd ${PLACE} && exec node --import tsx "$@"`,
    'sh',
    script,
    JSON.stringify(zone),
  )
  let said = ''
  child.stderr!.on('data', (piece: Buffer) => {
    said += piece.toString()
  })
  await Promise.race([
    once(child.stdout!, 'data'),
    once(child, 'exit').then(() => Promise.reject(new Error(`name server: ${said}`))),
  ])
  return async () => {
    child.stdin!.end()
    await once(child, 'exit')
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const server = new TestDnsServer(JSON.parse(process.argv[2]!) as Record<string, ZoneName>)
  await server.start(NAME_SERVER, 53)
  process.stdout.write('ready\n')
  process.stdin.on('end', () => process.exit()).resume()
}
