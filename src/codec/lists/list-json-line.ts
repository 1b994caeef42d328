/**
 * One line of a JSON list: a record with its address text, metadata that announce a number of records, or neither.
 * Source: https://www.spamhaus.org/drop/drop_v4.json, records `{"cidr":"192.0.2.0/24","sblid":"SBL1"}` and a last
 * line `{"type":"metadata","records":1,...}`.
 */
export type JsonLine =
  /** `isDoubtful`: as the only record it may be an error answer of a service. */
  | { kind: 'record'; address: Uint8Array; isDoubtful: boolean }
  | { kind: 'metadata'; recordCount: number | undefined }
  | { kind: 'unknown' }

/** The fields that are read, of any type; `cidr` takes precedence over `ip`. */
interface KnownFields {
  type?: unknown
  records?: unknown
  cidr?: unknown
  ip?: unknown
  error?: unknown
  errors?: unknown
  message?: unknown
  detail?: unknown
  status?: unknown
  success?: unknown
  ok?: unknown
}

/** Reads one line that begins with an opening brace. Never throws. */
export function readJsonLine(bytes: Uint8Array): JsonLine {
  const record = parseObject(bytes)
  if (record === undefined) return { kind: 'unknown' }
  if (record.type === 'metadata') {
    const count = record.records
    return { kind: 'metadata', recordCount: typeof count === 'number' ? count : undefined }
  }
  const address = record.cidr ?? record.ip
  if (isRefusal(record)) return { kind: 'unknown' }
  if (typeof address !== 'string') return { kind: 'unknown' }
  const isDoubtful = !isNothing(record.message) || !isNothing(record.detail)
  return { kind: 'record', address: new TextEncoder().encode(address), isDoubtful }
}

/**
 * True for an error answer of a service: `{"error":"rate limited","ip":"192.0.2.1"}` contains the client's address,
 * which is ours, and some services send it with status 200. Source: RFC 9457 (`status`, `detail`), and what web services send.
 */
function isRefusal({ error, errors, status, success, ok }: KnownFields): boolean {
  if (success === false || ok === false) return true
  if (!isNothing(error) || !isNothing(errors)) return true
  return typeof status === 'number' ? status >= 400 : /^(?:error|fail)/i.test(String(status))
}

function isNothing(value: unknown): boolean {
  return (
    value === undefined ||
    value === null ||
    value === false ||
    value === '' ||
    (Array.isArray(value) && value.length === 0)
  )
}

function parseObject(bytes: Uint8Array): KnownFields | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes))
    return typeof value === 'object' && value !== null ? (value as KnownFields) : undefined
  } catch {
    return undefined
  }
}
