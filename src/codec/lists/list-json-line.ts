/**
 * One line of a JSON list: a record with its address text, metadata that announce a number of records, or neither.
 * Source: https://www.spamhaus.org/drop/drop_v4.json, records `{"cidr":"192.0.2.0/24","sblid":"SBL1"}` and a last
 * line `{"type":"metadata","records":1,...}`.
 */
export type JsonLine =
  | { kind: 'record'; address: Uint8Array }
  | { kind: 'metadata'; recordCount: number | undefined }
  | { kind: 'unknown' }

/** The fields that are read, of any type; `cidr` takes precedence over `ip`. */
interface KnownFields {
  type?: unknown
  records?: unknown
  cidr?: unknown
  ip?: unknown
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
  if (typeof address !== 'string') return { kind: 'unknown' }
  return { kind: 'record', address: new TextEncoder().encode(address) }
}

function parseObject(bytes: Uint8Array): KnownFields | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes))
    return typeof value === 'object' && value !== null ? (value as KnownFields) : undefined
  } catch {
    return undefined
  }
}
