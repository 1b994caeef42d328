import { SYSTEMS } from '../../app/init/detect-system.js'
import type { OptionSpec } from '../getopt.js'

/** Options of `spamdctl init`: one for each question, and how it goes about it. */
export const INIT_OPTIONS: readonly OptionSpec[] = [
  { long: 'os', value: 'SYSTEM', choices: SYSTEMS, summary: 'system to set up, in place of what is found' },
  { long: 'outside', value: 'INTERFACE', summary: 'interface where mail of strangers comes in' },
  {
    long: 'mail-server',
    value: 'CIDR',
    isRepeatable: true,
    summary: 'own mail server: whom it writes to becomes WHITE (repeatable)',
  },
  {
    long: 'mode',
    value: 'MODE',
    choices: ['greylist', 'blacklist'],
    summary: 'greylist strangers (default), or only hold up hosts on block lists',
  },
  {
    long: 'list',
    value: 'NAME',
    isRepeatable: true,
    summary: 'block list of the catalogue (repeatable), or none; default: three small ones',
  },
  { long: 'peer', value: 'HOST', summary: 'second gateway to share with, or none' },
  { long: 'log', value: 'DEVICE', summary: 'log of the packet filter: nflog:25, or pflog1 with pf' },
  { long: 'root', value: 'DIR', summary: 'prepare the tree below DIR; write files, run nothing' },
  { long: 'dry-run', summary: 'show everything, write and run nothing' },
  { long: 'yes', summary: 'write and run without asking' },
]
