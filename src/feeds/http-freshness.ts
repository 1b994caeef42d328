/** How long a server lets an answer be used, and when it may be contacted again. All pure. */
import type { UnixSec } from '../platform/clock.js'

/** Header fields as undici gives them, names in lower case. */
export type HttpHeaders = Readonly<Record<string, string | string[] | undefined>>

/** A server that says "never again" is contacted again after this time anyway. */
export const MAX_PATIENCE_SEC = 7 * 86_400

/** A refused client waits at least this long, even shortly before midnight. */
const MIN_REFUSAL_SEC = 12 * 3_600

/**
 * The time until which the answer is fresh, at most a week from now; undefined when the server says nothing
 * or requires revalidation. Source: RFC 9111 sections 4.2.1, 4.2.3 and 5.2.2.
 */
export function freshUntil(headers: HttpHeaders, nowSec: UnixSec): UnixSec | undefined {
  const lifetimeSec = lifetimeOf(headers, nowSec)
  if (lifetimeSec === undefined) return undefined
  const ageText = headerText(headers, 'age')
  const ageSec = ageText !== undefined && /^[0-9]{1,10}$/.test(ageText) ? Number(ageText) : 0
  const remainingSec = Math.min(lifetimeSec - ageSec, MAX_PATIENCE_SEC)
  return remainingSec > 0 ? nowSec + remainingSec : undefined
}

function lifetimeOf(headers: HttpHeaders, nowSec: UnixSec): number | undefined {
  const directives = (headerText(headers, 'cache-control') ?? '')
    .toLowerCase()
    .split(',')
    .map((directive) => directive.trim())
  if (directives.includes('no-store') || directives.includes('no-cache')) return undefined
  for (const directive of directives) {
    const seconds = /^max-age="?([0-9]{1,10})"?$/.exec(directive)?.[1]
    if (seconds !== undefined) return Number(seconds)
  }
  const expiresSec = httpDateSec(headerText(headers, 'expires'))
  if (expiresSec === undefined) return undefined
  return expiresSec - (httpDateSec(headerText(headers, 'date')) ?? nowSec)
}

/**
 * The time before which `Retry-After` forbids another request, at most a week from now; undefined when it is
 * absent or unreadable. Source: RFC 9110 section 10.2.3.
 */
export function retryAfter(headers: HttpHeaders, nowSec: UnixSec): UnixSec | undefined {
  const text = headerText(headers, 'retry-after')
  if (text === undefined) return undefined
  const whenSec = /^[0-9]{1,10}$/.test(text) ? nowSec + Number(text) : httpDateSec(text)
  if (whenSec === undefined || whenSec <= nowSec) return undefined
  return Math.min(whenSec, nowSec + MAX_PATIENCE_SEC)
}

/** When a server that refused us (403, 429) may be contacted again: on the next day, local time. */
export function nextDay(nowSec: UnixSec): UnixSec {
  const midnight = new Date(nowSec * 1000)
  midnight.setHours(24, 0, 0, 0)
  return Math.max(Math.floor(midnight.getTime() / 1000), nowSec + MIN_REFUSAL_SEC)
}

/** One header field as text; repeated fields are joined as RFC 9110 section 5.2 says. */
export function headerText(headers: HttpHeaders, name: string): string | undefined {
  const value = headers[name]
  return Array.isArray(value) ? value.join(', ') : value
}

function httpDateSec(text: string | undefined): UnixSec | undefined {
  if (text === undefined) return undefined
  const timeMs = Date.parse(text)
  return Number.isNaN(timeMs) ? undefined : Math.floor(timeMs / 1000)
}
