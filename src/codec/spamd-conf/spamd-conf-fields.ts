import { escapeControl } from '../escape.js'
import {
  type CapabilityField,
  type CapabilityRecord,
  decodeCapabilityString,
  type FoundCapability,
  findCapability,
  parseCapabilityNumber,
  type TextPosition,
} from './getcap.js'

/** The message of a black list: its text (Latin-1, one character per byte), or the file that contains it. */
export type ListMessage = { kind: 'text'; text: string } | { kind: 'file'; path: string }

/** A numeric capability: its value, undefined if absent, or the problem with it. */
export type NumberField =
  | { isUsable: true; value: number | undefined }
  | { isUsable: false; position: TextPosition; message: string; fix: string }

/** Reads `NAME#NUMBER`; the number must be from `low` to `high`. */
export function readNumber(
  fields: readonly CapabilityField[],
  name: string,
  low: number,
  high: number,
): NumberField {
  const found = findCapability(fields, name, '#')
  if (found.kind === 'present') {
    const value = parseCapabilityNumber(found.value)
    if (value !== undefined && value >= low && value <= high) return { isUsable: true, value }
    const message = `${name}#${shown(found.value)} is not a number from ${low} to ${high}`
    return { isUsable: false, position: found.field.position, message, fix: `write ${name}# and a number` }
  }
  const asText = findCapability(fields, name, '=')
  if (asText.kind !== 'present') return { isUsable: true, value: undefined }
  const message = `${name} is a number, which is written with #, not =`
  const fix = `write ${name}#${shown(asText.value)}`
  return { isUsable: false, position: asText.field.position, message, fix }
}

/** The value of `msg`; undefined for a single double quote, which has no meaning. */
export function readMessage(value: string): ListMessage | undefined {
  const text = decodeCapabilityString(value)
  if (!text.startsWith('"') || !text.endsWith('"')) return { kind: 'file', path: utf8(text) }
  return text.length < 2 ? undefined : { kind: 'text', text: text.slice(1, -1) }
}

/** A list name in `all` and its position. */
export interface NamedList {
  text: string
  position: TextPosition
}

/** The list names in a field of `all`, also separated by blanks and tabs. */
export function splitNames(field: CapabilityField): NamedList[] {
  return [...field.text.matchAll(/[^ \t]+/g)].map((match) => ({
    text: match[0],
    position: field.positionAt(match.index),
  }))
}

/** True for a list name that is obviously a field of the next record. */
export function looksLikeCapability(name: string): boolean {
  return /^(?:black|white)$|^(?:msg|method|file)=/.test(name)
}

/** False for an empty path, URL or command, or one that a NUL byte would cut off. */
export function canBeNamed(location: string): boolean {
  return location !== '' && !location.includes('\0')
}

/** True if the fields define the capability. */
export function isPresent(fields: readonly CapabilityField[], name: string, type: ':' | '=' | '#'): boolean {
  return findCapability(fields, name, type).kind === 'present'
}

/** Position to report for a capability that is cancelled or missing. */
export function placeOf(found: FoundCapability, record: CapabilityRecord): TextPosition {
  return found.kind === 'absent' ? record.position : found.field.position
}

/** Text of the file, escaped for a message. */
export function shown(wireText: string): string {
  return escapeControl(utf8(wireText))
}

/** Decodes text of one character per byte as UTF-8. */
export function utf8(wireText: string): string {
  return Buffer.from(wireText, 'latin1').toString('utf8')
}
