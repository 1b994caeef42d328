/** pfSense writes pf.conf and rc.conf itself: our own files, and what to enter on its web pages. */
import type { InitInput, InitPlan } from './init-types.js'
import { freebsdPlan } from './plan-freebsd.js'
import { pullSetupOf } from './pull-setup.js'
import { wholeFile } from './shared-files.js'

/** The files of FreeBSD that pfSense does not write itself, with the rules as a text to take over. */
export function pfsensePlan(input: InitInput): InitPlan {
  const plan = freebsdPlan(input, 'pfsense')
  const rules = input
    .example('pfsense/rules.conf')
    .replaceAll(/\bon em0\b/g, () => `on ${input.answers.outside}`)
  return {
    files: [
      ...plan.files.filter(
        ({ path }) => !['/etc/pf.conf', '/etc/rc.conf'].includes(path) && !path.includes('syslog'),
      ),
      wholeFile('/usr/local/etc/spamd/rules.conf', 'rules for the package hook of pfSense', 0o644, rules),
    ],
    commands: plan.commands.filter(({ argv }) => argv[0] !== 'pfctl' && argv[0] !== 'service'),
    byHand: [
      'include /usr/local/etc/spamd/rules.conf by a package hook, or on the pages of pfSense: docs/examples/pfsense/README.md',
      'start the scripts of /usr/local/etc/rc.d at boot: System > Package Manager > Shellcmd',
      ...pullSetupOf('pfsense', input).byHand,
    ],
  }
}
