/** What is fuzzed: the seeds, the pieces to mix in, and the rules that hold for any bytes. */
import { corpusInputs } from '../support/corpus.js'
import { checkConfigLines } from './check-config-lines.js'
import { checkControlRequest } from './check-control-requests.js'
import { checkCaptureFile, checkLogRecord } from './check-packet-logs.js'
import { checkConf, checkList } from './check-parsers.js'
import { checkDialogue, checkProxyHeader } from './check-smtp.js'
import { checkSpf, SPF_TOKENS, spfRecords } from './check-spf.js'
import { checkSyncMessage, SYNC_MESSAGES, SYNC_TOKENS } from './check-sync-messages.js'
import { CONTROL_TOKENS } from './control-tokens.js'
import type { Mutator } from './mutate.js'
import { PACKET_LOG_TOKENS } from './packet-log-tokens.js'
import { CONFIG_LINE_TOKENS, GETCAP_TOKENS, LIST_TOKENS, PROXY_TOKENS, SMTP_TOKENS } from './tokens.js'

/** One decoder or state machine, fed with mutations of its seeds. */
export interface FuzzTarget {
  name: string
  seeds(): Buffer[]
  tokens: readonly string[]
  /** Throws for an input that breaks a rule. */
  check(bytes: Buffer, random: Mutator['random']): unknown
  /** False where seeds are made by the program, and a broken input is printed in place of kept in test/corpus. */
  keepsInputs: boolean
}

/** A target whose seeds lie in the folder of test/corpus of its name. */
function ofCorpus(name: string, tokens: readonly string[], check: FuzzTarget['check']): FuzzTarget {
  return { name, tokens, check, seeds: () => corpusInputs(name).map(({ bytes }) => bytes), keepsInputs: true }
}

export const TARGETS: readonly FuzzTarget[] = [
  ofCorpus('lists', LIST_TOKENS, (bytes, random) =>
    checkList(bytes, random(4096), random(4) === 0 ? 1 + random(3) : undefined),
  ),
  ofCorpus('getcap', GETCAP_TOKENS, checkConf),
  ofCorpus('config-line', CONFIG_LINE_TOKENS, (bytes, random) => checkConfigLines(bytes, random(1_000))),
  ofCorpus('smtp', SMTP_TOKENS, (bytes, random) => checkDialogue(bytes, random(4096))),
  ofCorpus('proxy', PROXY_TOKENS, checkProxyHeader),
  ofCorpus('packet-log', PACKET_LOG_TOKENS, checkLogRecord),
  ofCorpus('capture', PACKET_LOG_TOKENS, (bytes, random) => checkCaptureFile(bytes, random(4096))),
  ofCorpus('control', CONTROL_TOKENS, checkControlRequest),
  {
    name: 'sync',
    tokens: SYNC_TOKENS,
    check: checkSyncMessage,
    seeds: () => SYNC_MESSAGES,
    keepsInputs: false,
  },
  { name: 'spf', tokens: SPF_TOKENS, check: checkSpf, seeds: spfRecords, keepsInputs: false },
]
