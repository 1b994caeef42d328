/**
 * Synchronisation between real daemons: three network namespaces of our own on one bridge, the real spamd with both
 * of its processes in each, real SMTP clients, unicast and multicast, one link cut and healed.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { createDatabase, openStore } from '../../src/db/open-store.js'
import { PATIENCE } from '../support/patience.js'

const isRoot = process.geteuid?.() === 0 && process.platform === 'linux'
if (!isRoot) process.stdout.write('skipped: synchronisation between namespaces needs root on Linux\n')

const NOBODY = 65534
const SWITCH = `sls${process.pid}`
const HOSTS = ['a', 'b', 'c'] as const
type HostName = (typeof HOSTS)[number]
const namespaceOf = (host: HostName): string => `sl${host}${process.pid}`
const addressOf = (host: HostName): string => `10.99.0.${HOSTS.indexOf(host) + 1}`
/** One mail attempt; prints the reply to RCPT. */
const CLIENT = `
const [from, to] = process.argv.slice(1)
const socket = require('net').connect({ port: 8025, host: '127.0.0.1', localAddress: from })
const lines = ['HELO mail.example.org', 'MAIL FROM:<a@example.org>', 'RCPT TO:<' + to + '>', 'QUIT']
socket.on('data', (data) => { const line = lines.shift(); if (line) socket.write(line + '\\r\\n') })
socket.on('error', () => process.exit(1))
socket.on('end', () => process.exit(0))`
/** A state that a slow machine needs time for. */

const scratch = mkdtempSync(join(tmpdir(), 'sync-lab-'))
const daemons: ChildProcess[] = []
const ip = (...args: string[]) => execFileSync('ip', args, { stdio: ['ignore', 'pipe', 'inherit'] })
const dbOf = (host: HostName): string => join(scratch, host, 'spamd.sqlite')

const socketOf = (host: HostName): string => join(scratch, `${host}.sock`)

function inNamespace(host: HostName, args: string[]): Promise<number | null> {
  const child = spawn('ip', ['netns', 'exec', namespaceOf(host), ...args], { stdio: 'ignore' })
  return new Promise((resolve) => child.once('close', resolve))
}

async function mail(host: HostName, client: string, to: string): Promise<void> {
  expect(await inNamespace(host, [process.execPath, '-e', CLIENT, client, to])).toBe(0)
}

async function listing(host: HostName): Promise<string> {
  const store = await openStore(dbOf(host), { mode: 'read' })
  const chunks: Uint8Array[] = []
  for await (const chunk of store.listText()) chunks.push(chunk)
  await store.close()
  return Buffer.concat(chunks).toString('latin1')
}

function status(host: HostName): Record<string, unknown> {
  const socket = socketOf(host)
  const text = execFileSync(process.execPath, [
    'bin/spamdctl.js',
    'sync-status',
    '--json',
    '--config-socket',
    socket,
  ])
  return JSON.parse(text.toString()) as Record<string, unknown>
}

/** Starts the real spamd on a host and resolves when it listens. */
async function start(host: HostName, ...sync: string[]): Promise<void> {
  const folder = join(scratch, host)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder)
  chownSync(folder, NOBODY, NOBODY)
  createDatabase(dbOf(host), { owner: { uid: NOBODY, gid: NOBODY } })
  const settings = ['--db', dbOf(host), '--key', join(scratch, 'key'), '--config-socket', socketOf(host)]
  const ports = ['-p', '8025', '--cfg-port', '8026', '--sync-port', '8025']
  const child = spawn(
    'ip',
    [
      'netns',
      'exec',
      namespaceOf(host),
      process.execPath,
      'bin/spamd.js',
      '--foreground',
      '--firewall',
      'none',
      '--user',
      'nobody',
      '-s',
      '0',
      '-S',
      '0',
      // Story 9 of the lab tells of version 3.
      ...['--sync-version', '2'],
      ...ports,
      ...settings,
      ...sync,
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  )
  daemons.push(child)
  let output = ''
  await new Promise<void>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        output += chunk.toString('latin1')
        if (output.includes('listening for incoming connections')) resolve()
      })
    }
    child.once('close', (code) => reject(new Error(`spamd on ${host} ended with ${code}:\n${output}`)))
  })
}

describe.skipIf(!isRoot)('gateways in namespaces', () => {
  beforeAll(() => {
    // Root's own, with a way through for the user of the daemons: their sockets are made here.
    chmodSync(scratch, 0o755)
    writeFileSync(join(scratch, 'key'), 'the key of the laboratory\n', { mode: 0o600 })
    ip('netns', 'add', SWITCH)
    ip('-n', SWITCH, 'link', 'add', 'br0', 'type', 'bridge', 'mcast_snooping', '0')
    ip('-n', SWITCH, 'link', 'set', 'br0', 'up')
    for (const host of HOSTS) {
      const namespace = namespaceOf(host)
      ip('netns', 'add', namespace)
      ip(
        '-n',
        SWITCH,
        'link',
        'add',
        `port-${host}`,
        'type',
        'veth',
        'peer',
        'name',
        'em0',
        'netns',
        namespace,
      )
      ip('-n', SWITCH, 'link', 'set', `port-${host}`, 'master', 'br0', 'up')
      ip('-n', namespace, 'addr', 'add', `${addressOf(host)}/24`, 'dev', 'em0')
      ip('-n', namespace, 'link', 'set', 'em0', 'up')
      ip('-n', namespace, 'link', 'set', 'lo', 'up')
    }
  })

  afterEach(async () => {
    await Promise.all(
      daemons.splice(0).map((child) => {
        // One that did not start has closed already.
        if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve()
        const closed = new Promise<void>((resolve) => child.once('close', () => resolve()))
        child.kill('SIGTERM')
        return closed
      }),
    )
  })

  afterAll(() => {
    for (const namespace of [...HOSTS.map(namespaceOf), SWITCH])
      execFileSync('ip', ['netns', 'del', namespace])
    rmSync(scratch, { recursive: true, force: true })
  })

  test('two share tuples and traps over unicast, in both directions', async () => {
    await Promise.all([
      start('a', '-y', addressOf('a'), '-Y', addressOf('b')),
      start('b', '-y', addressOf('b'), '-Y', addressOf('a')),
    ])
    await mail('a', '127.0.0.7', 'b@example.net')
    await vi.waitFor(async () => expect(await listing('b')).toMatch(/^GREY\|127\.0\.0\.7\|/), PATIENCE)
    const store = await openStore(dbOf('b'), { mode: 'write' })
    await store.edit([{ operation: 'add', kind: 'SPAMTRAP', address: 'trap@example.net' }], 1)
    await store.close()
    await mail('b', '127.0.0.8', 'trap@example.net')
    await vi.waitFor(async () => expect(await listing('a')).toMatch(/^TRAPPED\|127\.0\.0\.8\|/), PATIENCE)
    expect(status('b')).toMatchObject({
      listening: addressOf('b'),
      peers: [{ name: addressOf('a'), address: addressOf('a') }],
      sent: { sent: 1 },
      received: { accepted: 1, refused: {} },
    })
  })

  test('three share by multicast, and a link that was cut is used again when it heals', async () => {
    await Promise.all(HOSTS.map((host) => start(host, '-y', 'em0', '-Y', 'em0:2')))
    await mail('a', '127.0.0.11', 'b@example.net')
    for (const host of ['b', 'c'] as const) {
      await vi.waitFor(async () => expect(await listing(host)).toContain('GREY|127.0.0.11|'), PATIENCE)
    }
    ip('-n', SWITCH, 'link', 'set', 'port-c', 'down')
    await mail('a', '127.0.0.12', 'b@example.net')
    await vi.waitFor(async () => expect(await listing('b')).toContain('GREY|127.0.0.12|'), PATIENCE)
    expect(await listing('c')).not.toContain('127.0.0.12')
    ip('-n', SWITCH, 'link', 'set', 'port-c', 'up')
    let attempt = 0
    await vi.waitFor(async () => {
      // The bridge needs a moment to forward again: each attempt is another message.
      attempt += 1
      await mail('a', '127.0.0.13', `${attempt}@example.net`)
      expect(await listing('c')).toContain('GREY|127.0.0.13|')
    }, PATIENCE)
    await mail('c', '127.0.0.14', 'b@example.net')
    await vi.waitFor(async () => expect(await listing('a')).toContain('GREY|127.0.0.14|'), PATIENCE)
    // Its own messages come back to each sender and are passed over.
    expect(status('a')).toMatchObject({
      multicast: { interface: 'em0', ttl: 2, group: '224.0.1.240', sends: true, receives: true },
      received: { refused: { own: expect.any(Number) } },
    })
  })
})
