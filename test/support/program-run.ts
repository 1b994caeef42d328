import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { runSpamdb, type SpamdbParts } from '../../src/cli/spamdb/spamdb-main.js'
import { createDatabase, openStore } from '../../src/db/open-store.js'
import type { Entry } from '../../src/domain/entry.js'

export interface ProgramResult {
  rc: number
  stdout: string
  stderr: string
}

/** Current time of programs in tests, by default. */
export const TEST_NOW = 1_700_000_000

/** The environment of a program with all output captured; `input` is the content of standard input. */
export function captureIo(
  environment: Record<string, string>,
  input: string | Buffer = '',
  now = TEST_NOW,
): { io: SpamdbParts; result: (rc: number) => ProgramResult } {
  const out: Buffer[] = []
  let stderr = ''
  const parts: SpamdbParts = {
    writeOut: (bytes) => void out.push(Buffer.from(bytes)),
    writeError: (text) => {
      stderr += text
    },
    stdin: (async function* () {
      const bytes = typeof input === 'string' ? Buffer.from(input) : input
      for (let start = 0; start < bytes.length; start += 65_536) yield bytes.subarray(start, start + 65_536)
    })(),
    environment,
    clock: { nowSec: () => now, monotonicMs: () => 0 },
    showHelp: () => Promise.resolve(),
  }
  return { io: parts, result: (rc) => ({ rc, stdout: Buffer.concat(out).toString('latin1'), stderr }) }
}

/** A folder for the test file, removed at its end. Call it at the top: within a test, afterAll() comes too late. */
export function temporaryFolder(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `${name}-`))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** A database with `entries`, and spamdb running on it. */
export async function openScene(
  folder: string,
  entries: readonly Entry[] = [],
): Promise<{
  path: string
  spamdb: (argv: string[], input?: string | Buffer, now?: number) => Promise<ProgramResult>
}> {
  const path = join(mkdtempSync(join(folder, 'db-')), 'spamd.sqlite')
  createDatabase(path)
  const store = await openStore(path, { mode: 'write' })
  await store.upsert(entries, { ifMissing: false })
  await store.close()
  const spamdb = async (
    argv: string[],
    input: string | Buffer = '',
    now = TEST_NOW,
  ): Promise<ProgramResult> => {
    const { io, result } = captureIo({ SPAMD_DB: path }, input, now)
    return result(await runSpamdb(argv, io))
  }
  return { path, spamdb }
}
