/** What must hold for any bytes that a client or a load balancer sends; throws where it does not. */
import { decodeProxyHeader } from '../../src/codec/smtp/proxy-header.js'
import { MAX_LINE_BYTES, SmtpLineReader } from '../../src/codec/smtp/smtp-line.js'
import { type ClientClass, SmtpSession } from '../../src/daemon/smtp/smtp-session.js'
import { DialogueModel } from '../support/spamd/dialogue-model.js'
import { demand } from './demand.js'

const CLASSES: readonly ClientClass[] = ['GREY', 'BLACK', 'OPEN']
const MESSAGE = 'you are %A\\nsee \\"list\\" 100%%'
const REPLIES = /^(?:(?:[2-5][0-9]{2}-[^\r\n\0]*\r\n)*[2-5][0-9]{2} [^\r\n\0]*\r\n)*$/

/** Plays a dialogue in two pieces; it must not depend on the cut, and be what the model of the tests says. */
export function checkDialogue(bytes: Buffer, cut: number): void {
  for (const clientClass of CLASSES) {
    const whole = play([bytes], clientClass)
    const at = bytes.length === 0 ? 0 : cut % bytes.length
    demand(
      whole === play([bytes.subarray(0, at), bytes.subarray(at)], clientClass),
      'a cut changes the replies',
    )
    demand(REPLIES.test(whole), 'a reply is not well-formed')
    demand(whole === model(bytes, clientClass), 'the replies are not those of the model')
  }
}

/** Decodes every prefix: none may be done or bad before the header is, and nothing is read beyond the bytes. */
export function checkProxyHeader(bytes: Buffer): void {
  const result = decodeProxyHeader(bytes)
  if (result.status === 'done') {
    demand(result.bytesRead <= bytes.length, 'read beyond the bytes')
    for (let length = 0; length < result.bytesRead; length += 1) {
      demand(decodeProxyHeader(bytes.subarray(0, length)).status === 'more', 'a prefix is not incomplete')
    }
    const longer = decodeProxyHeader(Buffer.concat([bytes, Buffer.from('x')]))
    demand(JSON.stringify(longer) === JSON.stringify(result), 'what follows changes the header')
  }
}

function play(pieces: readonly Buffer[], clientClass: ClientClass): string {
  const session = newSession(clientClass)
  const reader = new SmtpLineReader()
  let replies = ''
  for (const piece of pieces) {
    reader.push(piece)
    for (let line = reader.next(); line !== undefined; line = reader.next()) {
      demand(line.length <= MAX_LINE_BYTES, 'a line is too long')
      const step = session.receiveLine(line)
      replies += step.reply
      if (step.next.endsWith('close')) return replies
    }
  }
  demand(reader.pendingBytes < MAX_LINE_BYTES, 'too much is kept')
  return replies
}

function newSession(clientClass: ClientClass): SmtpSession {
  return new SmtpSession(
    {
      hostname: 'mx.example',
      bannerName: 'spamd',
      listReplyCode: 550,
      maxRecipients: 1_000_000,
      maxCommands: 1_000_000,
    },
    {
      class: clientClass,
      ip: '192.0.2.1',
      lists: clientClass === 'BLACK' ? [{ listName: 'bl', message: MESSAGE }] : [],
    },
    { offersTls: true },
  )
}

function model(bytes: Buffer, clientClass: ClientClass): string {
  return new DialogueModel(
    { hostname: 'mx.example', isBlackOnly: clientClass === 'OPEN', code: '550', offersTls: true },
    '192.0.2.1',
    clientClass === 'BLACK' ? [{ name: 'bl', message: MESSAGE, ranges: [] }] : [],
  ).receive(bytes.toString('latin1')).reply
}
