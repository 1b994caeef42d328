/**
 * A PostgreSQL server for a test: a private cluster in a temporary folder, run by an unprivileged user, reached
 * through a Unix socket in that folder (and a TCP port on request). System services are not touched.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import {
  appendFileSync,
  chmodSync,
  chownSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { initServer } from '../../src/db/postgres/init-server.js'
import { PgLink } from '../../src/db/postgres/pg-link.js'

/** The programs of the newest installed version (scripts/setup.sh): Debian keeps them out of PATH. */
const PROGRAMS = findPrograms()
const NOBODY = 65_534
const START_PATIENCE_MS = 60_000

/** Removes the days of the history and all rows of the schema; sequences begin anew. */
const EMPTY_ALL = `DO $$
DECLARE
  part regclass;
  is_filled boolean;
BEGIN
  FOR part IN SELECT oid FROM pg_class WHERE relnamespace = 'spamd'::regnamespace AND relkind = 'r' LOOP
    EXECUTE format('SELECT EXISTS (SELECT FROM %s)', part) INTO is_filled;
    IF part::text ~ '^spamd[.]history_[0-9]' THEN EXECUTE format('DROP TABLE %s', part);
    ELSIF is_filled THEN EXECUTE format('TRUNCATE %s', part);
    END IF;
  END LOOP;
  FOR part IN SELECT oid FROM pg_class WHERE relnamespace = 'spamd'::regnamespace AND relkind = 'S' LOOP
    EXECUTE format('ALTER SEQUENCE %s RESTART', part);
  END LOOP;
END $$`

/** True while one of the processes runs; one that nobody has asked how it ended does not. */
function isAnyRunning(pids: readonly number[]): boolean {
  const { stdout } = spawnSync('ps', ['-o', 'stat=', '-p', pids.join()], { encoding: 'utf8' })
  return stdout.split('\n').some((state) => state !== '' && !state.startsWith('Z'))
}

function findPrograms(): string | undefined {
  for (const root of ['/usr/lib/postgresql', '/usr/local/bin', '/usr/bin']) {
    if (!existsSync(root)) continue
    if (existsSync(join(root, 'initdb'))) return root
    const versions = readdirSync(root).filter(
      (name) => /^\d+$/.test(name) && existsSync(join(root, name, 'bin/initdb')),
    )
    const newest = versions.sort((one, other) => Number(other) - Number(one))[0]
    if (newest !== undefined) return join(root, newest, 'bin')
  }
  return undefined
}

export interface PostgresOptions {
  /** Lines for postgresql.conf. */
  settings?: readonly string[]
  /** TCP port on which it listens, too. */
  port?: number
  host?: string
  /** Lines for pg_hba.conf in place of "trust". */
  hba?: readonly string[]
  /** True to survive a crash of the machine (fsync): for benchmarks and crashes of the server. */
  isDurable?: boolean
  /** Folder in which it is created, instead of the one for temporary files. */
  parent?: string
}

export class PostgresServer {
  readonly folder: string
  readonly #options: PostgresOptions
  #child: ChildProcess | undefined
  #databaseCount = 0
  #template: Promise<void> | undefined
  /** Databases that are as `createDatabase` made them, to be used again. */
  readonly #unused: string[] = []
  /** The rows of `spamd.version` in the template, as JSON. */
  #versionRows = ''

  private constructor(folder: string, options: PostgresOptions) {
    this.folder = folder
    this.#options = options
  }

  /** Creates a cluster and starts it; with `from`, as standby of another one. */
  static async start(options: PostgresOptions = {}, from?: PostgresServer): Promise<PostgresServer> {
    const folder = mkdtempSync(join(options.parent ?? tmpdir(), 'spamdctl-pg-'))
    chmodSync(folder, 0o755)
    if (process.getuid?.() === 0) chownSync(folder, NOBODY, NOBODY)
    const server = new PostgresServer(folder, options)
    if (from === undefined) {
      server.#run('initdb', [
        '-D',
        server.dataFolder,
        '-U',
        'admin',
        '-A',
        'trust',
        '--no-sync',
        '-E',
        'UTF8',
        '--locale=C',
      ])
    } else {
      server.#run('pg_basebackup', [
        '-D',
        server.dataFolder,
        '-R',
        '-X',
        'stream',
        '-c',
        'fast',
        '-h',
        from.folder,
        '-U',
        'admin',
      ])
    }
    const { settings = [], port, host = '127.0.0.1', hba, isDurable = false } = options
    const lines = [
      `listen_addresses = '${port === undefined ? '' : host}'`,
      `port = ${port ?? 5432}`,
      `unix_socket_directories = '${folder}'`,
      'max_connections = 60',
      'shared_buffers = 64MB',
      ...(isDurable ? [] : ['fsync = off', 'full_page_writes = off']),
      ...settings,
    ]
    appendFileSync(join(server.dataFolder, 'postgresql.conf'), `${lines.join('\n')}\n`)
    if (hba !== undefined) server.writeHba(hba)
    await server.launch()
    return server
  }

  get dataFolder(): string {
    return join(this.folder, 'data')
  }

  get #port(): number {
    return this.#options.port ?? 5432
  }

  /** Replaces pg_hba.conf; call `reload` afterwards if the server runs. */
  writeHba(lines: readonly string[]): void {
    rmSync(join(this.dataFolder, 'pg_hba.conf'), { force: true })
    appendFileSync(join(this.dataFolder, 'pg_hba.conf'), `${lines.join('\n')}\n`)
    if (process.getuid?.() === 0) chownSync(join(this.dataFolder, 'pg_hba.conf'), NOBODY, NOBODY)
  }

  /** Location of a database, with the given user or the administrator. */
  location(database = 'postgres', user = 'admin'): string {
    return `postgres://${user}@${encodeURIComponent(this.folder)}:${this.#port}/${database}?sslmode=disable&connect_timeout=60`
  }

  /** Creates a database with the tables of spamd. */
  async createDatabase(): Promise<string> {
    this.#template ??= this.#makeTemplate()
    await this.#template
    const emptied = this.#unused.pop()
    if (emptied !== undefined) return emptied
    this.#databaseCount += 1
    const name = `spamd_${this.#databaseCount}`
    await this.sql(`CREATE DATABASE ${name} TEMPLATE spamd_template`)
    return this.location(name)
  }

  /**
   * Takes back a database that `createDatabase` made and whose schema no test has changed: it is emptied and used again. To
   * copy the 400 files of a database and to remove them takes ten times as long as most tests.
   */
  async takeBack(location: string): Promise<void> {
    const name = new URL(location.replace(/^postgres:/, 'http:').replace(/@[^/]*/, '@host')).pathname.slice(1)
    await this.sql(`SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE datname = '${name}'`)
    await this.sql(EMPTY_ALL, name)
    await this.sql(
      `INSERT INTO spamd.version SELECT * FROM json_populate_recordset(NULL::spamd.version, '${this.#versionRows}')`,
      name,
    )
    this.#unused.push(location)
  }

  async #makeTemplate(): Promise<void> {
    await this.sql("CREATE DATABASE spamd_template TEMPLATE template0 ENCODING 'UTF8'")
    await initServer(this.location('spamd_template'), { partitionCount: 4 })
    const [row] = await this.sql('SELECT json_agg(v)::text FROM spamd.version v', 'spamd_template')
    this.#versionRows = String(row?.[0])
  }

  /** Runs one statement as the administrator; returns rows as text. */
  async sql(statement: string, database = 'postgres'): Promise<unknown[][]> {
    const link = new PgLink(this.location(database), {
      mode: 'read',
      queryTimeoutMs: 60_000,
      slowCallMs: Infinity,
    })
    try {
      return (await link.read('test', (statements) => statements.rows(statement))) as unknown[][]
    } finally {
      await link.close()
    }
  }

  /** Starts the server in the foreground, as our child process, and waits until it answers. */
  async launch(): Promise<void> {
    const child = spawn(join(PROGRAMS!, 'postgres'), ['-D', this.dataFolder], {
      stdio: ['ignore', 'ignore', 'pipe'],
      ...this.#identity(),
    })
    this.#child = child
    let log = ''
    child.stderr?.on('data', (bytes: Buffer) => {
      log = (log + bytes.toString()).slice(-20_000)
    })
    const deadline = Date.now() + START_PATIENCE_MS
    while (!(await this.#answers())) {
      if (child.exitCode !== null || Date.now() > deadline)
        throw new Error(`PostgreSQL does not start:\n${log}`)
      await pause(20)
    }
  }

  async #answers(): Promise<boolean> {
    const link = new PgLink(this.location(), { mode: 'read', queryTimeoutMs: 5000, slowCallMs: Infinity })
    try {
      await link.read('test', (statements) => statements.rows('SELECT 1'))
      return true
    } catch {
      return false
    } finally {
      await link.close()
    }
  }

  get pid(): number {
    return Number(readFileSync(join(this.dataFolder, 'postmaster.pid'), 'utf8').split('\n')[0])
  }

  get isRunning(): boolean {
    return this.#child?.exitCode === null && this.#child.signalCode === null
  }

  /** Ends the server as an administrator, a crash or the kernel would, and waits until it has ended. */
  async stop(how: 'fast' | 'immediate' | 'kill' = 'fast'): Promise<void> {
    const child = this.#child
    if (child === undefined || !this.isRunning) return
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
    const processes = this.#processes()
    child.kill(how === 'fast' ? 'SIGINT' : how === 'immediate' ? 'SIGQUIT' : 'SIGKILL')
    await ended
    // They see by themselves that it was killed, and answer until then.
    while (isAnyRunning(processes)) await pause(10)
  }

  /** The server's own process and those that it has started. */
  #processes(): number[] {
    const { pid } = this.#child!
    const { stdout } = spawnSync('ps', ['-o', 'pid=', '--ppid', String(pid)], { encoding: 'utf8' })
    return [pid!, ...stdout.split('\n').filter(Boolean).map(Number)]
  }

  /** Stops or continues the server and all of its processes, like a frozen machine. */
  signalAll(signal: 'SIGSTOP' | 'SIGCONT'): void {
    for (const pid of this.#processes()) {
      try {
        process.kill(pid, signal)
      } catch {
        // It has ended meanwhile.
      }
    }
  }

  /** Promotes a standby. */
  promote(): void {
    this.#run('pg_ctl', ['-D', this.dataFolder, '-w', 'promote'])
  }

  /** Makes the server read its configuration again. */
  reload(): void {
    this.#child?.kill('SIGHUP')
  }

  async remove(): Promise<void> {
    await this.stop('immediate')
    rmSync(this.folder, { recursive: true, force: true })
  }

  #run(program: string, words: readonly string[]): void {
    execFileSync(join(PROGRAMS!, program), words, { stdio: 'pipe', cwd: this.folder, ...this.#identity() })
  }

  #identity(): { uid?: number; gid?: number; env: NodeJS.ProcessEnv } {
    const env = { ...process.env, HOME: this.folder, LC_ALL: 'C' }
    return process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY, env } : { env }
  }
}
