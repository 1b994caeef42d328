/** The transcripts of spamd: their format and location. */
import { readFileSync } from 'node:fs'

export interface Step {
  op: string
  client?: string
  src?: string
  dst?: string
  port?: number
  data?: string | string[]
  recv?: string
  eof?: boolean | string
  out?: string[]
  syslog?: string[]
  out_unique?: string[]
  syslog_unique?: string[]
  pfctl_last?: { argv: string[]; stdin: string } | null
  sync_sent?: { to: string; len: number; hex: string }[]
  /** Datagram of a peer, in hexadecimal. */
  hex?: string
  argv?: string[]
  stdout?: string[]
  stderr?: string
  rc?: number
  advance?: number
  version?: string
  exception?: string
}

export interface SpamdRecord {
  id: string
  desc: string
  /** True if the result depends on undefined behaviour or on a text of the platform. */
  ub: boolean | string | null
  argv: string[]
  env: {
    '@uid'?: string
    '@db'?: string
    '@speed'?: string
    '@udp'?: string
    ANCHOR_NOSERVICE?: string
    ANCHOR_NOUSER?: string
    PFDEV?: string
  }
  files: { alloweddomains?: string; 'spamd.key'?: string }
  db: [string, string, ...(number | string)[]][]
  mode: 'run' | 'cmd'
  rc: number | null
  steps: Step[]
}

const RECORDS = new URL('../../golden/spamd.jsonl', import.meta.url)

/** All records of the original. */
export function loadRecords(): SpamdRecord[] {
  return readFileSync(RECORDS, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as SpamdRecord)
}
