/** What `spamdctl allow` needs from its process: DNS, packet filter, output. */
import { actorOf } from '../../app/actor.js'
import { openAllowFirewall } from '../../app/allow/open-allow-firewall.js'
import { escapeControl } from '../../codec/escape.js'
import { systemClock } from '../../platform/clock.js'
import { DnsClient } from '../../platform/dns-client.js'
import { resolveSettings } from '../../platform/settings.js'
import { writeFully, writeMessage } from '../../platform/standard-output.js'
import type { OptionValues } from '../option-reader.js'
import type { AllowCommandParts } from './allow-commands.js'

/** Runs one command with the machine's DNS and packet filter, and closes DNS afterwards. */
export async function withAllowParts(
  options: OptionValues,
  run: (parts: AllowCommandParts) => Promise<number>,
): Promise<void> {
  const settings = resolveSettings({ db: options.last('db'), firewall: options.last('firewall') })
  const dns = new DnsClient({ clock: systemClock, servers: options.all('dns') })
  try {
    process.exitCode = await run({
      dbPath: settings.db,
      nowSec: systemClock.nowSec(),
      actor: actorOf(process.env),
      dns,
      firewall: openAllowFirewall(settings, (message) =>
        writeMessage(`spamdctl: ${escapeControl(message)}\n`),
      ),
      write: (text) => writeFully(1, Buffer.from(text)),
      writeError: writeMessage,
    })
  } finally {
    dns.close()
  }
}
