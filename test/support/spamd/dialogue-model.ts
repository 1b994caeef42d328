/**
 * Predicts what one client reads, by smtp-dialogue.md with the intended differences. Each difference from the
 * original has a name and is recorded when it applies, so that a transcript may only differ where one applies.
 */
import type { ModelList } from './config-model.js'

export interface DialogueOptions {
  hostname: string
  isBlackOnly: boolean
  code: string
  offersTls: boolean
}

export interface DialogueEvent {
  type: 'recipient' | 'header' | 'body'
  /** helo, from, to; or the line. */
  texts: string[]
}

export interface DialogueStep {
  reply: string
  isClosed: boolean
  events: DialogueEvent[]
}

/** The differences from the original's dialogue. */
export type DialogueDifference =
  | 'list-reply'
  | 'pipelined'
  | 'second-helo'
  | 'second-mail'
  | 'rset-clears'
  | 'nul'
  | 'text-quit'
  | 'text-lines'
  | 'tls-forgets'

const BUFFER = 8191

export class DialogueModel {
  readonly differences = new Set<DialogueDifference>()
  isClosed = false
  readonly #options: DialogueOptions
  readonly #ip: string
  readonly #lists: ModelList[]
  #state = 1
  #pending = ''
  #helo = ''
  #from = ''
  #to = ''
  /** Sender and recipient, which the original remembers across RSET. */
  #keptFrom = ''
  /** The name given before STARTTLS, which the original continues to use. */
  #keptHelo = ''
  #hasMail = false
  #bad = 0
  #bodyLines = -1
  #offersTls: boolean

  constructor(options: DialogueOptions, ip: string, lists: ModelList[]) {
    this.#options = options
    this.#ip = ip
    this.#lists = lists
    this.#offersTls = options.offersTls && lists.length === 0
  }

  /** True if the client sent these bytes at once. */
  receive(data: string): DialogueStep {
    const result: DialogueStep = { reply: '', isClosed: false, events: [] }
    if (data.includes('\0')) this.differences.add('nul')
    if (this.#state === 70) {
      if (/^QUIT/i.test(data)) this.differences.add('text-quit')
      if (/[^\r]\n.|\n.*\n|\n\r?\n$/s.test(data) || this.#pending !== '') this.differences.add('text-lines')
    } else if (data.replace(/[\r\n]+$/, '').includes('\n') || /\n[\r\n]*\n/.test(data)) {
      this.differences.add('pipelined')
    }
    this.#pending += data
    while (!this.isClosed) {
      const line = this.#nextLine()
      if (line === undefined) break
      this.#take(line.replace(/[\r\n]+$/, ''), result)
    }
    result.isClosed = this.isClosed
    return result
  }

  /** True if the TLS handshake succeeded. */
  startTls(): void {
    this.#state = 1
    this.#offersTls = false
    this.#keptHelo = this.#helo
    this.#from = this.#to = this.#helo = ''
    this.#hasMail = false
  }

  #nextLine(): string | undefined {
    const end = this.#pending.slice(0, BUFFER).indexOf('\n')
    if (end < 0 && this.#pending.length < BUFFER) return undefined
    const length = end < 0 ? BUFFER : end + 1
    const line = this.#pending.slice(0, length)
    this.#pending = this.#pending.slice(length)
    return line
  }

  #take(line: string, result: DialogueStep): void {
    if (this.#state === 70) {
      this.#takeText(line, result)
      return
    }
    const verb = line.includes('\0') ? '' : line.slice(0, 4).toUpperCase()
    const say = (reply: string): void => {
      result.reply += `${reply}\r\n`
    }
    const refuse = (reply: string): void => {
      this.#bad += 1
      if (this.#bad > 20) this.#finish(result)
      else say(reply)
    }
    if (verb === 'QUIT') {
      say(`221 ${this.#options.hostname}`)
      this.isClosed = true
    } else if (verb === 'HELO' || verb === 'EHLO') {
      if (this.#state !== 1) this.differences.add('second-helo')
      const name = word(line.slice(4))
      if (name === '') {
        say('501 helo requires domain name.')
        return
      }
      this.#helo = name
      this.#clear()
      if (verb === 'EHLO' && this.#offersTls) {
        this.#state = 8
        say(`250-${this.#options.hostname}\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 STARTTLS`)
        return
      }
      this.#state = 3
      say('250 Hello, spam sender. Pleased to be wasting your time.')
    } else if (verb === 'NOOP') say('250 2.0.0 OK I did nothing')
    else if (verb === 'RSET' && this.#state !== 1) {
      if (this.#from !== '' || this.#to !== '') this.#keptFrom = this.#from
      this.#clear()
      this.#state = 3
      say('250 Ok to start over.')
    } else if (verb === 'MAIL' && this.#hasMail) {
      this.differences.add('second-mail')
      refuse('503 5.5.1 Bad sequence of commands')
    } else if (verb === 'MAIL' && this.#state !== 5) {
      this.#state = 5
      this.#hasMail = true
      this.#from = path(line) ?? this.#from
      say('250 You are about to try to deliver spam. Your time will be spent, for nothing.')
    } else if (verb === 'RCPT') {
      this.#state = 5
      this.#to = path(line) ?? this.#to
      if (this.#from === '' && this.#keptFrom !== '') this.differences.add('rset-clears')
      if (this.#from !== '' && this.#to !== '') {
        if (this.#helo === '' && this.#keptHelo !== '') this.differences.add('tls-forgets')
        result.events.push({ type: 'recipient', texts: [this.#helo, this.#from, this.#to] })
      }
      say('250 This is hurting you more than it is hurting me.')
    } else if (verb === 'DATA') {
      if (this.#lists.length === 0 && !this.#options.isBlackOnly) {
        this.#finish(result)
        return
      }
      this.#state = 70
      say('354 Enter spam, end with "." on a line by itself')
    } else if (/^starttls/i.test(line) && !line.includes('\0') && this.#state === 8) {
      say('220 glad you want to burn more CPU cycles on your spam')
    } else refuse('500 5.5.1 Command unrecognized')
  }

  #takeText(line: string, result: DialogueStep): void {
    if (line === '.') this.#finish(result)
    else if (this.#bodyLines >= 0) {
      this.#bodyLines += 1
      if (this.#bodyLines >= 10) this.#finish(result)
      else if (line !== '') result.events.push({ type: 'body', texts: [line] })
    } else if (line === '') this.#bodyLines = 0
    else if (/^(from|to|subject):/i.test(line)) result.events.push({ type: 'header', texts: [line] })
  }

  #finish(result: DialogueStep): void {
    this.isClosed = true
    if (this.#lists.length === 0) {
      result.reply += '451 Temporary failure, please try again later.\r\n'
      return
    }
    this.differences.add('list-reply')
    const lines = this.#lists.flatMap(({ message }) => {
      const expanded = expand(message, this.#ip)
      return (
        expanded.length > 1 && expanded.endsWith('\n')
          ? expanded.slice(0, -1)
          : expanded === '\n'
            ? ''
            : expanded
      ).split('\n')
    })
    result.reply += lines
      .map((line, index) => `${this.#options.code}${index < lines.length - 1 ? '-' : ' '}${line}\r\n`)
      .join('')
  }

  #clear(): void {
    this.#from = this.#to = ''
    this.#hasMail = false
  }
}

/** The table of smtp-dialogue.md section 6. */
function expand(message: string, ip: string): string {
  return message.replace(/[\\%]([\s\S]|$)/g, (pair, next: string) => {
    if (next === '') return ''
    if (pair === '\\n') return '\n'
    if (pair === '\\"') return '"'
    if (pair === '%A') return ip
    return next === '\\' || next === '%' ? pair[0]! : pair
  })
}

function word(text: string): string {
  return /^[ \t]*([^ \t\r\n]*)/.exec(text)![1]!.slice(0, 1023)
}

function path(line: string): string | undefined {
  const colon = line.indexOf(':')
  return colon < 0 ? undefined : word(line.slice(colon + 1))
}
