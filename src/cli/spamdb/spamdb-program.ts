/** What bin/spamdb.js starts: the one module of the fast start. */

export { rawArguments } from '../../platform/raw-arguments.js'
export { processIo } from '../process-io.js'
export { runSpamdb } from './spamdb-main.js'
