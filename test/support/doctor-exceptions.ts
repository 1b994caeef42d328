/**
 * A healthy gateway with exceptions of `spamdctl allow`: stored, loaded into the packet filter, and updated by a
 * timer.
 */
import { openStore } from '../../src/db/open-store.js'
import type { AllowSource } from '../../src/domain/allow.js'
import type { DoctorScene } from './doctor-scene.js'
import { TEST_NOW } from './program-run.js'

const DAY_SEC = 86_400
/** One exception: a domain with two networks, found an hour ago. */
export const exceptionOf = (changes: Partial<AllowSource> = {}): AllowSource => ({
  name: 'bulk.example',
  first: TEST_NOW - 90 * DAY_SEC,
  expire: 0,
  checked: TEST_NOW - 3600,
  networks: ['192.0.2.0/24', '2001:db8::/32'],
  ...changes,
})
export const IPV4_SET = 'nft -j list set inet spamd spamd-allow'
export const RULESET = 'nft -j -t list ruleset'
export const TIMER = 'systemctl show spamd-allow.timer'

/** Stores exceptions; the packet filter has the table, filled with the networks of `exceptionOf`, and a timer runs. */
export async function addExceptions(scene: DoctorScene, ...sources: AllowSource[]): Promise<void> {
  const { probe, settings } = scene
  const store = await openStore(settings.db, { mode: 'write' })
  const wanted = sources.length === 0 ? [exceptionOf()] : sources
  await store.editAllowed(
    wanted.map((put) => ({ operation: 'put', source: put })),
    TEST_NOW,
  )
  await store.close()
  if (probe.system === 'linux') {
    const set = (name: string, elem: object[]) =>
      JSON.stringify({ nftables: [{ set: { family: 'inet', name, table: 'spamd', elem } }] })
    probe.set(IPV4_SET, set('spamd-allow', [{ prefix: { addr: '192.0.2.0', len: 24 } }]))
    probe.set(`${IPV4_SET}6`, set('spamd-allow6', [{ prefix: { addr: '2001:db8::', len: 32 } }]))
    for (const suffix of ['', '6']) {
      const like = new RegExp(`\\{"(?:set|rule)": \\{[^{}]*"name": "nospamd${suffix}"[^{}]*\\}\\}`)
      copyAs(scene, like, suffix)
      copyAs(
        scene,
        new RegExp(`\\{"rule": [^@]{0,250}"right": "@nospamd${suffix}"\\}\\}, \\{"accept": null\\}\\]\\}\\}`),
        suffix,
      )
    }
    probe.set(TIMER, 'ActiveState=active\n')
    return
  }
  const tables = /^-pa-r--\tnospamd\n\tAddresses: {3}2\n(?:\t.*\n)+/m
  probe.edit('pfctl -vvs Tables', tables, '$&-pa-r--\tspamd-allow\n\tAddresses:   2\n')
  probe.edit('pfctl -s rules', /^(pass in .* from <)nospamd(> .*)\n/m, '$&$1spamd-allow$2\n')
  probe.edit(
    'cat /var/cron/tabs/root',
    /$/,
    '~ 5,17 * * * /usr/local/bin/node /usr/local/bin/spamdctl allow sync\n',
  )
}

/** Inserts a set or rule of spamd-allow after that of nospamd. */
function copyAs({ probe }: DoctorScene, like: RegExp, suffix: string): void {
  const output = probe.outputs.get(RULESET)
  if (output?.kind !== 'ended') throw new Error('no ruleset is recorded')
  const [text] = like.exec(output.stdout) ?? []
  if (text === undefined) throw new Error(`the ruleset lacks ${String(like)}`)
  const copy = text.replace(`nospamd${suffix}`, `spamd-allow${suffix}`)
  probe.set(
    RULESET,
    output.stdout.replace(text, () => `${text}, ${copy}`),
  )
}
