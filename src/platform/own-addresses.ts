import { readFile } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import { type ProcessRunner, runProcess } from './run-process.js'
import { currentSystem } from './settings.js'

const TIMEOUT_MS = 5_000
const MAX_OUTPUT_BYTES = 64 * 1024
/** Flags of a route in /proc/net/route and ipv6_route. Source: RTF_UP and RTF_GATEWAY of linux/route.h. */
const ROUTE_UP_GATEWAY = 0x3

/**
 * The addresses of this host's interfaces and of its default gateways, as written by the system, without
 * zones. Unknown ones are left out.
 */
export async function findOwnAddresses(run: ProcessRunner = runProcess): Promise<string[]> {
  const own = Object.values(networkInterfaces()).flatMap((entries) => entries ?? [])
  const addresses = own.map(({ address }) => address.replace(/%.*$/, ''))
  const gateways = currentSystem() === 'linux' ? await linuxGateways() : await bsdGateways(run)
  return [...new Set([...addresses, ...gateways])]
}

async function linuxGateways(): Promise<string[]> {
  const [ipv4, ipv6] = await Promise.all(['/proc/net/route', '/proc/net/ipv6_route'].map(textOf))
  return [...gatewaysOfIpv4Routes(ipv4!), ...gatewaysOfIpv6Routes(ipv6!)]
}

async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, 'latin1')
  } catch {
    return ''
  }
}

/**
 * The default gateways in the text of /proc/net/route: interface, destination, gateway, flags ..., the addresses as
 * words in the byte order of the host, which is little-endian wherever Node runs.
 * @internal Tests read the routes of other machines.
 */
export function gatewaysOfIpv4Routes(text: string): string[] {
  const gateways: string[] = []
  for (const line of text.split('\n').slice(1)) {
    const [, destination, gateway = '', flags = ''] = line.trim().split(/\s+/)
    if (destination !== '00000000' || !isGatewayRoute(flags) || !/^[0-9A-F]{8}$/i.test(gateway)) continue
    gateways.push(
      gateway
        .match(/../g)!
        .toReversed()
        .map((byte) => Number.parseInt(byte, 16))
        .join('.'),
    )
  }
  return gateways
}

/**
 * The default gateways in the text of /proc/net/ipv6_route: destination, length, source, length, gateway, ..., flags.
 * @internal Tests read the routes of other machines.
 */
export function gatewaysOfIpv6Routes(text: string): string[] {
  const gateways: string[] = []
  for (const line of text.split('\n')) {
    const fields = line.trim().split(/\s+/)
    const [destination = '', length, , , gateway = '', , , , flags = ''] = fields
    if (!/^0{32}$/.test(destination) || length !== '00' || !isGatewayRoute(flags)) continue
    if (/^[0-9a-f]{32}$/i.test(gateway)) gateways.push(gateway.match(/.{4}/g)!.join(':'))
  }
  return gateways
}

function isGatewayRoute(flags: string): boolean {
  return (Number.parseInt(flags, 16) & ROUTE_UP_GATEWAY) === ROUTE_UP_GATEWAY
}

async function bsdGateways(run: ProcessRunner): Promise<string[]> {
  const gateways: string[] = []
  for (const family of ['-inet', '-inet6']) {
    try {
      const { stdout } = await run({
        program: 'route',
        args: ['-n', 'get', family, 'default'],
        timeoutMs: TIMEOUT_MS,
        maxStdoutBytes: MAX_OUTPUT_BYTES,
      })
      const gateway = /^\s*gateway: ([0-9a-fA-F.:]+)/m.exec(stdout.toString('latin1'))?.[1]
      if (gateway !== undefined) gateways.push(gateway)
    } catch {
      // Without route(8) nothing is known.
    }
  }
  return gateways
}
