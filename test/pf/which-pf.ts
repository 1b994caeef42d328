import { existsSync } from 'node:fs'

/** True where pfctl is pf's own. */
export const isRealPf =
  (process.platform === 'openbsd' || process.platform === 'freebsd') && existsSync('/sbin/pfctl')

/** Begins the names of the tables that are made and removed; nobody else's. */
export const PREFIX = 'spamdctl-test'
