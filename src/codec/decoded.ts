/**
 * What a decoder of untrusted bytes returns: never an exception. `bytesRead` is how far it looked, `offset`
 * is where from the start of the given bytes it gave up.
 */
export type Decoded<Value, Reason extends string> =
  | { ok: true; value: Value; bytesRead: number }
  | { ok: false; reason: Reason; offset: number }
