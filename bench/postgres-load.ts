/**
 * Shared by the benchmarks of a database on a server: generated mail, a policy without limits, and the resources that
 * the server used.
 */
import { readFileSync } from 'node:fs'
import type { GreyPolicy, TupleAttempt } from '../src/db/store.js'
import type { PostgresServer } from '../test/support/postgres-server.js'

export const policy: GreyPolicy = {
  passSec: 1500,
  greyExpireSec: 14_400,
  whiteExpireSec: 3_110_400,
  trapExpireSec: 86_400,
  maxTuplesPerAddress: 1000,
  maxTuples: 2 ** 40,
  maxTupleBytes: 2 ** 50,
}
export const nowSec = Math.floor(Date.now() / 1000)
/** Clock ticks of /proc in a second. */
const TICKS = 100

/** An address for each number, spread over all networks. */
export function addressOf(n: number): string {
  const mixed = Math.imul(n, 0x9e3779b1) >>> 0
  return `${11 + ((mixed >>> 24) & 127)}.${(mixed >>> 16) & 255}.${(mixed >>> 8) & 255}.${mixed & 255}`
}

/** The first delivery attempt of a new message. */
export function attempt(n: number, ip = addressOf(n)): TupleAttempt {
  return {
    tuple: { ip, helo: `mx${n % 1000}.example.org`, from: `<s${n}@example.org>`, to: '<user@example.net>' },
    clientIp: ip,
    trapKey: 'user@example.net',
    isDomainTrap: false,
    isLowPriorityMx: false,
    mayPromote: true,
  }
}

export const attempts = (start: number, count: number): TupleAttempt[] =>
  Array.from({ length: count }, (_, n) => attempt(start + n))

/** Fields of /proc/PID/stat behind the name, added up. */
function ticksOf(path: string, fields: readonly number[]): number {
  try {
    const words = readFileSync(path, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
    return fields.reduce((sum, field) => sum + Number(words[field]), 0)
  } catch {
    return 0
  }
}

function childrenOf({ pid }: PostgresServer): string[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')
}

/** Seconds of processor time that the server has used, including processes that have ended. */
export function serverSeconds(server: PostgresServer): number {
  const running = childrenOf(server).reduce((sum, child) => sum + ticksOf(`/proc/${child}/stat`, [11, 12]), 0)
  return (running + ticksOf(`/proc/${server.pid}/stat`, [11, 12, 13, 14])) / TICKS
}

/** The same of those processes that now serve clients: without the vacuum of what was removed before. */
export function clientSeconds(server: PostgresServer): number {
  const serving = childrenOf(server).filter((child) => {
    try {
      return readFileSync(`/proc/${child}/cmdline`, 'utf8').includes('[local]')
    } catch {
      return false
    }
  })
  return serving.reduce((sum, child) => sum + ticksOf(`/proc/${child}/stat`, [11, 12]), 0) / TICKS
}

/** Bytes of WAL written so far. */
export async function walBytes(server: PostgresServer): Promise<number> {
  return Number((await server.sql("SELECT pg_current_wal_lsn() - '0/0'"))[0]![0])
}

export function percentile(values: readonly number[], share: number): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length * share)] ?? 0
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/**
 * Sends `perSec` tuples per second for `sec` seconds, as spamd does: those that arrive while a batch is written form
 * the next batch.
 */
export async function dialogues(
  record: (batch: TupleAttempt[]) => Promise<unknown>,
  { perSec, sec, start }: { perSec: number; sec: number; start: number },
): Promise<{ waits: number[]; longestQueue: number; lastQueue: number }> {
  const waits: number[] = []
  const startMs = performance.now()
  let [sent, longestQueue, lastQueue] = [0, 0, 0]
  while (sent < perSec * sec) {
    const due = Math.min(perSec * sec, Math.floor(((performance.now() - startMs) / 1000) * perSec))
    if (due === sent) {
      await pause(1)
      continue
    }
    lastQueue = due - sent
    longestQueue = Math.max(longestQueue, lastQueue)
    const first = sent
    await record(attempts(start + first, due - first))
    const endMs = performance.now()
    for (let n = first; n < due; n += 1) waits.push(endMs - startMs - ((n + 1) / perSec) * 1000)
    sent = due
  }
  return { waits, longestQueue, lastQueue }
}
