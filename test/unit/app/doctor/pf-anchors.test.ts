/** Rules of pf that stand in anchors, in their places. */
import { expect, test } from 'vitest'
import { readPfRules } from '../../../../src/app/doctor/pf-anchors.js'
import { evaluateFilter, findTranslation, type MailPacket } from '../../../../src/codec/system/pf-rules.js'

const stranger: MailPacket = { direction: 'in', family: 4, tables: [], port: 25, interface: 'em0' }

/** A pfctl that knows these outputs, and what it was asked. */
function pfctlOf(outputs: Readonly<Record<string, string>>) {
  const asked: string[] = []
  return {
    asked,
    pfctl: async (...args: string[]) => {
      const command = args.join(' ')
      asked.push(command)
      return { kind: 'ended', status: 0, stdout: outputs[command] ?? '', stderr: '' } as const
    },
  }
}

test('an anchor that decides about mail, with what stands before and behind it', async () => {
  const { pfctl } = pfctlOf({
    '-s rules': 'block drop all\nanchor "mail" in on em0 all\npass out all flags S/SA\n',
    '-a mail -s rules':
      'pass in inet proto tcp from any to any port = 25 flags S/SA divert-to 127.0.0.1 port 8025\npass in log (to pflog1) proto tcp from <spamd-white> to any port = 25 flags S/SA\n',
  })
  const rules = await readPfRules(pfctl, 'rules')
  expect(evaluateFilter(rules, stranger).redirect).toMatchObject({ port: 8025 })
  expect(evaluateFilter(rules, { ...stranger, tables: ['spamd-white'] })).toMatchObject({
    redirect: undefined,
    logTo: ['pflog1'],
  })
  // On another interface the anchor is passed by.
  expect(evaluateFilter(rules, { ...stranger, interface: 'em1' }).rule?.action).toBe('block')
})

test('anchors in anchors, all below a name, and absolute names', async () => {
  const { pfctl, asked } = pfctlOf({
    '-s rules': 'anchor "outer" all\nanchor "many/*" all\n',
    '-a outer -s rules': 'anchor "inner" all\nanchor "/top" all\n',
    '-a outer/inner -s rules': 'pass in quick proto tcp from any to any port = 25\n',
    '-a top -s rules': 'block drop in all\n',
    '-a many -s Anchors': '  many/one\n  many/two\n',
    '-a many/two -s rules': 'pass in proto tcp from any to any port = 25 rdr-to 127.0.0.1 port 8025\n',
  })
  const rules = await readPfRules(pfctl, 'rules')
  expect(rules.map(({ text }) => text)).toEqual([
    'pass in quick proto tcp from any to any port = 25',
    'block drop in all',
    'pass in proto tcp from any to any port = 25 rdr-to 127.0.0.1 port 8025',
  ])
  // Quick decides, in an anchor too.
  expect(evaluateFilter(rules, stranger).redirect).toBeUndefined()
  expect(asked).toContain('-a many/one -s rules')
})

test('translation in an anchor, as pfSense and FreeBSD have it', async () => {
  const { pfctl } = pfctlOf({
    '-s nat':
      'no rdr on em0 inet proto tcp from <spamd-white> to any port = smtp\nrdr-anchor "spamd/*" all\n',
    '-a spamd -s Anchors': 'spamd/mail\n',
    '-a spamd/mail -s nat': 'rdr on em0 inet proto tcp from any to any port = smtp -> 127.0.0.1 port 8025\n',
  })
  const rules = await readPfRules(pfctl, 'nat')
  expect(findTranslation(rules, stranger)?.redirect?.port).toBe(8025)
  expect(findTranslation(rules, { ...stranger, tables: ['spamd-white'] })?.action).toBe('no rdr')
})

test('an anchor that holds itself, or thousands, is given up', async () => {
  const loop = pfctlOf({ '-s rules': 'anchor "/a" all\n', '-a a -s rules': 'anchor "/a" all\npass all\n' })
  expect((await readPfRules(loop.pfctl, 'rules')).length).toBeLessThan(10)
  const names = Array.from({ length: 5000 }, (_, n) => `ftp-proxy/${n}`)
  const many = pfctlOf({
    '-s rules': 'anchor "ftp-proxy/*" all\n',
    '-a ftp-proxy -s Anchors': names.join('\n'),
  })
  await readPfRules(many.pfctl, 'rules')
  expect(many.asked.length).toBeLessThan(100)
})
