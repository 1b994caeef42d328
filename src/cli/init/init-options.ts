import { SYSTEMS } from '../../app/init/detect-system.js'
import type { OptionSpec } from '../getopt.js'

/** Options of `spamdctl init`: one for each question, and those for its mode of operation. */
export const INIT_OPTIONS: readonly OptionSpec[] = [
  {
    long: 'os',
    isRare: true,
    value: 'SYSTEM',
    choices: SYSTEMS,
    summary: 'set up this system instead of the detected one',
  },
  { long: 'outside', value: 'INTERFACE', summary: 'interface that receives mail from the Internet' },
  {
    long: 'mail-server',
    value: 'CIDR',
    isRepeatable: true,
    summary: 'address of your mail server: hosts it sends to become WHITE (repeatable)',
  },
  {
    long: 'mode',
    isRare: true,
    value: 'MODE',
    choices: ['greylist', 'blacklist'],
    summary: 'greylist unknown hosts (default), or only tarpit hosts on block lists',
  },
  {
    long: 'list',
    isRare: true,
    value: 'NAME',
    isRepeatable: true,
    summary: 'block list from the catalogue (repeatable), or none; default: three small ones',
  },
  { long: 'peer', isRare: true, value: 'HOST', summary: 'second gateway to synchronise with, or none' },
  { long: 'log', isRare: true, value: 'DEVICE', summary: 'packet log device: nflog:25, or pflog1 with pf' },
  { long: 'root', isRare: true, value: 'DIR', summary: 'write the files below DIR and run no commands' },
  { long: 'dry-run', summary: 'show everything, but write and run nothing' },
  { long: 'yes', summary: 'write and run without asking' },
]
