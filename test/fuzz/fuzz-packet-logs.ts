/**
 * Feeds mutated packet logs and capture files to spamlogd's decoders and stops at the first broken rule, keeping
 * the input in test/corpus. Not part of `npm test`: `npx tsx test/fuzz/fuzz-packet-logs.ts [INPUTS [SEED]]`.
 */
import { checkCaptureFile, checkLogRecord } from './check-packet-logs.js'
import { PACKET_LOG_TOKENS } from './packet-log-tokens.js'
import { runFuzz } from './run-fuzz.js'

runFuzz('packet-log', PACKET_LOG_TOKENS, checkLogRecord)
runFuzz('capture', PACKET_LOG_TOKENS, (bytes, random) => checkCaptureFile(bytes, random(4096)))
