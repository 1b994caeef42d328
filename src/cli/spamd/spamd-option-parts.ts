import { hostname } from 'node:os'
import { maxOpenFiles } from '../../platform/max-open-files.js'
import type { SpamdOptionParts } from './parse-spamd-options.js'

/** The properties of this machine on which spamd's options depend. */
export function systemOptionParts(): SpamdOptionParts {
  return { hostname: hostname(), maxFiles: maxOpenFiles(), environment: process.env }
}
