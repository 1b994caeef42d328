/**
 * Result of a decoder of untrusted bytes, which never throws. `bytesRead` is the number of bytes used; `offset` is
 * where it gave up, from the start of the given bytes.
 */
export type Decoded<Value, Reason extends string> =
  | { ok: true; value: Value; bytesRead: number }
  | { ok: false; reason: Reason; offset: number }
