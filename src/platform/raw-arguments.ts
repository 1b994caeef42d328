import { readFileSync } from 'node:fs'
import { decodeSurrogateEscape } from '../codec/surrogate-escape.js'

/** What Node substitutes for bytes of an argument that are not UTF-8. */
const REPLACEMENT = '\ufffd'

/**
 * The arguments with every byte preserved: Node decodes them as UTF-8 and loses other bytes, so in that case
 * they are read again from the system (Linux), with byte NN as lone surrogate U+DCNN. Elsewhere they stay as
 * Node delivers them.
 */
export function rawArguments(words: readonly string[]): readonly string[] {
  if (!words.some((word) => word.includes(REPLACEMENT))) return words
  let commandLine: string
  try {
    commandLine = readFileSync('/proc/self/cmdline', 'latin1')
  } catch {
    return words
  }
  const all = commandLine.split('\0').slice(0, -1)
  return all.slice(all.length - words.length).map(decodeSurrogateEscape)
}
