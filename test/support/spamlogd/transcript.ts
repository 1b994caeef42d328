/** The transcripts of spamlogd: their format, location and recorded results. */
import { readFileSync } from 'node:fs'

type Put = [operation: string, key: string, ...numbers: (number | string)[]]

export interface SpamlogdTranscript {
  id: string
  desc: string
  argv: string[]
  env: {
    '@key'?: string
    '@uid'?: string
    ANCHOR_NOSERVICE?: string
    ANCHOR_NOUSER?: string
    PFLOG_PCAP?: string
  }
  time_base: number
  db: string
  put: Put[]
  pcap_hex: string
  rc: number
  stdout: string
  stderr: string
  syslog: string[]
  listing: string[]
  sync_sent: string[]
}

/** The results of a run of spamlogd, in a form in which recordings, predictions and our runs can be compared. */
export interface SpamlogdOutcome {
  rc: number
  /** Without the messages of the synchronisation. */
  stderr: string[]
  /** Lines as `DEBUG inbound 192.0.2.1`; empty with -D. */
  syslog: string[]
  /** Sorted. */
  listing: string[]
  /** Messages of the synchronisation, in order. */
  syncLines: string[]
  /** Datagrams to the peers in hexadecimal, in order. */
  sent: string[]
}

const TRANSCRIPTS = new URL('../../golden/spamlogd.jsonl', import.meta.url)
const SYNC_LINE = /^(added spam sync host|using multicast|sync white|sending (?:multicast )?sync message)\b/

export const isSyncLine = (line: string): boolean => SYNC_LINE.test(line)

/** All transcripts of the original. */
export function loadTranscripts(): SpamlogdTranscript[] {
  return readFileSync(TRANSCRIPTS, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as SpamlogdTranscript)
}

/** The result of the original. */
export function recordedOutcome(transcript: SpamlogdTranscript): SpamlogdOutcome {
  const { rc, time_base: base, syslog, sync_sent: sent } = transcript
  const lines = transcript.stderr.split('\n').filter((line) => line !== '')
  const listing = transcript.listing.map((line) =>
    line.replace(/\{T([+-][0-9]+)\}/g, (_all, offset: string) => String(base + Number(offset))),
  )
  return {
    rc,
    stderr: lines.filter((line) => !isSyncLine(line)),
    syslog,
    listing: listing.sort(),
    syncLines: lines.filter(isSyncLine),
    sent,
  }
}
