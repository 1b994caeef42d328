/** What bin/spamd-setup.js starts: the one module of the fast start. */

export { runSetupProgram } from './setup-main.js'
export { setupProcess } from './setup-process.js'
