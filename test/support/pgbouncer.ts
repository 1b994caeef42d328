/** A pgbouncer for a test in front of a server, in transaction mode with fewer connections than clients. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { PostgresServer } from './postgres-server.js'

/** Unpacked by scripts/setup-lab.sh, since installing Debian's package would start a system service. */
const PACKAGE = fileURLToPath(new URL('../../.lab/pgbouncer', import.meta.url))
const PORT = 6432
const NOBODY = 65_534

/** True if scripts/setup-lab.sh has fetched it. */
export const HAS_PGBOUNCER = existsSync(join(PACKAGE, '.complete'))

/** See the head of the file. */
export class PgBouncer {
  readonly folder = mkdtempSync(join(tmpdir(), 'spamdctl-bouncer-'))
  #child: ChildProcess | undefined

  constructor(server: PostgresServer) {
    chmodSync(this.folder, 0o755)
    if (process.getuid?.() === 0) chownSync(this.folder, NOBODY, NOBODY)
    const lines = [
      '[databases]',
      `* = host=${server.folder} port=5432 user=admin`,
      '[pgbouncer]',
      'listen_addr =',
      `listen_port = ${PORT}`,
      `unix_socket_dir = ${this.folder}`,
      'auth_type = any',
      'pool_mode = transaction',
      'default_pool_size = 2',
    ]
    writeFileSync(join(this.folder, 'pgbouncer.ini'), `${lines.join('\n')}\n`)
  }

  /** Location of a database reached through it. */
  location(database: string): string {
    return `postgres://admin@${encodeURIComponent(this.folder)}:${PORT}/${database}?sslmode=disable&connect_timeout=60`
  }

  async start(): Promise<void> {
    const libraries = readdirSync(join(PACKAGE, 'usr/lib'))
      .filter((name) => name.endsWith('-linux-gnu'))
      .map((name) => join(PACKAGE, 'usr/lib', name))
    const identity = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {}
    const child = spawn(join(PACKAGE, 'usr/sbin/pgbouncer'), [join(this.folder, 'pgbouncer.ini')], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { LD_LIBRARY_PATH: libraries.join(':') },
      ...identity,
    })
    this.#child = child
    let log = ''
    child.stderr!.on('data', (bytes: Buffer) => {
      log = (log + bytes.toString()).slice(-20_000)
    })
    // The socket is in its folder a moment before it is listened on.
    while (!(await accepts(join(this.folder, `.s.PGSQL.${PORT}`)))) {
      if (child.exitCode !== null) throw new Error(`pgbouncer does not start:\n${log}`)
      await pause(20)
    }
  }

  async stop(): Promise<void> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
    rmSync(join(this.folder, `.s.PGSQL.${PORT}`), { force: true })
  }

  async remove(): Promise<void> {
    await this.stop()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

function accepts(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
