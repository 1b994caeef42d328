import type { Writable } from 'node:stream'

/**
 * Lets lines that a stream cannot take (a full disk, a reader that has gone) be lost instead of ending the process:
 * for the log and the chatter of a daemon, which nobody may miss so much. Returns the stream.
 */
export function losesUnwritable<Stream extends Writable>(stream: Stream): Stream {
  if (!stream.listeners('error').includes(forget)) stream.on('error', forget)
  return stream
}

function forget(): void {
  // What could not be written cannot be told either.
}
