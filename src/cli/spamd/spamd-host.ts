import { hostname } from 'node:os'
import { maxOpenFiles } from '../../platform/max-open-files.js'
import type { SpamdHost } from './parse-spamd-options.js'

/** This machine, as far as spamd's options depend on it. */
export function thisHost(): SpamdHost {
  return { hostname: hostname(), maxFiles: maxOpenFiles(), environment: process.env }
}
