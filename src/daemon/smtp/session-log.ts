/** The log lines of what a client says: recipients, headers and body lines of a message. */
import { escapeControl } from '../../codec/escape.js'
import type { ConnectionParts } from './connection-parts.js'
import type { SessionEvent } from './smtp-session.js'

/** Logs an event as -v asks for, and prints recipients with -d. Unlisted clients of -b count as GREY here. */
export function logSessionEvent(
  parts: Pick<ConnectionParts, 'options' | 'logger' | 'debug'>,
  client: { clientIp: string; isBlack: boolean },
  event: SessionEvent,
): void {
  const { isVerbose } = parts.options
  const ip = client.clientIp
  switch (event.type) {
    case 'recipient': {
      const label = client.isBlack ? 'BLACK' : 'GREY'
      const { helo, from, to } = event
      const text = `(${label}) ${ip}: ${escapeControl(from)} -> ${escapeControl(to)}`
      if (isVerbose) parts.logger.log('info', text, { event: 'recipient', class: label, ip, helo, from, to })
      parts.debug.err(text)
      return
    }
    case 'header-line':
      if (!isVerbose) return
      parts.logger.log('info', `${ip}: ${escapeControl(event.line)}`, {
        event: 'header',
        ip,
        line: event.line,
      })
      return
    case 'body-line':
      if (!isVerbose) return
      parts.logger.log('debug', `${ip}: Body: ${escapeControl(event.line)}`, {
        event: 'body',
        ip,
        line: event.line,
      })
  }
}
