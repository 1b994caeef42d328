/**
 * The SMTP dialogue of one client as a pure state machine: a line in, a reply and what happens next out. It
 * knows no socket, clock or log. States and texts: OpenBSD's spamd.c (the numbers in comments are its own).
 *
 * Deliberate differences: a second HELO, EHLO or MAIL follows RFC 5321; RSET forgets sender and recipient;
 * QUIT inside the message text is text; lines of the text are split properly.
 */
import { formatListReply, type ListReplyCode } from '../../codec/smtp/message-expansion.js'
import {
  parseHeloName,
  parseMailArgument,
  parseMailPath,
  parseSmtpVerb,
} from '../../codec/smtp/smtp-command.js'
import type { BlockListMatch } from '../seams.js'

/** How a client is treated, decided once when it connects. `OPEN`: on no list, and greylisting is off (-b). */
export type ClientClass = 'BLACK' | 'GREY' | 'OPEN'

/** What all sessions of a daemon share; replaced as a whole by a reload. */
export interface DialogueSettings {
  hostname: string
  bannerName: string
  listReplyCode: ListReplyCode
  /** --max-recipients: of one session; further ones get 452. */
  maxRecipients: number
  /** --max-commands: lines of one session, those of a message included. */
  maxCommands: number
}

/** What a line meant beyond its reply. */
export type SessionEvent =
  /** A recipient was given while sender and recipient are known. `toArgument`: all after the colon, where that is more. */
  | { type: 'recipient'; helo: string; from: string; to: string; toArgument?: string }
  | { type: 'header-line'; line: string }
  | { type: 'body-line'; line: string }

/**
 * `continue`: read the next line. `text`: as continue, after DATA was accepted. `start-tls`: handshake
 * after the reply. `close`: close after the reply.
 */
export type SessionNext = 'continue' | 'text' | 'start-tls' | 'close'

export interface SessionStep {
  /** Complete reply with line ends; empty when the line needs none. */
  reply: string
  next: SessionNext
  event?: SessionEvent
}

type SessionState =
  /** 1: before HELO. */
  | 'helo'
  /** 3: HELO done, no transaction. */
  | 'mail'
  /** 8: as `mail`, STARTTLS on offer. */
  | 'starttls'
  /** 5: transaction open. */
  | 'rcpt'
  /** 70: message text. */
  | 'text'
  /** 98 and later. */
  | 'closing'

/** The command after this many unrecognised ones is answered by the final reply. Source: spamd.c. */
const MAX_BAD_COMMANDS = 20
/** The tenth line of the body ends the message. Source: spamd.c. */
const MAX_BODY_LINES = 10
const TEMPORARY_FAILURE = '451 Temporary failure, please try again later.\r\n'
const HEADERS_LOGGED = ['FROM:', 'TO:', 'SUBJECT:']

/** One client's dialogue. */
export class SmtpSession {
  readonly #settings: DialogueSettings
  readonly #clientClass: ClientClass
  readonly #clientIp: string
  readonly #lists: readonly BlockListMatch[]
  #state: SessionState = 'helo'
  #offersTls: boolean
  #lineCount = 0
  #recipientCount = 0
  #badCommandCount = 0
  #bodyLineCount = 0
  #isInBody = false
  #isMailGiven = false
  #helo = ''
  #from = ''
  #to = ''
  #toArgument = ''

  /** `lists` are those that hold the client: its copy, unmoved by later changes. `offersTls`: -C and -K given. */
  constructor(
    settings: DialogueSettings,
    client: { class: ClientClass; ip: string; lists: readonly BlockListMatch[] },
    { offersTls }: { offersTls: boolean },
  ) {
    this.#settings = settings
    this.#clientClass = client.class
    this.#clientIp = client.ip
    this.#lists = client.lists
    this.#offersTls = offersTls && client.class !== 'BLACK'
  }

  /** Short name of the state for `spamdctl connections`. */
  get stateName(): string {
    return this.#state
  }

  /** The 220 line; `date` in the form of ctime(3) without its line end. */
  banner(date: string): string {
    return `220 ${this.#settings.hostname} ESMTP ${this.#settings.bannerName}; ${date}\r\n`
  }

  /** Answers one line (without its line end). After a step that closes, no more lines may follow. */
  receiveLine(line: string): SessionStep {
    this.#lineCount += 1
    if (this.#lineCount <= this.#settings.maxCommands) {
      return this.#state === 'text' ? this.#receiveText(line) : this.#receiveCommand(line)
    }
    if (this.#state === 'text') return this.#finish()
    this.#state = 'closing'
    return { reply: `421 4.7.0 ${this.#settings.hostname} Too many commands\r\n`, next: 'close' }
  }

  /** The client's TLS handshake is done: it starts afresh, without a banner and without STARTTLS. */
  tlsStarted(): void {
    this.#state = 'helo'
    this.#offersTls = false
    this.#helo = ''
    this.#forgetTransaction()
  }

  // eslint-disable-next-line complexity -- a grammar: one case for each command
  #receiveCommand(line: string): SessionStep {
    const verb = parseSmtpVerb(line)
    switch (verb) {
      case 'QUIT':
        this.#state = 'closing'
        return { reply: `221 ${this.#settings.hostname}\r\n`, next: 'close' }
      case 'HELO':
      case 'EHLO':
        return this.#receiveHelo(line, verb === 'EHLO')
      case 'NOOP':
        return { reply: '250 2.0.0 OK I did nothing\r\n', next: 'continue' }
      case 'RSET':
        if (this.#state === 'helo') break
        this.#state = 'mail'
        this.#forgetTransaction()
        return { reply: '250 Ok to start over.\r\n', next: 'continue' }
      case 'MAIL':
        if (this.#isMailGiven) return this.#refuse('503 5.5.1 Bad sequence of commands\r\n')
        if (this.#state === 'rcpt') break
        this.#isMailGiven = true
        this.#state = 'rcpt'
        this.#from = parseMailPath(line) ?? this.#from
        return {
          reply: '250 You are about to try to deliver spam. Your time will be spent, for nothing.\r\n',
          next: 'continue',
        }
      case 'RCPT':
        return this.#receiveRecipient(line)
      case 'DATA':
        if (this.#clientClass === 'GREY') return this.#finish()
        this.#state = 'text'
        return { reply: '354 Enter spam, end with "." on a line by itself\r\n', next: 'text' }
      case 'STARTTLS':
        if (this.#state !== 'starttls') break
        return { reply: '220 glad you want to burn more CPU cycles on your spam\r\n', next: 'start-tls' }
      case 'unknown':
        break
    }
    return this.#refuse('500 5.5.1 Command unrecognized\r\n')
  }

  #receiveHelo(line: string, isExtended: boolean): SessionStep {
    const name = parseHeloName(line)
    if (name === '') return { reply: '501 helo requires domain name.\r\n', next: 'continue' }
    this.#helo = name
    this.#forgetTransaction()
    if (isExtended && this.#offersTls) {
      this.#state = 'starttls'
      return {
        reply: `250-${this.#settings.hostname}\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 STARTTLS\r\n`,
        next: 'continue',
      }
    }
    this.#state = 'mail'
    return { reply: '250 Hello, spam sender. Pleased to be wasting your time.\r\n', next: 'continue' }
  }

  #receiveRecipient(line: string): SessionStep {
    this.#state = 'rcpt'
    this.#recipientCount += 1
    if (this.#recipientCount > this.#settings.maxRecipients) {
      return { reply: '452 4.5.3 Too many recipients\r\n', next: 'continue' }
    }
    const to = parseMailPath(line)
    if (to !== undefined) {
      this.#to = to
      this.#toArgument = parseMailArgument(line)
    }
    const step: SessionStep = {
      reply: '250 This is hurting you more than it is hurting me.\r\n',
      next: 'continue',
    }
    if (this.#from !== '' && this.#to !== '') {
      step.event = {
        type: 'recipient',
        helo: this.#helo,
        from: this.#from,
        to: this.#to,
        ...(this.#toArgument === this.#to ? {} : { toArgument: this.#toArgument }),
      }
    }
    return step
  }

  #receiveText(line: string): SessionStep {
    if (line === '.') return this.#finish()
    if (this.#isInBody) {
      this.#bodyLineCount += 1
      if (this.#bodyLineCount >= MAX_BODY_LINES) return this.#finish()
      if (line === '') return { reply: '', next: 'continue' }
      return { reply: '', next: 'continue', event: { type: 'body-line', line } }
    }
    if (line === '') {
      this.#isInBody = true
    } else if (HEADERS_LOGGED.some((name) => line.slice(0, name.length).toUpperCase() === name)) {
      return { reply: '', next: 'continue', event: { type: 'header-line', line } }
    }
    return { reply: '', next: 'continue' }
  }

  #refuse(reply: string): SessionStep {
    this.#badCommandCount += 1
    return this.#badCommandCount > MAX_BAD_COMMANDS ? this.#finish() : { reply, next: 'continue' }
  }

  #finish(): SessionStep {
    this.#state = 'closing'
    if (this.#clientClass !== 'BLACK') return { reply: TEMPORARY_FAILURE, next: 'close' }
    const messages = this.#lists.map((list) => list.message)
    return {
      reply: formatListReply(this.#settings.listReplyCode, messages, this.#clientIp),
      next: 'close',
    }
  }

  #forgetTransaction(): void {
    this.#isMailGiven = false
    this.#from = ''
    this.#to = ''
  }
}
