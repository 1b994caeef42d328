/** A wall clock for one machine of the lab, which a namespace does not have: see clock-offset.c. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CHECKOUT, type Machine } from './machine.js'

const OFFSET_FILE = '/etc/clock-offset'

/** Gives a machine a clock that can be set. Programs that run already keep the real one. */
export async function installClock(machine: Machine): Promise<void> {
  const work = mkdtempSync(join(tmpdir(), 'clock-'))
  const library = join(work, 'clock.so')
  const source = join(CHECKOUT, 'test/lab/support/clock-offset.c')
  execFileSync('cc', ['-shared', '-fPIC', '-O1', '-o', library, source])
  await machine.write('/usr/lib/clock-offset.so', readFileSync(library), '755')
  rmSync(work, { recursive: true })
  await setClock(machine, 0)
  await machine.write('/etc/ld.so.preload', '/usr/lib/clock-offset.so\n')
}

/** Sets its clock so many seconds ahead of the real one, also while it is switched off. */
export async function setClock(machine: Machine, seconds: number): Promise<void> {
  if (machine.isOn) await machine.write(OFFSET_FILE, String(seconds))
  else machine.writeToDisk(OFFSET_FILE, String(seconds))
}
