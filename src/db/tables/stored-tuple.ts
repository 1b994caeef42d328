/** The key of a stored tuple as its bytes, with its creation time. */
export interface StoredTuple {
  ip: Buffer
  helo: Buffer
  from: Buffer
  to: Buffer
  first: number
  bcount: number
}
