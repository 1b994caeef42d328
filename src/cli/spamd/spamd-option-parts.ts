import { hostname } from 'node:os'
import { maxOpenFiles } from '../../platform/max-open-files.js'
import type { SpamdOptionParts } from './parse-spamd-options.js'

/** This machine, as far as spamd's options depend on it. */
export function systemOptionParts(): SpamdOptionParts {
  return { hostname: hostname(), maxFiles: maxOpenFiles(), environment: process.env }
}
