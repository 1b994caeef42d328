/**
 * The process that keeps root for the packet filter after spamd-setup has given it up: see setup-firewall.ts.
 */
import { Socket } from 'node:net'
import { serialize } from 'node:v8'
import { escapeControl } from '../../codec/escape.js'
import { selectFirewall } from '../../firewall/select.js'
import { currentSystem } from '../../platform/settings.js'
import { FrameReader, writeFrame } from './message-frames.js'
import { PrivilegedParent } from './privileged-parent.js'
import { decodeChildMessage, MAX_WORDS_BYTES, PIECE_BYTES, SETUP_TABLES } from './privileged-protocol.js'
import { HELPER_MESSAGES_FD, type HelperSettings } from './setup-firewall.js'
import { NO_RESOURCES } from './spamd-resources.js'

const { firewall: choice, pfctl, nft } = JSON.parse(process.argv[2] ?? '{}') as HelperSettings

process.chdir('/')
const messages = new Socket({ fd: HELPER_MESSAGES_FD, readable: true, writable: true })
const frames = new FrameReader({ maxWordsBytes: MAX_WORDS_BYTES, maxBytes: PIECE_BYTES })
const parent = new PrivilegedParent({
  resources: NO_RESOURCES,
  firewall: selectFirewall({
    choice,
    pfctl,
    nft,
    system: currentSystem(),
    onNotice: (message) => process.stderr.write(`spamd-setup: ${escapeControl(message)}\n`),
  }),
  controlSocket: {},
  tables: SETUP_TABLES,
  send: (message) => writeFrame(messages, { words: '', bytes: serialize(message) }),
})
// spamd-setup has exited. If the packet filter program hangs, only this process can still enforce its time limit.
const end = (): void => void parent.settled().then(() => process.exit(0))
messages.on('end', end)
messages.on('error', end)
for (const signal of ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM'] as const) process.on(signal, () => undefined)
messages.on('data', (chunk: Buffer) => {
  try {
    for (const frame of frames.push(chunk)) parent.take(decodeChildMessage(frame))
  } catch {
    // Our own process never sends that.
    process.exit(1)
  }
})
