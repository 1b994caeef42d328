/**
 * The protocol between the two processes of spamd. The parent is root and trusts nothing that the child
 * sends: every message is read by `readChildMessage`, and a request is one of the fixed names here. The child
 * names no path, no address and no program; the parent knows those from the command line.
 */

import type { SpamdConfig } from '../../app/spamd-config.js'
import type { TableChange, TableSpec } from '../../firewall/backend.js'
import { AppError, errnoOf } from '../../platform/app-error.js'
import { reasonOf } from '../../platform/errno-text.js'
import { type ErrorCode, isErrorCode } from '../../platform/error-codes.js'
import type { SystemUser } from '../../platform/privileges.js'
import type { DaemonSignal } from '../daemon-signal.js'
import type { Frame } from './message-frames.js'

/** Requests without arguments. */
const SIMPLE_REQUESTS = [
  'smtp-listeners',
  'config-listener',
  'control-listener',
  'read-tls',
  'read-allowed-domains',
  'read-spf-domains',
  'read-sync-key',
  'table-limits',
  'changes-by-others',
  'watch-tables',
] as const
export type SimpleRequest = (typeof SIMPLE_REQUESTS)[number]

/** The only tables that the daemon may change. */
export const DAEMON_TABLES: readonly TableSpec[] = [
  { name: 'spamd-white', content: 'hosts' },
  { name: 'spamd-white-net', content: 'networks' },
]

/** The only table that spamd-setup may change. */
export const SETUP_TABLES: readonly TableSpec[] = [{ name: 'spamd', content: 'networks' }]

/**
 * Table text of one family at most: some ten million hosts.
 * @internal The tests go to the limit and beyond it.
 */
export const MAX_TABLE_BYTES = 256 * 1024 * 1024
/** A table is sent in parts of this size, so that neither process blocks. */
export const PIECE_BYTES = 256 * 1024
/** Requests in progress at a time; the child makes a handful. */
export const MAX_OPEN_REQUESTS = 32
/** Words of a message: an error with its hint, every character escaped, is the longest. */
export const MAX_WORDS_BYTES = 64 * 1024
/** Messages other than whole parts of a table: at most this many at once, and this many per second on average. */
export const MESSAGE_BURST = 500
export const MESSAGES_PER_SEC = 50
/** Error texts of the child end up in the parent's log. */
const MAX_TEXT_LENGTH = 2_000

/** Size of one family of a table that is about to follow. */
export interface TablePart {
  count: number
  lengthBytes: number
}

/** An `AppError` sent to the other process. */
export interface ErrorMessage {
  code: ErrorCode
  message: string
  hint: string | undefined
  errno: string | undefined
}

export type ChildMessage =
  | { kind: 'hello' }
  | { kind: 'ready' }
  | { kind: 'failed'; error: ErrorMessage }
  | { kind: 'request'; id: number; name: SimpleRequest }
  | { kind: 'replace-table'; id: number; table: TableSpec; ipv4: TablePart; ipv6: TablePart }
  /** As `replace-table`, with a few entries to add or delete. */
  | {
      kind: 'change-table'
      id: number
      table: TableSpec
      change: TableChange
      ipv4: TablePart
      ipv6: TablePart
    }
  | { kind: 'read-table' | 'count-table'; id: number; table: TableSpec }
  /** The next bytes of the table of that request: first all of IPv4, then IPv6. */
  | { kind: 'piece'; id: number; bytes: Uint8Array }

export type ParentMessage =
  /** Answer to `hello`. `user` is absent when the parent is not root: then the child is what it stays. */
  | { kind: 'start'; config: SpamdConfig; user: SystemUser | undefined }
  | { kind: 'signal'; signal: DaemonSignal }
  /** The rules were flushed: our tables are gone. Follows a request `watch-tables`. */
  | { kind: 'tables-lost' }
  /** A socket for a request, sent along with the message; the answer that follows says how many. */
  | { kind: 'handle'; id: number }
  /** `follows`: sockets were sent before it, so it uses the same channel. */
  | { kind: 'answer'; id: number; value: unknown; follows?: true }
  | { kind: 'refused'; id: number; error: ErrorMessage }

/** The words and bytes of a message to the parent. */
export function encodeChildMessage(message: object): Frame {
  const { bytes = new Uint8Array(), ...words } = message as { bytes?: Uint8Array }
  return { words: JSON.stringify(words), bytes }
}

/** What the child sent, as `readChildMessage` takes it; undefined for words that are no JSON. */
export function decodeChildMessage({ words, bytes }: Frame): unknown {
  try {
    const message: unknown = JSON.parse(words)
    return isRecord(message) && bytes.length > 0 ? { ...message, bytes } : message
  } catch {
    return undefined
  }
}

/**
 * A message of the child about one of `tables`, or undefined when it is invalid: the child is then
 * compromised.
 */
export function readChildMessage(
  message: unknown,
  tables: readonly TableSpec[] = DAEMON_TABLES,
): ChildMessage | undefined {
  if (!isRecord(message)) return undefined
  const { kind, id } = message
  if (kind === 'hello' || kind === 'ready') return { kind }
  if (kind === 'failed') {
    const error = readError(message.error)
    return error && { kind, error }
  }
  if (!isCount(id)) return undefined
  if (kind === 'request') {
    const name = SIMPLE_REQUESTS.find((known) => known === message.name)
    return name && { kind, id, name }
  }
  if (kind === 'piece') {
    const bytes = message.bytes
    return bytes instanceof Uint8Array && bytes.length <= PIECE_BYTES ? { kind, id, bytes } : undefined
  }
  const table = tables.find(({ name }) => name === message.table)
  return table && readTableMessage(message, id, table)
}

/** A request about one table. */
function readTableMessage(
  { kind, change, ...parts }: Readonly<Record<string, unknown>>,
  id: number,
  table: TableSpec,
): ChildMessage | undefined {
  if (kind === 'read-table' || kind === 'count-table') return { kind, id, table }
  const [ipv4, ipv6] = [readPart(parts.ipv4), readPart(parts.ipv6)]
  if (!ipv4 || !ipv6) return undefined
  if (kind === 'replace-table') return { kind, id, table, ipv4, ipv6 }
  const isChange = kind === 'change-table' && (change === 'add' || change === 'delete')
  return isChange ? { kind, id, table, change, ipv4, ipv6 } : undefined
}

/** Any thrown value in the form in which it is sent; anything but an `AppError` loses its stack. */
export function toErrorMessage(error: unknown): ErrorMessage {
  const isOurs = error instanceof AppError
  return {
    code: isOurs ? error.code : 'ERR_SPAMD_INTERNAL',
    message: reasonOf(error).slice(0, MAX_TEXT_LENGTH),
    hint: isOurs ? error.hint?.slice(0, MAX_TEXT_LENGTH) : undefined,
    errno: errnoOf(error),
  }
}

/** The error that the other process met. */
export function fromErrorMessage({ code, message, hint, errno }: ErrorMessage): AppError {
  return new AppError(code, message, { hint, errno })
}

function readError(value: unknown): ErrorMessage | undefined {
  if (!isRecord(value)) return undefined
  const { code, message, hint, errno } = value
  if (!isErrorCode(code)) return undefined
  if (errno !== undefined && (typeof errno !== 'string' || !/^E[A-Z0-9]{1,20}$/.test(errno))) return undefined
  if (typeof message !== 'string' || (hint !== undefined && typeof hint !== 'string')) return undefined
  return { code, message: message.slice(0, MAX_TEXT_LENGTH), hint: hint?.slice(0, MAX_TEXT_LENGTH), errno }
}

function readPart(value: unknown): TablePart | undefined {
  if (!isRecord(value)) return undefined
  const { count, lengthBytes } = value
  if (!isCount(count) || !isCount(lengthBytes) || lengthBytes > MAX_TABLE_BYTES) return undefined
  return { count, lengthBytes }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}
