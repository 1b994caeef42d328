import type { Writable } from 'node:stream'

/**
 * Loses lines that a stream cannot accept (a full disk, a closed reader) instead of ending the process: for
 * the log and the output of a daemon. Returns the stream.
 */
export function losesUnwritable<Stream extends Writable>(stream: Stream): Stream {
  if (!stream.listeners('error').includes(forget)) stream.on('error', forget)
  return stream
}

function forget(): void {
  // What could not be written cannot be reported either.
}
