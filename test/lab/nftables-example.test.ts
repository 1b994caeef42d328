/** docs/examples/nftables.conf on the real kernel: who reaches the mail server, and who is sent to spamd. */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { NftFirewall } from '../../src/firewall/nft.js'
import { runProcess } from '../../src/platform/run-process.js'
import { contentOf } from '../support/table-content.js'

const EXAMPLE = fileURLToPath(new URL('../../docs/examples/nftables.conf', import.meta.url))
const GATEWAY = `spamd-gw-${process.pid}`
const OUTSIDE = `spamd-out-${process.pid}`
const CLIENTS = ['192.0.2.10', '192.0.2.20', '192.0.2.30', '2001:db8::10', '2001:db8::20', '2001:db8::30']

const run = (program: string, ...args: string[]): string =>
  execFileSync(program, args, { stdio: 'pipe', encoding: 'utf8' })
const inside = (namespace: string, ...words: string[]): string =>
  run('ip', 'netns', 'exec', namespace, ...words)

const skipReason = whyNot()
if (skipReason !== undefined) process.stderr.write(`test/lab/nftables-example: skipped: ${skipReason}\n`)

function whyNot(): string | undefined {
  if (process.getuid?.() !== 0) return 'not root'
  try {
    run('ip', 'netns', 'add', GATEWAY)
    inside(
      GATEWAY,
      'nft',
      'add table inet trial; add chain inet trial c { type nat hook prerouting priority 0; }',
    )
    inside(GATEWAY, 'nft', 'flush ruleset')
    return undefined
  } catch (error) {
    return `no namespace with nftables and NAT: ${String((error as { stderr?: string }).stderr ?? error)}`
  }
}

/** Says on each connection which port was reached. */
const SERVER = `
  const net = require('node:net')
  let waiting = 4
  for (const host of ['0.0.0.0', '::']) for (const [port, name] of [[25, 'mail'], [8025, 'spamd']]) {
    net.createServer((socket) => socket.end(name)).listen({ host, port, ipv6Only: true }, () => {
      waiting -= 1
      if (waiting === 0) console.log('ready')
    })
  }`

/** Prints what a connection from each of the addresses is told. */
const CLIENT = `
  const net = require('node:net')
  for (const localAddress of process.argv.slice(1)) {
    const host = localAddress.includes(':') ? '2001:db8::1' : '192.0.2.1'
    const socket = net.connect({ host, port: 25, localAddress })
    let told = ''
    socket.on('data', (piece) => { told += piece })
    socket.on('error', (error) => { told = error.code })
    socket.on('close', () => console.log(localAddress + ' ' + told))
  }`

describe.skipIf(skipReason !== undefined)('the example rules', () => {
  const firewall = new NftFirewall({
    program: 'nft',
    setting: 'SPAMD_NFT',
    timeoutMs: 60_000,
    runner: (request) =>
      runProcess({
        ...request,
        program: 'ip',
        args: ['netns', 'exec', GATEWAY, request.program, ...request.args],
      }),
  })
  let server: ReturnType<typeof spawn>

  beforeAll(async () => {
    run('ip', 'netns', 'add', OUTSIDE)
    run(
      'ip',
      'link',
      'add',
      'outside0',
      'netns',
      GATEWAY,
      'type',
      'veth',
      'peer',
      'name',
      'client0',
      'netns',
      OUTSIDE,
    )
    for (const [namespace, link, addresses] of [
      [GATEWAY, 'outside0', ['192.0.2.1', '2001:db8::1']],
      [OUTSIDE, 'client0', CLIENTS],
    ] as const) {
      for (const address of addresses) {
        const [length, ...flags] = address.includes(':') ? ['64', 'nodad'] : ['24']
        inside(namespace, 'ip', 'address', 'add', `${address}/${length}`, 'dev', link, ...flags)
      }
      inside(namespace, 'ip', 'link', 'set', link, 'up')
      inside(namespace, 'ip', 'link', 'set', 'lo', 'up')
    }
    inside(GATEWAY, 'nft', '-f', EXAMPLE)
    server = spawn('ip', ['netns', 'exec', GATEWAY, process.execPath, '-e', SERVER], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(server.stdout!, 'data')
  })

  afterAll(async () => {
    server?.kill('SIGKILL')
    if (server !== undefined) await once(server, 'close')
    run('ip', 'netns', 'delete', OUTSIDE)
  })

  const reached = () =>
    Object.fromEntries(
      inside(OUTSIDE, process.execPath, '-e', CLIENT, ...CLIENTS)
        .trim()
        .split('\n')
        .map((line) => line.split(' ') as [string, string]),
    )

  test('at first everybody meets spamd; then white hosts pass, blocked networks never', async () => {
    const everybody = Object.fromEntries(CLIENTS.map((client) => [client, 'spamd']))
    expect(reached()).toEqual(everybody)

    const hosts = { name: 'spamd-white', content: 'hosts' } as const
    await firewall.replaceTable(
      hosts,
      contentOf(['192.0.2.20/32', '192.0.2.30/32', '2001:db8::20/128', '2001:db8::30/128']),
    )
    expect(reached()).toEqual({
      ...everybody,
      '192.0.2.20': 'mail',
      '192.0.2.30': 'mail',
      '2001:db8::20': 'mail',
      '2001:db8::30': 'mail',
    })

    const networks = { name: 'spamd', content: 'networks' } as const
    await firewall.replaceTable(networks, contentOf(['192.0.2.24/29', '2001:db8::30/124']))
    expect(reached()).toEqual({ ...everybody, '192.0.2.20': 'mail', '2001:db8::20': 'mail' })

    await firewall.replaceTable(networks, contentOf([]))
    await firewall.replaceTable(hosts, contentOf([]))
    expect(reached()).toEqual(everybody)

    const pools = { name: 'spamd-white-net', content: 'networks' } as const
    await firewall.replaceTable(pools, contentOf(['192.0.2.8/29', '192.0.2.20/32', '2001:db8::10/124']))
    expect(reached()).toEqual({
      ...everybody,
      '192.0.2.10': 'mail',
      '192.0.2.20': 'mail',
      '2001:db8::10': 'mail',
    })
    await firewall.replaceTable(networks, contentOf(['192.0.2.10/32', '2001:db8::/64']))
    expect(reached()).toEqual({ ...everybody, '192.0.2.20': 'mail' })
    await firewall.replaceTable(networks, contentOf([]))
    await firewall.replaceTable(pools, contentOf([]))
    expect(reached()).toEqual(everybody)
  })

  test('networks of spamdctl allow pass everything', async () => {
    const allowed = { name: 'spamd-allow', content: 'networks' } as const
    await firewall.replaceTable(allowed, contentOf(['192.0.2.8/29', '2001:db8::10/124']))
    expect(reached()).toMatchObject({ '192.0.2.10': 'mail', '2001:db8::10': 'mail', '192.0.2.20': 'spamd' })
    await firewall.replaceTable(allowed, contentOf([]))
    expect(reached()).toMatchObject({ '192.0.2.10': 'spamd', '2001:db8::10': 'spamd' })
  })

  test('an exception of the administrator passes everything', () => {
    inside(GATEWAY, 'nft', 'add element inet spamd nospamd { 192.0.2.0/28 }')
    expect(reached()).toMatchObject({ '192.0.2.10': 'mail', '192.0.2.20': 'spamd' })
  })
})

afterAll(() => {
  if (process.getuid?.() === 0) run('ip', 'netns', 'delete', GATEWAY)
})
