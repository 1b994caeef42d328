/** Predicts the result of a transcript of spamd-setup with the intended differences, from its input only. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { escapeControl } from '../../../src/codec/escape.js'
import { parseSpamdConf } from '../../../src/codec/spamd-conf/spamd-conf.js'
import type { SpamdList } from '../../../src/codec/spamd-conf/spamd-list.js'
import type { NaiveRange } from './naive-line.js'
import { type NaiveList, naiveCidrs, readNaiveList } from './naive-list.js'
import { bytesOf, placeFiles, type SetupTranscript } from './replay.js'

export interface Prediction {
  rc: number
  /** Lines of stderr without hints and notes; a pattern in place of a reason given by the system or by us. */
  stderr: (string | RegExp)[]
  connections: string[]
  pfctlStdin: string | undefined
  urls: string[]
  /** Names of the intended differences that this input causes. */
  rules: string[]
}

interface Fetched {
  list: NaiveList | undefined
  stderr: (string | RegExp)[]
}

const OPTION_LETTERS = 'bDdn'
const USAGE = 'usage: spamd-setup [-bDdn]'
const NOBODY_ID = 65534

/** Why the system could not open a file, in its words. */
const OPEN_FAILURES: Readonly<Record<string, string>> = {
  ENOENT: 'No such file or directory',
  ENOTDIR: 'Not a directory',
  ENAMETOOLONG: 'File name too long',
  ELOOP: 'Too many levels of symbolic links',
}

export async function predict(transcript: SetupTranscript): Promise<Prediction> {
  const options = readOptions(transcript.argv)
  if ('stderr' in options) return { ...options, connections: [], pfctlStdin: undefined, urls: [] }
  const dir = await mkdtemp(join(tmpdir(), 'spamd-setup-prediction-'))
  try {
    await chmod(dir, 0o755)
    await placeFiles(transcript, dir)
    return new Predictor(transcript, options, dir).run()
  } finally {
    await rm(dir, { recursive: true })
  }
}

/** The option letters, or the result of a call that does nothing. */
function readOptions(argv: readonly string[]): Set<string> | Pick<Prediction, 'rc' | 'stderr' | 'rules'> {
  const letters = new Set<string>()
  const wrong = (name: string, rules: string[] = []) => ({
    rc: 1,
    stderr: [`spamd-setup: unknown option -- ${name}`, USAGE],
    rules,
  })
  for (const [index, word] of argv.entries()) {
    if (word === '--') {
      if (index === argv.length - 1) return letters
      return { rc: 1, stderr: [USAGE], rules: [] }
    }
    if (word === '--help') return { rc: 0, stderr: [], rules: ['there are long options'] }
    if (word.startsWith('--')) return wrong(word.slice(2), ['an unknown long option is named'])
    if (!word.startsWith('-') || word === '-') return { rc: 1, stderr: [USAGE], rules: [] }
    for (const [at, letter] of [...word.slice(1)].entries()) {
      if (letter === '-' && at === word.length - 2) return { rc: 1, stderr: [USAGE], rules: [] }
      if (!OPTION_LETTERS.includes(letter)) return wrong(letter)
      letters.add(letter)
    }
  }
  return letters
}

class Predictor {
  readonly #transcript: SetupTranscript
  readonly #letters: Set<string>
  /** Folder with the files of the transcript: `{DIR}`. */
  readonly #dir: string
  readonly #rules = new Set<string>()
  readonly #stderr: (string | RegExp)[] = []
  readonly #urls: string[] = []
  #hasFailed = false

  constructor(transcript: SetupTranscript, letters: Set<string>, dir: string) {
    this.#transcript = transcript
    this.#letters = letters
    this.#dir = dir
  }

  run(): Prediction {
    const { conf, env, ub } = this.#transcript
    if (ub !== null) this.#rules.add('undefined behaviour of the original')
    if (env.ANCHOR_NOUSER !== undefined || env.ANCHOR_NOSERVICE !== undefined) {
      this.#rules.add('no need of user or service')
    }
    const text = conf === null ? undefined : Buffer.from(conf, 'latin1')
    if (conf?.includes('\r') === true) this.#rules.add('CR LF accepted')
    if (conf !== null && conf !== '' && !conf.endsWith('\n'))
      this.#rules.add('last line without newline accepted')
    const { lists, diagnostics } = parseSpamdConf(text ?? new Uint8Array(0), { fileName: '{CONF}' })
    const fatal = diagnostics.find(({ severity, list }) => severity === 'error' && list === undefined)
    if (fatal !== undefined) {
      this.#rules.add('errors of spamd.conf name their place')
      this.#failAtPlace(fatal.original)
      return this.#result([], undefined)
    }

    const groups: {
      black: SpamdList | undefined
      ranges: NaiveRange[]
      white: NaiveRange[]
      isHeld: boolean
    }[] = []
    const cache = new Map<string, Fetched>()
    for (const entry of lists) {
      const group = groups.at(-1)
      if (!entry.isUsable) {
        this.#rules.add('an unusable list does not stop the others')
        const { original } = entry.diagnostic
        this.#failAtPlace(original)
        if (entry.colour === 'black') groups.push({ black: undefined, ranges: [], white: [], isHeld: true })
        else if (group !== undefined) group.isHeld = true
        continue
      }
      const fetched = this.#fetch(entry, cache, entry.colour === 'white' && group !== undefined)
      if (entry.colour === 'black') {
        const isMessageMissing = this.#isMessageMissing(entry)
        if (isMessageMissing && fetched.list === undefined) {
          // Problems of the record are reported before those of its source.
          this.#stderr.splice(-fetched.stderr.length, 0, this.#stderr.pop()!)
        }
        groups.push({
          black: entry,
          ranges: fetched.list?.ranges ?? [],
          white: [],
          isHeld: fetched.list === undefined || isMessageMissing,
        })
      } else if (group !== undefined) {
        if (fetched.list === undefined) group.isHeld = true
        else group.white.push(...fetched.list.ranges)
      }
    }

    const connections: string[] = []
    const union: NaiveRange[] = []
    for (const { black, ranges, white, isHeld } of groups) {
      if (black === undefined || isHeld) continue
      const cidrs4 = naiveCidrs(ranges, white, 4)
      const cidrs6 = naiveCidrs(ranges, white, 6)
      for (const [family, cidrs] of [
        [4, cidrs4],
        [6, cidrs6],
      ] as const) {
        for (const cidr of cidrs) union.push(rangeOf(family, cidr))
      }
      connections.push(this.#configLine(black, cidrs4, cidrs6))
      if (cidrs4.length + cidrs6.length === 0) this.#rules.add('an emptied list is cleared')
    }
    const table =
      this.#letters.has('b') && groups.length > 0
        ? [...naiveCidrs(union, [], 4), ...naiveCidrs(union, [], 6)].map((cidr) => `${cidr}\n`).join('')
        : undefined
    return this.#result(connections, table)
  }

  #result(connections: string[], table: string | undefined): Prediction {
    const { listener, env } = this.#transcript
    const isDry = this.#letters.has('n')
    let sent = isDry ? [] : connections
    if (!listener && !isDry) {
      // There is nothing to clear if no spamd runs.
      if (sent.some((line) => !/^[^;]*;\n$/.test(line))) {
        this.#fail("spamd-setup: Can't connect to spamd on port 8026: Connection refused")
      }
      sent = []
    }
    // pfctl uses these two to mark an empty place, so they are never written.
    let pfctlStdin = isDry ? undefined : table?.replace(/^(?:0\.0\.0\.0\/32|::\/128)\n/gm, '')
    if (table !== undefined) this.#rules.add('pfctl: one replace with the union, -f -')
    if (pfctlStdin !== undefined && env.PFCTL !== undefined) {
      this.#rules.add('a failing pfctl is an error')
      this.#fail(/^spamd-setup: cannot (?:read|replace) table spamd: .*/)
      pfctlStdin = undefined
    }
    const stderr = this.#stderr.map((line) => (typeof line === 'string' ? escapeControl(line) : line))
    if (stderr.some((line, index) => line !== this.#stderr[index]))
      this.#rules.add('control characters shown as \\xNN')
    if (stderr.some((line) => String(line).includes('\ufffd')))
      this.#rules.add('text that is no UTF-8 is shown as U+FFFD')
    const isInBackground = this.#letters.has('D')
    if (isInBackground) this.#rules.add('in the background errors go to syslog')
    return {
      rc: this.#hasFailed && !isInBackground ? 1 : 0,
      stderr: isInBackground ? [] : stderr.map(asRecorded),
      connections: sent,
      pfctlStdin,
      urls: this.#urls,
      rules: [...this.#rules],
    }
  }

  #fetch(list: SpamdList, cache: Map<string, Fetched>, holdsBlackList: boolean): Fetched {
    let fetched = cache.get(list.name)
    const isRemote = list.method !== 'file' && list.method !== 'exec'
    if (fetched === undefined) {
      fetched = this.#read(list)
      cache.set(list.name, fetched)
      if (isRemote) this.#urls.push(`${list.method}://${list.location}`)
    }
    if (isRemote && this.#letters.has('d')) {
      const shown = list.location.replace(/^[^/@]*@/, '')
      if (shown !== list.location) this.#rules.add('user and password of a URL are not shown')
      this.#stderr.push(`Getting ${list.method}://${shown}`)
    }
    if (fetched.list === undefined) {
      this.#rules.add('a failed source is an error, the others go on')
      for (const line of fetched.stderr) this.#fail(withSuffix(line, holdsBlackList))
    } else if (this.#letters.has('d')) {
      this.#stderr.push(`${list.colour}list ${utf8(list.name)} ${fetched.list.entries} entries`)
    }
    if ((fetched.list?.disputedLines.length ?? 0) > 0) this.#rules.add('lines read as the specification says')
    return fetched
  }

  #read(list: SpamdList): Fetched {
    const failed = (line: string | RegExp): Fetched => ({ list: undefined, stderr: [line] })
    const couldNot = new RegExp(
      `^spamd-setup: Could not add ${list.colour}list ${escapeRegExp(escapeControl(utf8(list.name)))}: .*`,
    )
    const bytes = this.#bytes(list)
    if (bytes === 'failed') return failed(couldNot)
    if (typeof bytes === 'string') {
      return failed(`spamd-setup: Can't open ${list.location} by file method: ${bytes}`)
    }
    let content: Buffer
    try {
      content = inflate(bytes)
    } catch {
      return failed(couldNot)
    }
    const naive = readNaiveList(content)
    const isEmptyDownload = list.method !== 'file' && naive.entries === 0 && !list.isEmptyOk
    if (naive.isPage || naive.isMostlyUnknown || isEmptyDownload) return failed(couldNot)
    return { list: naive, stderr: [] }
  }

  /** The bytes of a source, or the reason why its file cannot be opened, as text. */
  #bytes(list: SpamdList): Buffer | string | 'failed' {
    if (list.method === 'exec') return this.#execute(list.location)
    if (list.method !== 'file') {
      const content = this.#transcript.files[basename(list.location)]
      return content === undefined ? 'failed' : bytesOf(content)
    }
    try {
      return readFileSync(this.#pathOf(list.location))
    } catch (error) {
      const { code = '' } = error as NodeJS.ErrnoException
      return OPEN_FAILURES[code] ?? 'failed'
    }
  }

  #pathOf(location: string): string {
    return resolve('/', location.replaceAll('{DIR}', this.#dir))
  }

  /** Output of a command that succeeds. */
  #execute(command: string): Buffer | 'failed' {
    const words = command.split(/[ \t]+/).filter((word) => word !== '')
    const [program = '', ...args] = words.map((word) => word.replaceAll('{DIR}', this.#dir))
    if (program === '') return 'failed'
    try {
      return execFileSync(program, args, {
        cwd: '/',
        uid: NOBODY_ID,
        gid: NOBODY_ID,
        stdio: ['ignore', 'pipe', 'ignore'],
      })
    } catch {
      return 'failed'
    }
  }

  #isMessageMissing(list: SpamdList): boolean {
    if (list.message?.kind !== 'file') return false
    const { path } = list.message
    try {
      readFileSync(this.#pathOf(path))
      return false
    } catch {
      // Reported below.
    }
    this.#rules.add('a missing message file does not stop the others')
    this.#fail(
      new RegExp(`^spamd-setup: Can't (open message|read) from ${escapeRegExp(escapeControl(path))}: .*`),
    )
    return true
  }

  #configLine(list: SpamdList, cidrs4: string[], cidrs6: string[]): string {
    if (cidrs4.length + cidrs6.length === 0) return `${list.name};\n`
    let line = `${list.name};"${this.#messageOf(list)}"`
    for (const [keyword, cidrs] of [
      ['inet', cidrs4],
      ['inet6', cidrs6],
    ] as const) {
      if (cidrs.length > 0) line += `;${keyword};${cidrs.length};${cidrs.join(';')}`
    }
    return `${line}\n`
  }

  /** The original's encoding, or ours if spamd would not read back the intended text. */
  #messageOf(list: SpamdList): string {
    const message = list.message!
    const text = message.kind === 'text' ? message.text : readFileSync(this.#pathOf(message.path), 'latin1')
    if (text.includes(':tc=')) this.#rules.add('tc= inside a quoted message is text')
    let encoded = ''
    for (let at = 0; at < text.length; at += 1) {
      const character = text[at]!
      const next = text[at + 1]
      if (character === '\n') encoded += '\\n'
      else if (character === '"') encoded += '\\"'
      else if (character === '\0') this.#rules.add('message escaped so that spamd reads what was meant')
      else if (character === '\\' && (next === 'n' || next === '"' || next === '\\')) {
        // A pair stays a pair; the original turns `\"` into `\\"`, which ends the text.
        encoded += `\\${next}`
        if (next === '"') this.#rules.add('message escaped so that spamd reads what was meant')
        at += 1
      } else if (character === '%' && (next === '%' || next === 'A')) {
        encoded += `%${next}`
        at += 1
      } else if (
        (character === '\\' || character === '%') &&
        (next === undefined || '\\%\n"'.includes(next))
      ) {
        encoded += character + character
        this.#rules.add('message escaped so that spamd reads what was meant')
      } else encoded += character
    }
    return encoded
  }

  /** Where the original has no message, ours is one of the lines that are left out here. */
  #failAtPlace(original: string | undefined): void {
    this.#hasFailed = true
    if (original !== undefined) this.#stderr.push(`spamd-setup: ${original}`)
  }

  #fail(line: string | RegExp): void {
    this.#hasFailed = true
    this.#stderr.push(line)
  }
}

/** Text as the bytes in which it is printed, one character per byte. */
function asRecorded(line: string | RegExp): string | RegExp {
  if (typeof line === 'string') return Buffer.from(line).toString('latin1')
  return new RegExp(Buffer.from(line.source).toString('latin1'))
}

function utf8(wireText: string): string {
  return Buffer.from(wireText, 'latin1').toString('utf8')
}

function withSuffix(line: string | RegExp, holdsBlackList: boolean): string | RegExp {
  if (!holdsBlackList || typeof line !== 'string') return line
  return new RegExp(`^${escapeRegExp(escapeControl(line))}; blacklist .* stays as it was$`)
}

function inflate(bytes: Buffer): Buffer {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes
  // Bytes after the last member do not count, unless they are a damaged member.
  for (let end = bytes.length; end > 18; end -= 1) {
    if (end < bytes.length && bytes[end] === 0x1f && bytes[end + 1] === 0x8b) break
    try {
      return gunzipSync(bytes.subarray(0, end))
    } catch {
      // Does not exist yet.
    }
  }
  throw new Error('no gzip member')
}

function rangeOf(family: 4 | 6, cidr: string): NaiveRange {
  const [range] = readNaiveList(Buffer.from(`${cidr}\n`)).ranges
  return { ...range!, family }
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}
